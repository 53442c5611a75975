// SPDX-License-Identifier: Apache-2.0
#include "format/salvage.h"

#include <algorithm>
#include <cstring>

#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

uint64_t SumOfSizes(std::span<const ChunkEntry> table) {
  uint64_t sum = 0;
  for (const ChunkEntry& entry : table) sum += entry.size_bytes;
  return sum;
}

// One damaged size would move all chunks after it. Where the chunks before it and those after it
// verify, the first counted from the front and the others from the end, it is what remains.
void MendSizes(std::span<const std::byte> raw, std::vector<ChunkEntry>* table) {
  const auto verifies = [&](const ChunkEntry& entry, size_t begin) {
    return entry.size_bytes <= raw.size() - begin &&
           FingerprintOf(raw.subspan(begin, entry.size_bytes)) == entry.fingerprint;
  };
  size_t first = 0;
  size_t begin = 0;
  while (first < table->size() && verifies((*table)[first], begin)) {
    begin += (*table)[first++].size_bytes;
  }
  size_t last = table->size();
  size_t end = raw.size();
  while (last > first + 1) {
    const ChunkEntry& entry = (*table)[last - 1];
    if (entry.size_bytes > end - begin || !verifies(entry, end - entry.size_bytes)) break;
    end -= entry.size_bytes;
    --last;
  }
  if (last == first + 1) (*table)[first].size_bytes = static_cast<uint32_t>(end - begin);
}

}  // namespace

std::vector<uint16_t> SalvagedRegion::lost() const {
  std::vector<uint16_t> lost;
  for (size_t i = 0; i < claimed.size(); ++i) {
    if (actual[i].fingerprint != claimed[i].fingerprint) lost.push_back(static_cast<uint16_t>(i));
  }
  return lost;
}

absl::StatusOr<SalvagedRegion> SalvageRegion(std::span<const std::byte> bytes, Codec& codec,
                                             Cipher* cipher) {
  SalvagedRegion region;
  STRATA_ASSIGN_OR_RETURN(region.header, DecodeRegionHeader(bytes));
  const RegionHeader& header = region.header;
  if (bytes.size() < header.total_bytes()) return absl::DataLossError("region: cut short");
  if (header.sealed != (cipher != nullptr)) {
    return absl::DataLossError("region: encrypted otherwise than the store");
  }
  std::span<const std::byte> body = bytes.subspan(kRegionHeaderBytes, header.body_bytes());
  std::vector<std::byte> opened;
  if (cipher != nullptr) {
    opened = DecryptDamagedRegion(header, body, *cipher);
    body = opened;
  }
  region.claimed.resize(header.chunk_count);
  const std::byte* at = body.data();
  for (ChunkEntry& entry : region.claimed) {
    std::copy(at, at + 32, entry.fingerprint.bytes.begin());
    entry.size_bytes = LoadLe32(at + 32);
    at += kRegionTableEntryBytes;
  }
  region.raw = std::make_unique<std::byte[]>(header.raw_bytes);
  const std::span<std::byte> raw{region.raw.get(), header.raw_bytes};
  // An error says that the rest is missing. What came before it is there, and is told by its
  // fingerprints.
  (void)codec.Decompress(header.codec, body.subspan(header.table_bytes(), header.stored_bytes),
                         raw);
  region.actual = region.claimed;
  if (SumOfSizes(region.actual) != raw.size()) MendSizes(raw, &region.actual);
  size_t begin = 0;
  for (ChunkEntry& entry : region.actual) {
    entry.size_bytes =
        static_cast<uint32_t>(std::min<size_t>(entry.size_bytes, raw.size() - begin));
    entry.fingerprint = FingerprintOf(raw.subspan(begin, entry.size_bytes));
    begin += entry.size_bytes;
  }
  return region;
}

}  // namespace strata::dedup
