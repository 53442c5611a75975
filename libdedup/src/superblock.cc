// SPDX-License-Identifier: Apache-2.0
#include "superblock.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_format.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

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
constexpr size_t kCrcAt = kSuperblockBytes - 4;

}  // namespace

std::vector<std::byte> EncodeSuperblock(const Superblock& superblock) {
  std::vector<std::byte> bytes(kSuperblockBytes);
  std::byte* at = bytes.data();
  std::memcpy(at, kMagic, sizeof(kMagic));
  StoreLe16(at + kVersionAt, kFormatVersion);
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
  if (intact && version > kFormatVersion) {
    return absl::UnimplementedError(absl::StrFormat(
        "superblock: format version %d, this program knows up to %d", version, kFormatVersion));
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
  const bool sane = version == kFormatVersion && LoadLe64(at + kDataOffsetAt) == kDataOffsetBytes &&
                    std::has_single_bit(superblock.container_bytes) &&
                    superblock.container_bytes >= kLeastContainerBytes &&
                    superblock.container_bytes <= kMostContainerBytes &&
                    std::has_single_bit(superblock.block_bytes) &&
                    superblock.block_bytes >= kUnitBytes &&
                    superblock.block_bytes <= kDataOffsetBytes / 4;
  if (!sane) return absl::DataLossError("superblock: values out of range");
  return superblock;
}

}  // namespace strata::dedup
