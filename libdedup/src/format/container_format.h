// SPDX-License-Identifier: Apache-2.0
//
// A container: a slot of the device that is filled from its start by a header and regions, and
// closed by a footer in its last bytes that lists every chunk. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "format/cipher.h"
#include "format/layout.h"
#include "format/region_format.h"
#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

inline constexpr size_t kContainerHeaderBytes = 64;
inline constexpr size_t kContainerTrailerBytes = 64;
inline constexpr size_t kFooterRegionBytes = 16;
inline constexpr size_t kFooterChunkBytes = 32;

struct ContainerHeader {
  uint64_t id = 0;
  Uuid store_uuid{};
  uint32_t slot = 0;
  uint32_t container_bytes = 0;
  uint64_t created_ns = 0;
  uint64_t nonce = 0;       // Random: two lives of a slot never share a chain of checksums.
  uint32_t header_crc = 0;  // Set by encoding and decoding.
};

// kContainerHeaderBytes bytes at `out`; sets header->header_crc.
void EncodeContainerHeader(ContainerHeader* header, std::byte* out);

// DataLoss, Unimplemented as ever.
absl::StatusOr<ContainerHeader> DecodeContainerHeader(std::span<const std::byte> bytes);

// One region as the footer lists it.
struct RegionExtent {
  uint32_t offset_units = 0;
  uint32_t size_units = 0;
  uint32_t chunk_count = 0;
  RegionKind kind = RegionKind::kData;
};

// What a container holds, in the order it was written.
struct ContainerContents {
  std::vector<RegionExtent> regions;
  std::vector<Fingerprint> chunks;  // All regions', one after the other.
  uint64_t raw_bytes = 0;           // Of chunks, before compression.
  uint64_t stored_bytes = 0;        // And after, without headers and tables.
  uint64_t recipe_bytes = 0;        // Of both, those of recipe nodes, which are never compressed.
  bool deferred = false;            // The compression of some of it.
  bool dense = true;                // Every data region.
  uint32_t journal_regions = 0;     // Of `regions`; they count nowhere else.
  uint64_t journal_bytes = 0;       // On the device.

  uint32_t recipe_count() const {
    uint32_t count = 0;
    for (const RegionExtent& region : regions) {
      if (region.kind == RegionKind::kRecipes) count += region.chunk_count;
    }
    return count;
  }
};

constexpr size_t FooterBytes(size_t region_count, size_t chunk_count, bool sealed) {
  return region_count * kFooterRegionBytes + chunk_count * kFooterChunkBytes +
         (sealed ? kSealBytes : 0) + kContainerTrailerBytes;
}

// FooterBytes() bytes, which belong at the very end of the slot.
std::vector<std::byte> EncodeFooter(const ContainerHeader& header,
                                    const ContainerContents& contents, Cipher* cipher);

// `bytes` ends with the slot. OutOfRange: the footer is longer than `bytes`; footer_bytes is set,
// read again.
struct DecodedFooter {
  ContainerContents contents;
  uint64_t container_id = 0;
  uint32_t container_header_crc = 0;
};
absl::StatusOr<DecodedFooter> DecodeFooter(std::span<const std::byte> bytes, Cipher* cipher,
                                           size_t* footer_bytes);

}  // namespace strata::dedup
