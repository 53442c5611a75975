// SPDX-License-Identifier: Apache-2.0
//
// What is left of a region that does not pass its checks. A chunk is known by its SHA-256, so each
// one can be told whole or lost by itself, as far as the bytes before it still decompress. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "format/cipher.h"
#include "format/codec.h"
#include "format/region_format.h"

namespace strata::dedup {

struct SalvagedRegion {
  RegionHeader header;
  std::vector<ChunkEntry> claimed;  // The table as it stands there, damaged perhaps.
  // Each chunk's fingerprint is that of the bytes that are there: where it is the wanted one, the
  // chunk is whole.
  std::vector<ChunkEntry> actual;
  std::unique_ptr<std::byte[]> raw;

  std::vector<uint16_t> lost() const;  // Chunks whose bytes are not what the table says.
};

// `bytes` begins with the region. DataLoss: its header is damaged, and with it everything.
absl::StatusOr<SalvagedRegion> SalvageRegion(std::span<const std::byte> bytes, Codec& codec,
                                             Cipher* cipher);

}  // namespace strata::dedup
