// SPDX-License-Identifier: Apache-2.0
#include "format/superblock.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::ofs {
namespace {

constexpr char kMagic[8] = {'S', 'T', 'R', 'A', 'T', 'O', 'F', 'S'};
constexpr uint16_t kVersion = 1;

constexpr size_t kVersionAt = 8;
constexpr size_t kCopyAt = 10;
constexpr size_t kClassAt = 11;
constexpr size_t kBlockBytesAt = 12;
constexpr size_t kFilesystemAt = 16;
constexpr size_t kDiskAt = 32;
constexpr size_t kGenerationAt = 48;
constexpr size_t kSizeAt = 56;
constexpr size_t kSegmentBytesAt = 64;
constexpr size_t kSegmentCountAt = 68;
constexpr size_t kDiskNumberAt = 72;
constexpr size_t kDomainBytesAt = 76;
constexpr size_t kCreatedAt = 80;
constexpr size_t kFeaturesAt = 88;
constexpr size_t kDomainAt = 96;
constexpr size_t kCrcAt = kBlockBytes - 4;
static_assert(kDomainAt + kMaxDomainBytes < kCrcAt);

}  // namespace

bool IsUsableDiskSize(uint64_t size_bytes) {
  return size_bytes >= kHeadAreaBytes + kTailAreaBytes + kMinSegmentBytes;
}

uint64_t SuperblockOffset(int copy, uint64_t size_bytes) {
  STRATA_CHECK(copy == 0 || copy == 1, "a disk has two superblocks");
  return copy == 0 ? 0 : size_bytes / kBlockBytes * kBlockBytes - kBlockBytes;
}

uint32_t SegmentsThatFit(uint64_t size_bytes, uint32_t segment_bytes) {
  if (!IsUsableDiskSize(size_bytes)) return 0;
  const uint64_t count = (size_bytes - kHeadAreaBytes - kTailAreaBytes) / segment_bytes;
  return static_cast<uint32_t>(std::min<uint64_t>(count, kMaxSegmentsPerDisk));
}

uint32_t ChooseSegmentBytes(uint64_t smallest_disk_bytes) {
  const uint64_t wanted =
      std::bit_floor(std::max<uint64_t>(smallest_disk_bytes / kWantedSegments, 1));
  return static_cast<uint32_t>(std::clamp<uint64_t>(wanted, kMinSegmentBytes, kMaxSegmentBytes));
}

absl::Status CheckDomain(std::string_view domain) {
  const absl::string_view shown(domain.data(), std::min<size_t>(domain.size(), 60));
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("failure domain '", shown, "' ", why));
  };
  if (domain.empty() || domain.size() > kMaxDomainBytes) return refuse("has not 1 to 255 bytes");
  char before = '/';
  for (const char c : domain) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7F) {
      return absl::InvalidArgumentError("a failure domain holds a space or a control character");
    }
    if (c == '/' && before == '/') return refuse("has an empty component");
    before = c;
  }
  if (before == '/') return refuse("has an empty component");
  return absl::OkStatus();
}

std::vector<std::byte> EncodeSuperblock(const Superblock& superblock, int copy) {
  STRATA_CHECK(superblock.domain.size() <= kMaxDomainBytes, "an unchecked domain");
  std::vector<std::byte> block(kBlockBytes);
  std::byte* const at = block.data();
  std::memcpy(at, kMagic, sizeof(kMagic));
  StoreLe16(at + kVersionAt, kVersion);
  at[kCopyAt] = static_cast<std::byte>(copy);
  at[kClassAt] = static_cast<std::byte>(superblock.disk_class);
  StoreLe32(at + kBlockBytesAt, kBlockBytes);
  std::copy(superblock.filesystem.begin(), superblock.filesystem.end(), at + kFilesystemAt);
  std::copy(superblock.disk.begin(), superblock.disk.end(), at + kDiskAt);
  StoreLe64(at + kGenerationAt, superblock.generation);
  StoreLe64(at + kSizeAt, superblock.size_bytes);
  StoreLe32(at + kSegmentBytesAt, superblock.segment_bytes);
  StoreLe32(at + kSegmentCountAt, superblock.segment_count);
  StoreLe32(at + kDiskNumberAt, superblock.disk_number);
  StoreLe16(at + kDomainBytesAt, static_cast<uint16_t>(superblock.domain.size()));
  StoreLe64(at + kCreatedAt, superblock.created_ns);
  std::memcpy(at + kDomainAt, superblock.domain.data(), superblock.domain.size());
  StoreLe32(at + kCrcAt, Crc32c({at, kCrcAt}));
  return block;
}

absl::StatusOr<Superblock> DecodeSuperblock(std::span<const std::byte> block, int copy) {
  if (block.size() != kBlockBytes) return absl::DataLossError("superblock: not one block");
  const std::byte* const at = block.data();
  if (std::memcmp(at, kMagic, sizeof(kMagic)) != 0) {
    return absl::NotFoundError("no superblock of libofs");
  }
  if (LoadLe32(at + kCrcAt) != Crc32c({at, kCrcAt})) {
    return absl::DataLossError("superblock: the checksum does not match");
  }
  const uint16_t version = LoadLe16(at + kVersionAt);
  if (version != kVersion) {
    return absl::UnimplementedError(absl::StrCat("superblock: format version ", version,
                                                 ", this program knows version ", kVersion));
  }
  const uint64_t features = LoadLe64(at + kFeaturesAt);
  if (features != 0) {
    return absl::UnimplementedError(absl::StrCat("superblock: features 0x", absl::Hex(features),
                                                 " that this program does not know"));
  }
  if (at[kCopyAt] != static_cast<std::byte>(copy)) {
    return absl::DataLossError("superblock: it is the other copy's");
  }
  Superblock superblock;
  std::copy_n(at + kFilesystemAt, superblock.filesystem.size(), superblock.filesystem.begin());
  std::copy_n(at + kDiskAt, superblock.disk.size(), superblock.disk.begin());
  superblock.generation = LoadLe64(at + kGenerationAt);
  superblock.size_bytes = LoadLe64(at + kSizeAt);
  superblock.segment_bytes = LoadLe32(at + kSegmentBytesAt);
  superblock.segment_count = LoadLe32(at + kSegmentCountAt);
  superblock.disk_number = LoadLe32(at + kDiskNumberAt);
  superblock.disk_class = static_cast<DiskClass>(at[kClassAt]);
  superblock.created_ns = LoadLe64(at + kCreatedAt);
  const size_t domain_bytes = LoadLe16(at + kDomainBytesAt);
  if (domain_bytes <= kMaxDomainBytes) {
    superblock.domain.assign(reinterpret_cast<const char*>(at + kDomainAt), domain_bytes);
  }
  const bool sane = LoadLe32(at + kBlockBytesAt) == kBlockBytes && superblock.generation > 0 &&
                    at[kClassAt] >= std::byte{1} && at[kClassAt] <= std::byte{4} &&
                    std::has_single_bit(superblock.segment_bytes) &&
                    superblock.segment_bytes >= kMinSegmentBytes &&
                    superblock.segment_bytes <= kMaxSegmentBytes &&
                    superblock.size_bytes % kBlockBytes == 0 &&
                    IsUsableDiskSize(superblock.size_bytes) && superblock.segment_count > 0 &&
                    superblock.segment_count <=
                        SegmentsThatFit(superblock.size_bytes, superblock.segment_bytes) &&
                    superblock.disk_number >= 1 && superblock.disk_number <= kMaxDisks &&
                    CheckDomain(superblock.domain).ok();
  if (!sane) return absl::DataLossError("superblock: values out of range");
  return superblock;
}

}  // namespace strata::ofs
