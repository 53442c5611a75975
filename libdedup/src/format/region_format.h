// SPDX-License-Identifier: Apache-2.0
//
// A region: chunks that were compressed together, with a table of what they are. Regions follow
// each other in a container; each names its container, its place, and the checksum of the one
// before it, so that a leftover of earlier use can never be taken for the next. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "format/cipher.h"
#include "format/codec.h"
#include "format/layout.h"
#include "strata/dedup/fingerprint.h"
#include "strata/dedup/types.h"

namespace strata::dedup {

inline constexpr size_t kRegionHeaderBytes = 64;
inline constexpr size_t kRegionTableEntryBytes = 36;

// Journal regions hold no chunks: their payload is a part of a record (journal_format.h).
enum class RegionKind : uint8_t { kData = 0, kRecipes = 1, kJournal = 2 };

struct ChunkEntry {
  Fingerprint fingerprint;
  uint32_t size_bytes = 0;
};

struct RegionHeader {
  uint64_t container_id = 0;
  uint64_t container_nonce = 0;  // As in the container's header. A secret: see RegionPlace.
  uint32_t sequence = 0;         // 0, 1, 2 ... within the container.
  uint32_t offset_units = 0;     // From the start of the container.
  uint32_t raw_bytes = 0;
  uint32_t stored_bytes = 0;
  uint32_t chunk_count = 0;
  uint32_t previous_crc = 0;  // header_crc of the region before, or of the container's header.
  uint32_t body_crc = 0;      // Of table and payload.
  uint32_t header_crc = 0;
  Compression codec = Compression::kNone;
  RegionKind kind = RegionKind::kData;
  bool sealed = false;    // Encrypted, and followed by a seal.
  bool deferred = false;  // Not compressed yet, for garbage collection to do.
  // How the writer was told to compress, whatever became of it: for whoever copies the chunks.
  // Nothing: an older writer did not say. Canonical.
  std::optional<CompressionSettings> settings = std::nullopt;

  // Compressing it harder was done, or would gain nothing.
  bool dense() const {
    return !deferred &&
           (codec == Compression::kNone || (settings.has_value() && CompressesHard(*settings)));
  }
  size_t table_bytes() const { return chunk_count * kRegionTableEntryBytes; }
  size_t body_bytes() const { return table_bytes() + stored_bytes + (sealed ? kSealBytes : 0); }
  size_t total_bytes() const { return kRegionHeaderBytes + body_bytes(); }
  uint32_t size_units() const {
    return static_cast<uint32_t>(AlignUp(total_bytes(), kUnitBytes) / kUnitBytes);
  }
};

// A region without its place yet: `front`, `uncompressed` and `padding_bytes` zeroes follow each
// other. The first kRegionHeaderBytes of `front` are left for PlaceRegion(). Encoding the next
// region into the same object saves the memory's being made anew.
struct EncodedRegion {
  RegionHeader header;
  std::vector<ChunkEntry> table;
  std::span<std::byte> front;               // Of `buffer`.
  std::span<const std::byte> uncompressed;  // The payload where it is stored as it came.
  size_t padding_bytes = 0;
  std::vector<std::byte> buffer;

  size_t size_bytes() const { return size_t{header.size_units()} * kUnitBytes; }
};

// Compresses where that saves at least a sixteenth; encrypts where there is a cipher. What is
// neither is not copied: `raw` outlives the use of `region`. REQUIRES: the sizes in `table` add up
// to raw.size(), or it is a journal region and the table is empty.
void EncodeRegion(RegionKind kind, std::span<const ChunkEntry> table,
                  std::span<const std::byte> raw, Compression method, int level, Codec& codec,
                  Cipher* cipher, EncodedRegion* region);

// Where a region stands. The nonce tells a region from bytes that a client stored and that look
// like one: a scan that steps over damage meets those too.
struct RegionPlace {
  uint64_t container_id = 0;
  uint64_t container_nonce = 0;
  uint32_t sequence = 0;
  uint32_t offset_units = 0;
  uint32_t previous_crc = 0;
};

// Writes the header with its place into region->front.
void PlaceRegion(const RegionPlace& place, EncodedRegion* region);

// Reads and checks a header alone. DataLoss says what is wrong; Unimplemented: a newer format.
absl::StatusOr<RegionHeader> DecodeRegionHeader(std::span<const std::byte> bytes);

// Checks everything, and decrypts. `bytes` begins with the region and may go on behind it. `cipher`
// is the store's; with one, a region that is not encrypted is DataLoss, and the other way round.
struct DecodedRegion {
  RegionHeader header;
  std::vector<ChunkEntry> table;
  std::span<const std::byte> payload;  // Within `bytes`, or within `opened`.
  std::vector<std::byte> opened;       // What was encrypted.
};
absl::StatusOr<DecodedRegion> DecodeRegion(std::span<const std::byte> bytes, Cipher* cipher);

// The chunks and the payload of `from` as they are, to be written elsewhere; encrypted once more
// where there is a cipher. `from`, and the bytes that it lies in, outlive the use of `region`.
void CopyRegion(const DecodedRegion& from, Cipher* cipher, EncodedRegion* region);

// The table and payload of an encrypted region whose seal does not vouch for them: nothing of it
// may be believed that its fingerprint does not show. `body` is header.body_bytes() long.
std::vector<std::byte> DecryptDamagedRegion(const RegionHeader& header,
                                            std::span<const std::byte> body, Cipher& cipher);

}  // namespace strata::dedup
