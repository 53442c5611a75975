// SPDX-License-Identifier: Apache-2.0
#include "format/region_format.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr uint32_t kMagic = 0x4E475253;  // "SRGN"

constexpr size_t kVersionAt = 4;
constexpr size_t kCodecAt = 6;
constexpr size_t kKindAt = 7;
constexpr size_t kContainerIdAt = 8;
constexpr size_t kSequenceAt = 16;
constexpr size_t kOffsetUnitsAt = 20;
constexpr size_t kRawBytesAt = 24;
constexpr size_t kStoredBytesAt = 28;
constexpr size_t kChunkCountAt = 32;
constexpr size_t kPreviousCrcAt = 36;
constexpr size_t kBodyCrcAt = 40;
constexpr size_t kSealedAt = 44;
constexpr size_t kDeferredAt = 45;
constexpr size_t kToldMethodAt = 46;  // The method plus one; 0: the writer did not say.
constexpr size_t kToldLevelAt = 47;
constexpr size_t kContainerNonceAt = 48;
constexpr size_t kToldRegionBytesAt = 56;
constexpr size_t kHeaderCrcAt = 60;
static_assert(kHeaderCrcAt + 4 == kRegionHeaderBytes);
static_assert(kRegionHeaderBytes % kUnitBytes == 0);

// What the seal vouches for beside table and payload.
std::array<std::byte, 16> AboutRegion(const RegionHeader& header) {
  std::array<std::byte, 16> about{};
  about[0] = static_cast<std::byte>(header.codec);
  about[1] = static_cast<std::byte>(header.kind);
  StoreLe32(about.data() + 4, header.raw_bytes);
  StoreLe32(about.data() + 8, header.stored_bytes);
  StoreLe32(about.data() + 12, header.chunk_count);
  return about;
}

// A hint: what makes no sense counts as not told.
std::optional<CompressionSettings> LoadSettings(const std::byte* at) {
  if (at[kToldMethodAt] == std::byte{0}) return std::nullopt;
  const CompressionSettings settings =
      Canonical({.method = static_cast<Compression>(static_cast<uint8_t>(at[kToldMethodAt]) - 1),
                 .level = static_cast<int8_t>(at[kToldLevelAt]),
                 .region_bytes = LoadLe32(at + kToldRegionBytesAt)});
  if (!CheckCompression(settings).ok()) return std::nullopt;
  return settings;
}

void StoreTable(std::span<const ChunkEntry> table, std::byte* at) {
  for (const ChunkEntry& entry : table) {
    std::copy(entry.fingerprint.bytes.begin(), entry.fingerprint.bytes.end(), at);
    StoreLe32(at + 32, entry.size_bytes);
    at += kRegionTableEntryBytes;
  }
}

// The header, and a table of so many chunks.
std::byte* PrepareBuffer(std::span<const ChunkEntry> table, size_t payload_bytes,
                         EncodedRegion* region) {
  region->table.assign(table.begin(), table.end());
  region->header.chunk_count = static_cast<uint32_t>(table.size());
  const size_t payload_at = kRegionHeaderBytes + region->header.table_bytes();
  const size_t most_bytes = AlignUp(payload_at + payload_bytes + kSealBytes, kUnitBytes);
  if (region->buffer.size() < most_bytes) region->buffer.resize(most_bytes);
  StoreTable(table, region->buffer.data() + kRegionHeaderBytes);
  return region->buffer.data() + payload_at;
}

// Encrypts where there is a cipher. The payload lies at `payload`, or is region->uncompressed.
void Complete(Cipher* cipher, std::byte* payload, EncodedRegion* region) {
  RegionHeader& header = region->header;
  std::byte* const bytes = region->buffer.data();
  if (cipher != nullptr) {
    const std::span<const std::byte> outside = std::exchange(region->uncompressed, {});
    if (!outside.empty()) std::memcpy(payload, outside.data(), outside.size());
    header.sealed = true;
    cipher->Seal({bytes + kRegionHeaderBytes, header.table_bytes() + header.stored_bytes},
                 AboutRegion(header), payload + header.stored_bytes);
  }
  region->front = {bytes, header.total_bytes() - region->uncompressed.size()};
  region->padding_bytes = region->size_bytes() - header.total_bytes();
  header.body_crc =
      ExtendCrc32c(Crc32c(region->front.subspan(kRegionHeaderBytes)), region->uncompressed);
}

}  // namespace

void EncodeRegion(RegionKind kind, std::span<const ChunkEntry> table,
                  std::span<const std::byte> raw, Compression method, int level, Codec& codec,
                  Cipher* cipher, EncodedRegion* region) {
  RegionHeader& header = region->header;
  header = {};
  header.kind = kind;
  header.raw_bytes = static_cast<uint32_t>(raw.size());
  std::byte* const payload = PrepareBuffer(table, raw.size(), region);

  const size_t worthwhile = raw.size() - raw.size() / 16;
  const size_t compressed = codec.Compress(method, level, raw, {payload, worthwhile});
  header.codec = compressed == 0 ? Compression::kNone : method;
  header.stored_bytes = static_cast<uint32_t>(compressed == 0 ? raw.size() : compressed);
  region->uncompressed = compressed == 0 ? raw : std::span<const std::byte>();
  Complete(cipher, payload, region);
}

void CopyRegion(const DecodedRegion& from, Cipher* cipher, EncodedRegion* region) {
  RegionHeader& header = region->header;
  header = {};
  header.kind = from.header.kind;
  header.codec = from.header.codec;
  header.raw_bytes = from.header.raw_bytes;
  header.stored_bytes = from.header.stored_bytes;
  header.deferred = from.header.deferred;
  header.settings = from.header.settings;
  const size_t inside = cipher != nullptr ? from.payload.size() : 0;
  std::byte* const payload = PrepareBuffer(from.table, inside, region);
  region->uncompressed = from.payload;
  Complete(cipher, payload, region);
}

void PlaceRegion(const RegionPlace& place, EncodedRegion* region) {
  RegionHeader& header = region->header;
  header.container_id = place.container_id;
  header.container_nonce = place.container_nonce;
  header.sequence = place.sequence;
  header.offset_units = place.offset_units;
  header.previous_crc = place.previous_crc;
  std::byte* at = region->front.data();
  std::memset(at, 0, kRegionHeaderBytes);
  StoreLe32(at, kMagic);
  StoreLe16(at + kVersionAt, kFormatVersion);
  at[kCodecAt] = static_cast<std::byte>(header.codec);
  at[kKindAt] = static_cast<std::byte>(header.kind);
  StoreLe64(at + kContainerIdAt, header.container_id);
  StoreLe64(at + kContainerNonceAt, header.container_nonce);
  StoreLe32(at + kSequenceAt, header.sequence);
  StoreLe32(at + kOffsetUnitsAt, header.offset_units);
  StoreLe32(at + kRawBytesAt, header.raw_bytes);
  StoreLe32(at + kStoredBytesAt, header.stored_bytes);
  StoreLe32(at + kChunkCountAt, header.chunk_count);
  StoreLe32(at + kPreviousCrcAt, header.previous_crc);
  StoreLe32(at + kBodyCrcAt, header.body_crc);
  at[kSealedAt] = std::byte{header.sealed};
  at[kDeferredAt] = std::byte{header.deferred};
  if (header.settings.has_value()) {
    at[kToldMethodAt] = static_cast<std::byte>(static_cast<int>(header.settings->method) + 1);
    at[kToldLevelAt] = static_cast<std::byte>(header.settings->level);
    StoreLe32(at + kToldRegionBytesAt, header.settings->region_bytes);
  }
  header.header_crc = Crc32c({at, kHeaderCrcAt});
  StoreLe32(at + kHeaderCrcAt, header.header_crc);
}

absl::StatusOr<RegionHeader> DecodeRegionHeader(std::span<const std::byte> bytes) {
  if (bytes.size() < kRegionHeaderBytes) return absl::DataLossError("region header: cut short");
  const std::byte* at = bytes.data();
  if (LoadLe32(at) != kMagic) return absl::DataLossError("region header: no region begins here");
  RegionHeader header;
  header.header_crc = LoadLe32(at + kHeaderCrcAt);
  if (header.header_crc != Crc32c({at, kHeaderCrcAt})) {
    return absl::DataLossError("region header: checksum does not match");
  }
  const uint16_t version = LoadLe16(at + kVersionAt);
  if (version != kFormatVersion) {
    return absl::UnimplementedError(absl::StrFormat(
        "region header: format version %d, this program knows %d", version, kFormatVersion));
  }
  header.codec = static_cast<Compression>(at[kCodecAt]);
  header.kind = static_cast<RegionKind>(at[kKindAt]);
  header.container_id = LoadLe64(at + kContainerIdAt);
  header.container_nonce = LoadLe64(at + kContainerNonceAt);
  header.sequence = LoadLe32(at + kSequenceAt);
  header.offset_units = LoadLe32(at + kOffsetUnitsAt);
  header.raw_bytes = LoadLe32(at + kRawBytesAt);
  header.stored_bytes = LoadLe32(at + kStoredBytesAt);
  header.chunk_count = LoadLe32(at + kChunkCountAt);
  header.previous_crc = LoadLe32(at + kPreviousCrcAt);
  header.body_crc = LoadLe32(at + kBodyCrcAt);
  header.sealed = at[kSealedAt] != std::byte{0};
  header.deferred = at[kDeferredAt] != std::byte{0};
  header.settings = LoadSettings(at);
  if (header.raw_bytes > kMaxRegionRawBytes || header.stored_bytes > header.raw_bytes ||
      header.chunk_count > kMaxChunksPerRegion) {
    return absl::DataLossError("region header: values out of range");
  }
  return header;
}

absl::StatusOr<DecodedRegion> DecodeRegion(std::span<const std::byte> bytes, Cipher* cipher) {
  DecodedRegion region;
  STRATA_ASSIGN_OR_RETURN(region.header, DecodeRegionHeader(bytes));
  const RegionHeader& header = region.header;
  if (bytes.size() < header.total_bytes()) return absl::DataLossError("region: cut short");
  std::span<const std::byte> body = bytes.subspan(kRegionHeaderBytes, header.body_bytes());
  if (header.body_crc != Crc32c(body)) {
    return absl::DataLossError("region: checksum does not match");
  }
  if (header.sealed != (cipher != nullptr)) {
    return absl::DataLossError(header.sealed ? "region: encrypted, in a store that is not"
                                             : "region: not encrypted, in a store that is");
  }
  if (cipher != nullptr) {
    const std::span<const std::byte> sealed = body.first(body.size() - kSealBytes);
    region.opened.resize(sealed.size());
    if (absl::Status status =
            cipher->Open(sealed, AboutRegion(header), body.last(kSealBytes).data(), region.opened);
        !status.ok()) {
      return absl::Status(status.code(),
                          absl::StrFormat("region: %s", std::string(status.message())));
    }
    body = region.opened;
  }
  region.table.resize(header.chunk_count);
  uint64_t raw_bytes = 0;
  const std::byte* at = body.data();
  for (ChunkEntry& entry : region.table) {
    std::copy(at, at + 32, entry.fingerprint.bytes.begin());
    entry.size_bytes = LoadLe32(at + 32);
    raw_bytes += entry.size_bytes;
    at += kRegionTableEntryBytes;
  }
  const bool is_journal = header.kind == RegionKind::kJournal;
  if (is_journal ? header.chunk_count != 0 : raw_bytes != header.raw_bytes) {
    return absl::DataLossError("region: sizes of the chunks do not add up");
  }
  region.payload = body.subspan(header.table_bytes());
  return region;
}

std::vector<std::byte> DecryptDamagedRegion(const RegionHeader& header,
                                            std::span<const std::byte> body, Cipher& cipher) {
  std::vector<std::byte> text(header.table_bytes() + header.stored_bytes);
  (void)cipher.Open(body.first(text.size()), AboutRegion(header), body.last(kSealBytes).data(),
                    text);
  return text;
}

}  // namespace strata::dedup
