// SPDX-License-Identifier: Apache-2.0
#include "format/stripe_head.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::ofs {
namespace {

constexpr char kMagic[4] = {'O', 'F', 'S', 'H'};
constexpr uint16_t kVersion = 1;

constexpr size_t kVersionAt = 4;
constexpr size_t kKindAt = 6;
constexpr size_t kDataUnitsAt = 7;
constexpr size_t kParityUnitsAt = 8;
constexpr size_t kLocalGroupsAt = 9;
constexpr size_t kUnitAt = 10;
constexpr size_t kGranuleAt = 11;
constexpr size_t kUnitBlocksAt = 12;
constexpr size_t kRecordCountAt = 14;
constexpr size_t kFilesystemAt = 16;
constexpr size_t kGroupAt = 32;
constexpr size_t kColumnAt = 40;
constexpr size_t kPayloadBytesAt = 44;
constexpr size_t kBirthAt = 48;
constexpr size_t kFeaturesAt = 56;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kCrcAt = kBlockBytes - 4;

constexpr size_t kRecordBytes = 32;
constexpr size_t kFileOffsetAt = 8;
constexpr size_t kPayloadOffsetAt = 16;
constexpr size_t kStoredBytesAt = 20;
constexpr size_t kRawBytesAt = 24;
constexpr size_t kCodecAt = 28;
constexpr size_t kRecordKindAt = 29;  // 0: a piece of a file.

constexpr uint32_t kMaxGranuleBlocks = 32;
constexpr uint32_t kMaxColumn = kMaxSegmentBytes / kBlockBytes;

int ChecksummedUnits(const Protection& protection) {
  return protection.kind == Protection::Kind::kMirror ? 1 : protection.total_units();
}

size_t HeadBytes(const Protection& protection, uint32_t unit_blocks, uint32_t granule_blocks,
                 size_t record_count) {
  return kHeaderBytes + record_count * kRecordBytes +
         4 * ChecksummedUnits(protection) * DivideUp(unit_blocks, granule_blocks);
}

static_assert(kHeaderBytes + kMaxStripeRecords * kRecordBytes + 4 * kMaxUnits <= kCrcAt);

absl::Status CheckRecords(const StripeHead& head) {
  const auto bad = [](size_t i, absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("record ", i, " ", why));
  };
  uint64_t end = 0;
  for (size_t i = 0; i < head.records.size(); ++i) {
    const StripeRecord& record = head.records[i];
    if (record.codec > Codec::kZstd) return bad(i, "has an unknown codec");
    if (record.stored_bytes == 0 || record.raw_bytes == 0) return bad(i, "is empty");
    const bool compressed = record.codec != Codec::kNone;
    if (compressed ? record.stored_bytes >= record.raw_bytes
                   : record.stored_bytes != record.raw_bytes) {
      return bad(i, "has sizes that do not fit its codec");
    }
    if (record.payload_offset < end) return bad(i, "overlaps the one before it");
    end = uint64_t{record.payload_offset} + record.stored_bytes;
    if (end > head.payload_bytes) return bad(i, "lies outside the payload");
    if (record.inode == 0) return bad(i, "names no file");
    if (record.file_offset > (uint64_t{1} << 60)) return bad(i, "is beyond the longest file");
  }
  return absl::OkStatus();
}

}  // namespace

uint32_t ChooseGranuleBlocks(const Protection& protection, uint32_t unit_blocks,
                             size_t record_count) {
  STRATA_CHECK(record_count <= kMaxStripeRecords, "too many records for a stripe");
  uint32_t granule = 1;
  while (HeadBytes(protection, unit_blocks, granule, record_count) > kCrcAt) granule *= 2;
  return granule;
}

void AppendChecksums(std::span<const std::byte> unit, uint32_t granule_blocks,
                     std::vector<uint32_t>* checksums) {
  STRATA_CHECK(unit.size() % kBlockBytes == 0, "a unit has whole blocks");
  const size_t granule_bytes = size_t{granule_blocks} * kBlockBytes;
  for (size_t at = 0; at < unit.size(); at += granule_bytes) {
    checksums->push_back(Crc32c(unit.subspan(at, std::min(granule_bytes, unit.size() - at))));
  }
}

absl::Status CheckStripeHead(const StripeHead& head) {
  if (absl::Status status = CheckProtection(head.protection); !status.ok()) return status;
  const auto bad = [](absl::string_view what) { return absl::InvalidArgumentError(what); };
  if (head.unit_blocks < 1 || head.unit_blocks > kMaxUnitBlocks) return bad("unit length");
  if (head.group == 0) return bad("group number 0");
  if (head.column > kMaxColumn - 1 - head.unit_blocks) return bad("column beyond any segment");
  if (head.payload_bytes == 0 ||
      head.payload_bytes > uint64_t{head.protection.data_units} * head.unit_blocks * kBlockBytes) {
    return bad("payload length");
  }
  if (head.records.size() > kMaxStripeRecords) return bad("too many records");
  if (!std::has_single_bit(head.granule_blocks) || head.granule_blocks > kMaxGranuleBlocks) {
    return bad("granule");
  }
  if (HeadBytes(head.protection, head.unit_blocks, head.granule_blocks, head.records.size()) >
      kCrcAt) {
    return bad("more records and checksums than a head has room for");
  }
  if (head.checksums.size() !=
      size_t{head.granules_per_unit()} * ChecksummedUnits(head.protection)) {
    return bad("number of checksums");
  }
  return CheckRecords(head);
}

void EncodeStripeHead(const StripeHead& head, int unit, std::span<std::byte> block) {
  STRATA_CHECK(block.size() == kBlockBytes, "a head is one block");
  const absl::Status checked = CheckStripeHead(head);
  STRATA_CHECK(checked.ok(), checked.ToString());
  STRATA_CHECK(unit >= 0 && unit < head.protection.total_units(), "no such unit");
  std::byte* const at = block.data();
  std::memset(at, 0, kBlockBytes);
  std::memcpy(at, kMagic, sizeof(kMagic));
  StoreLe16(at + kVersionAt, kVersion);
  at[kKindAt] = static_cast<std::byte>(head.protection.kind);
  at[kDataUnitsAt] = std::byte{head.protection.data_units};
  at[kParityUnitsAt] = std::byte{head.protection.parity_units};
  at[kLocalGroupsAt] = std::byte{head.protection.local_groups};
  at[kUnitAt] = static_cast<std::byte>(unit);
  at[kGranuleAt] = static_cast<std::byte>(head.granule_blocks);
  StoreLe16(at + kUnitBlocksAt, static_cast<uint16_t>(head.unit_blocks));
  StoreLe16(at + kRecordCountAt, static_cast<uint16_t>(head.records.size()));
  std::copy(head.filesystem.begin(), head.filesystem.end(), at + kFilesystemAt);
  StoreLe64(at + kGroupAt, head.group);
  StoreLe32(at + kColumnAt, head.column);
  StoreLe32(at + kPayloadBytesAt, head.payload_bytes);
  StoreLe64(at + kBirthAt, head.birth);
  std::byte* next = at + kHeaderBytes;
  for (const StripeRecord& record : head.records) {
    StoreLe64(next, record.inode);
    StoreLe64(next + kFileOffsetAt, record.file_offset);
    StoreLe32(next + kPayloadOffsetAt, record.payload_offset);
    StoreLe32(next + kStoredBytesAt, record.stored_bytes);
    StoreLe32(next + kRawBytesAt, record.raw_bytes);
    next[kCodecAt] = static_cast<std::byte>(record.codec);
    next += kRecordBytes;
  }
  for (const uint32_t checksum : head.checksums) {
    StoreLe32(next, checksum);
    next += 4;
  }
  StoreLe32(at + kCrcAt, Crc32c({at, kCrcAt}));
}

absl::StatusOr<DecodedStripeHead> DecodeStripeHead(std::span<const std::byte> block) {
  if (block.size() != kBlockBytes) return absl::DataLossError("stripe head: not one block");
  const std::byte* const at = block.data();
  if (std::memcmp(at, kMagic, sizeof(kMagic)) != 0) return absl::NotFoundError("no stripe head");
  if (LoadLe32(at + kCrcAt) != Crc32c({at, kCrcAt})) {
    return absl::DataLossError("stripe head: the checksum does not match");
  }
  const uint16_t version = LoadLe16(at + kVersionAt);
  if (version != kVersion || LoadLe64(at + kFeaturesAt) != 0) {
    return absl::UnimplementedError(
        absl::StrCat("stripe head: format version ", version, " with features 0x",
                     absl::Hex(LoadLe64(at + kFeaturesAt)), ", this program knows version ",
                     kVersion, " without any"));
  }
  DecodedStripeHead decoded;
  StripeHead& head = decoded.head;
  head.protection = {
      static_cast<Protection::Kind>(at[kKindAt]), static_cast<uint8_t>(at[kDataUnitsAt]),
      static_cast<uint8_t>(at[kParityUnitsAt]), static_cast<uint8_t>(at[kLocalGroupsAt])};
  decoded.unit = static_cast<int>(at[kUnitAt]);
  head.granule_blocks = static_cast<uint32_t>(at[kGranuleAt]);
  head.unit_blocks = LoadLe16(at + kUnitBlocksAt);
  std::copy_n(at + kFilesystemAt, head.filesystem.size(), head.filesystem.begin());
  head.group = LoadLe64(at + kGroupAt);
  head.column = LoadLe32(at + kColumnAt);
  head.payload_bytes = LoadLe32(at + kPayloadBytesAt);
  head.birth = LoadLe64(at + kBirthAt);
  const auto bad = [](absl::string_view what) {
    return absl::DataLossError(absl::StrCat("stripe head: ", what));
  };
  const size_t record_count = LoadLe16(at + kRecordCountAt);
  if (absl::Status status = CheckProtection(head.protection); !status.ok()) {
    return bad(status.message());
  }
  if (record_count > kMaxStripeRecords || head.unit_blocks < 1 ||
      head.unit_blocks > kMaxUnitBlocks || !std::has_single_bit(head.granule_blocks) ||
      head.granule_blocks > kMaxGranuleBlocks ||
      HeadBytes(head.protection, head.unit_blocks, head.granule_blocks, record_count) > kCrcAt) {
    return bad("more records and checksums than it has room for");
  }
  if (decoded.unit >= head.protection.total_units()) return bad("no such unit");
  const std::byte* next = at + kHeaderBytes;
  head.records.reserve(record_count);
  for (size_t i = 0; i < record_count; ++i, next += kRecordBytes) {
    if (next[kRecordKindAt] != std::byte{0}) {
      return absl::UnimplementedError(
          absl::StrCat("stripe head: record ", i, " is of a kind that this program does not know"));
    }
    head.records.push_back({LoadLe64(next), LoadLe64(next + kFileOffsetAt),
                            LoadLe32(next + kPayloadOffsetAt), LoadLe32(next + kStoredBytesAt),
                            LoadLe32(next + kRawBytesAt), static_cast<Codec>(next[kCodecAt])});
  }
  const size_t checksum_count =
      size_t{head.granules_per_unit()} * ChecksummedUnits(head.protection);
  head.checksums.reserve(checksum_count);
  for (size_t i = 0; i < checksum_count; ++i, next += 4) head.checksums.push_back(LoadLe32(next));
  if (absl::Status status = CheckStripeHead(head); !status.ok()) return bad(status.message());
  return decoded;
}

}  // namespace strata::ofs
