// SPDX-License-Identifier: Apache-2.0
#include "format/superblock.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_format.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

// In versions 1 and 2 regions did not carry their container's nonce.
constexpr uint16_t kVersion = 3;
constexpr uint16_t kVersionWithKeys = 4;     // Encrypted, or with a keyed chunker.
constexpr uint16_t kVersionWithJournal = 5;  // And perhaps with keys.

constexpr char kMagic[8] = {'S', 'T', 'R', 'D', 'E', 'D', 'U', 'P'};

constexpr size_t kVersionAt = 8;
constexpr size_t kBlockBytesAt = 12;
constexpr size_t kUuidAt = 16;
constexpr size_t kCreatedAt = 32;
constexpr size_t kContainerBytesAt = 40;
constexpr size_t kAlgorithmAt = 44;
constexpr size_t kMinBytesAt = 48;
constexpr size_t kAvgBytesAt = 52;
constexpr size_t kMaxBytesAt = 56;
constexpr size_t kNormalizationAt = 60;
constexpr size_t kDataOffsetAt = 64;
constexpr size_t kCipherAt = 72;
constexpr size_t kChunkerKeyedAt = 73;
constexpr size_t kJournaledAt = 74;
constexpr size_t kKeyCheckAt = 80;
constexpr size_t kChunkerKeyCheckAt = 112;
constexpr size_t kCrcAt = kSuperblockBytes - 4;

}  // namespace

std::vector<std::byte> EncodeSuperblock(const Superblock& superblock) {
  std::vector<std::byte> bytes(kSuperblockBytes);
  std::byte* at = bytes.data();
  std::memcpy(at, kMagic, sizeof(kMagic));
  const bool has_keys = superblock.encrypted || superblock.chunker_keyed;
  const uint16_t version = superblock.journaled ? kVersionWithJournal
                           : has_keys           ? kVersionWithKeys
                                                : kVersion;
  StoreLe16(at + kVersionAt, version);
  StoreLe32(at + kBlockBytesAt, superblock.block_bytes);
  std::copy(superblock.uuid.begin(), superblock.uuid.end(), at + kUuidAt);
  StoreLe64(at + kCreatedAt, superblock.created_ns);
  StoreLe32(at + kContainerBytesAt, superblock.container_bytes);
  at[kAlgorithmAt] = static_cast<std::byte>(superblock.chunker.algorithm);
  StoreLe32(at + kMinBytesAt, superblock.chunker.min_bytes);
  StoreLe32(at + kAvgBytesAt, superblock.chunker.avg_bytes);
  StoreLe32(at + kMaxBytesAt, superblock.chunker.max_bytes);
  StoreLe32(at + kNormalizationAt, superblock.chunker.normalization);
  StoreLe64(at + kDataOffsetAt, kDataOffsetBytes);
  at[kCipherAt] = std::byte{superblock.encrypted};
  at[kChunkerKeyedAt] = std::byte{superblock.chunker_keyed};
  at[kJournaledAt] = std::byte{superblock.journaled};
  std::copy(superblock.key_check.begin(), superblock.key_check.end(), at + kKeyCheckAt);
  std::copy(superblock.chunker_key_check.begin(), superblock.chunker_key_check.end(),
            at + kChunkerKeyCheckAt);
  StoreLe32(at + kCrcAt, Crc32c({at, kCrcAt}));
  return bytes;
}

absl::StatusOr<Superblock> DecodeSuperblock(std::span<const std::byte> bytes) {
  if (bytes.size() < kSuperblockBytes) return absl::DataLossError("superblock: cut short");
  const std::byte* at = bytes.data();
  if (std::memcmp(at, kMagic, sizeof(kMagic)) != 0) {
    const bool empty =
        std::all_of(at, at + kSuperblockBytes, [](std::byte byte) { return byte == std::byte{0}; });
    if (empty) return absl::NotFoundError("superblock: the place is empty");
    return absl::DataLossError("superblock: not that of a dedup store, or damaged");
  }
  const uint16_t version = LoadLe16(at + kVersionAt);
  const bool intact = LoadLe32(at + kCrcAt) == Crc32c({at, kCrcAt});
  if (intact && (version < kVersion || version > kVersionWithJournal)) {
    return absl::UnimplementedError(
        absl::StrFormat("superblock: format version %d, this program knows %d to %d", version,
                        kVersion, kVersionWithJournal));
  }
  if (!intact) return absl::DataLossError("superblock: checksum does not match");

  Superblock superblock;
  std::copy(at + kUuidAt, at + kUuidAt + superblock.uuid.size(), superblock.uuid.begin());
  superblock.created_ns = LoadLe64(at + kCreatedAt);
  superblock.block_bytes = LoadLe32(at + kBlockBytesAt);
  superblock.container_bytes = LoadLe32(at + kContainerBytesAt);
  superblock.chunker.algorithm = static_cast<ChunkAlgorithm>(at[kAlgorithmAt]);
  superblock.chunker.min_bytes = LoadLe32(at + kMinBytesAt);
  superblock.chunker.avg_bytes = LoadLe32(at + kAvgBytesAt);
  superblock.chunker.max_bytes = LoadLe32(at + kMaxBytesAt);
  superblock.chunker.normalization = LoadLe32(at + kNormalizationAt);
  if (version >= kVersionWithKeys) {
    if (at[kCipherAt] > std::byte{1} || at[kChunkerKeyedAt] > std::byte{1}) {
      return absl::UnimplementedError("superblock: a cipher that this program does not know");
    }
    superblock.encrypted = at[kCipherAt] != std::byte{0};
    superblock.chunker_keyed = at[kChunkerKeyedAt] != std::byte{0};
    std::copy_n(at + kKeyCheckAt, superblock.key_check.size(), superblock.key_check.begin());
    std::copy_n(at + kChunkerKeyCheckAt, superblock.chunker_key_check.size(),
                superblock.chunker_key_check.begin());
  }
  if (version >= kVersionWithJournal) superblock.journaled = at[kJournaledAt] != std::byte{0};
  const bool sane = LoadLe64(at + kDataOffsetAt) == kDataOffsetBytes &&
                    std::has_single_bit(superblock.container_bytes) &&
                    superblock.container_bytes >= kMinContainerBytes &&
                    superblock.container_bytes <= kMaxContainerBytes &&
                    std::has_single_bit(superblock.block_bytes) &&
                    superblock.block_bytes >= kUnitBytes &&
                    superblock.block_bytes <= kDataOffsetBytes / 4;
  if (!sane) return absl::DataLossError("superblock: values out of range");
  return superblock;
}

}  // namespace strata::dedup
