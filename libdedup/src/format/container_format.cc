// SPDX-License-Identifier: Apache-2.0
#include "format/container_format.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

constexpr uint32_t kHeaderMagic = 0x544E4353;   // "SCNT"
constexpr uint32_t kTrailerMagic = 0x444E4553;  // "SEND"

// Both structures.
constexpr size_t kVersionAt = 4;
constexpr size_t kIdAt = 8;
constexpr size_t kCrcAt = 60;

// The header.
constexpr size_t kUuidAt = 16;
constexpr size_t kSlotAt = 32;
constexpr size_t kContainerBytesAt = 36;
constexpr size_t kCreatedAt = 40;
constexpr size_t kNonceAt = 48;

// The trailer.
constexpr size_t kRegionCountAt = 16;
constexpr size_t kChunkCountAt = 20;
constexpr size_t kRawBytesAt = 24;
constexpr size_t kStoredBytesAt = 32;
constexpr size_t kFooterBytesAt = 40;
constexpr size_t kTableCrcAt = 44;
constexpr size_t kContainerHeaderCrcAt = 48;
constexpr size_t kSealedAt = 52;
constexpr size_t kDeferredAt = 53;
constexpr size_t kDenseAt = 54;
constexpr size_t kRecipeBytesAt = 56;

static_assert(kCrcAt + 4 == kContainerHeaderBytes && kCrcAt + 4 == kContainerTrailerBytes);

// What the seal of a footer vouches for beside its table.
std::array<std::byte, 16> AboutFooter(uint64_t id, uint32_t region_count, uint32_t chunk_count) {
  std::array<std::byte, 16> about;
  StoreLe64(about.data(), id);
  StoreLe32(about.data() + 8, region_count);
  StoreLe32(about.data() + 12, chunk_count);
  return about;
}

absl::Status CheckFrame(const char* what, std::span<const std::byte> bytes, uint32_t magic) {
  const std::byte* at = bytes.data();
  if (LoadLe32(at) != magic) return absl::DataLossError(absl::StrFormat("%s: none here", what));
  if (LoadLe32(at + kCrcAt) != Crc32c({at, kCrcAt})) {
    return absl::DataLossError(absl::StrFormat("%s: checksum does not match", what));
  }
  const uint16_t version = LoadLe16(at + kVersionAt);
  if (version != kFormatVersion) {
    return absl::UnimplementedError(absl::StrFormat("%s: format version %d, this program knows %d",
                                                    what, version, kFormatVersion));
  }
  return absl::OkStatus();
}

}  // namespace

void EncodeContainerHeader(ContainerHeader* header, std::byte* out) {
  std::memset(out, 0, kContainerHeaderBytes);
  StoreLe32(out, kHeaderMagic);
  StoreLe16(out + kVersionAt, kFormatVersion);
  StoreLe64(out + kIdAt, header->id);
  std::copy(header->store_uuid.begin(), header->store_uuid.end(), out + kUuidAt);
  StoreLe32(out + kSlotAt, header->slot);
  StoreLe32(out + kContainerBytesAt, header->container_bytes);
  StoreLe64(out + kCreatedAt, header->created_ns);
  StoreLe64(out + kNonceAt, header->nonce);
  header->header_crc = Crc32c({out, kCrcAt});
  StoreLe32(out + kCrcAt, header->header_crc);
}

absl::StatusOr<ContainerHeader> DecodeContainerHeader(std::span<const std::byte> bytes) {
  if (bytes.size() < kContainerHeaderBytes)
    return absl::DataLossError("container header: cut short");
  if (absl::Status status = CheckFrame("container header", bytes, kHeaderMagic); !status.ok()) {
    return status;
  }
  const std::byte* at = bytes.data();
  ContainerHeader header;
  header.id = LoadLe64(at + kIdAt);
  std::copy(at + kUuidAt, at + kUuidAt + header.store_uuid.size(), header.store_uuid.begin());
  header.slot = LoadLe32(at + kSlotAt);
  header.container_bytes = LoadLe32(at + kContainerBytesAt);
  header.created_ns = LoadLe64(at + kCreatedAt);
  header.nonce = LoadLe64(at + kNonceAt);
  header.header_crc = LoadLe32(at + kCrcAt);
  return header;
}

std::vector<std::byte> EncodeFooter(const ContainerHeader& header,
                                    const ContainerContents& contents, Cipher* cipher) {
  const bool sealed = cipher != nullptr;
  std::vector<std::byte> bytes(
      FooterBytes(contents.regions.size(), contents.chunks.size(), sealed));
  std::byte* at = bytes.data();
  for (const RegionExtent& region : contents.regions) {
    StoreLe32(at, region.offset_units);
    StoreLe32(at + 4, region.size_units);
    StoreLe32(at + 8, region.chunk_count);
    StoreLe32(at + 12, static_cast<uint32_t>(region.kind));
    at += kFooterRegionBytes;
  }
  for (const Fingerprint& chunk : contents.chunks) {
    at = std::copy(chunk.bytes.begin(), chunk.bytes.end(), at);
  }
  if (sealed) {
    cipher->Seal({bytes.data(), static_cast<size_t>(at - bytes.data())},
                 AboutFooter(header.id, static_cast<uint32_t>(contents.regions.size()),
                             static_cast<uint32_t>(contents.chunks.size())),
                 at);
    at += kSealBytes;
  }
  const size_t table_bytes = static_cast<size_t>(at - bytes.data());
  StoreLe32(at, kTrailerMagic);
  StoreLe16(at + kVersionAt, kFormatVersion);
  StoreLe64(at + kIdAt, header.id);
  StoreLe32(at + kRegionCountAt, static_cast<uint32_t>(contents.regions.size()));
  StoreLe32(at + kChunkCountAt, static_cast<uint32_t>(contents.chunks.size()));
  StoreLe64(at + kRawBytesAt, contents.raw_bytes);
  StoreLe64(at + kStoredBytesAt, contents.stored_bytes);
  StoreLe32(at + kFooterBytesAt, static_cast<uint32_t>(bytes.size()));
  StoreLe32(at + kTableCrcAt, Crc32c({bytes.data(), table_bytes}));
  StoreLe32(at + kContainerHeaderCrcAt, header.header_crc);
  at[kSealedAt] = std::byte{sealed};
  at[kDeferredAt] = std::byte{contents.deferred};
  at[kDenseAt] = std::byte{contents.dense};
  StoreLe32(at + kRecipeBytesAt, static_cast<uint32_t>(contents.recipe_bytes));
  StoreLe32(at + kCrcAt, Crc32c({at, kCrcAt}));
  return bytes;
}

absl::StatusOr<DecodedFooter> DecodeFooter(std::span<const std::byte> bytes, Cipher* cipher,
                                           size_t* footer_bytes) {
  if (bytes.size() < kContainerTrailerBytes)
    return absl::DataLossError("container footer: cut short");
  const std::span<const std::byte> trailer = bytes.last(kContainerTrailerBytes);
  if (absl::Status status = CheckFrame("container footer", trailer, kTrailerMagic); !status.ok()) {
    return status;
  }
  const uint32_t region_count = LoadLe32(trailer.data() + kRegionCountAt);
  const uint32_t chunk_count = LoadLe32(trailer.data() + kChunkCountAt);
  *footer_bytes = LoadLe32(trailer.data() + kFooterBytesAt);
  const bool sealed = trailer[kSealedAt] != std::byte{0};
  if (region_count > chunk_count + kMaxJournalRegionsPerContainer ||
      chunk_count > kMaxChunksPerContainer ||
      *footer_bytes != FooterBytes(region_count, chunk_count, sealed)) {
    return absl::DataLossError("container footer: values out of range");
  }
  if (*footer_bytes > bytes.size()) return absl::OutOfRangeError("container footer: read more");

  std::span<const std::byte> table =
      bytes.last(*footer_bytes).first(*footer_bytes - kContainerTrailerBytes);
  if (LoadLe32(trailer.data() + kTableCrcAt) != Crc32c(table)) {
    return absl::DataLossError("container footer: checksum does not match");
  }
  DecodedFooter footer;
  footer.container_id = LoadLe64(trailer.data() + kIdAt);
  if (sealed != (cipher != nullptr)) {
    return absl::DataLossError(sealed ? "container footer: encrypted, in a store that is not"
                                      : "container footer: not encrypted, in a store that is");
  }
  std::vector<std::byte> opened;
  if (cipher != nullptr) {
    opened.resize(table.size() - kSealBytes);
    if (absl::Status status = cipher->Open(
            table.first(opened.size()), AboutFooter(footer.container_id, region_count, chunk_count),
            table.last(kSealBytes).data(), opened);
        !status.ok()) {
      return absl::Status(status.code(),
                          absl::StrFormat("container footer: %s", std::string(status.message())));
    }
    table = opened;
  }
  footer.container_header_crc = LoadLe32(trailer.data() + kContainerHeaderCrcAt);
  footer.contents.raw_bytes = LoadLe64(trailer.data() + kRawBytesAt);
  footer.contents.stored_bytes = LoadLe64(trailer.data() + kStoredBytesAt);
  footer.contents.recipe_bytes = LoadLe32(trailer.data() + kRecipeBytesAt);
  if (footer.contents.recipe_bytes > footer.contents.raw_bytes ||
      footer.contents.recipe_bytes > footer.contents.stored_bytes) {
    return absl::DataLossError("container footer: values out of range");
  }
  footer.contents.deferred = trailer[kDeferredAt] != std::byte{0};
  footer.contents.dense = trailer[kDenseAt] != std::byte{0};
  footer.contents.regions.resize(region_count);
  footer.contents.chunks.resize(chunk_count);
  const std::byte* at = table.data();
  uint64_t listed = 0;
  for (RegionExtent& region : footer.contents.regions) {
    region.offset_units = LoadLe32(at);
    region.size_units = LoadLe32(at + 4);
    region.chunk_count = LoadLe32(at + 8);
    region.kind = static_cast<RegionKind>(LoadLe32(at + 12));
    listed += region.chunk_count;
    if (region.kind == RegionKind::kJournal) {
      ++footer.contents.journal_regions;
      footer.contents.journal_bytes += uint64_t{region.size_units} * kUnitBytes;
    }
    at += kFooterRegionBytes;
  }
  if (listed != chunk_count) {
    return absl::DataLossError("container footer: regions and chunks do not agree");
  }
  for (Fingerprint& chunk : footer.contents.chunks) {
    std::copy(at, at + kFooterChunkBytes, chunk.bytes.begin());
    at += kFooterChunkBytes;
  }
  return footer;
}

}  // namespace strata::dedup
