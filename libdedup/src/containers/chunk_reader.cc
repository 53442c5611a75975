// SPDX-License-Identifier: Apache-2.0
#include "containers/chunk_reader.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "containers/read_ahead.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr int kMaxMoves = 16;  // A chunk is not moved this often while somebody looks for it.

}  // namespace

std::optional<ChunkBytes> ChunkBytes::Next(const Fingerprint& fingerprint,
                                           uint32_t size_bytes) const {
  if (region == nullptr || ordinal + 1 >= region->table.size()) return std::nullopt;
  const ChunkEntry& next = region->table[ordinal + 1];
  if (next.fingerprint != fingerprint || next.size_bytes != size_bytes) return std::nullopt;
  return ChunkBytes{region, ordinal + 1, region->chunk(ordinal + 1)};
}

absl::StatusOr<std::shared_ptr<const LoadedRegion>> ChunkReader::ReadRegion(const ChunkPlace& place,
                                                                            ReadAhead* ahead) {
  if (ahead != nullptr) {
    if (std::shared_ptr<const LoadedRegion> expected = ahead->Take(place)) {
      options_.containers->Keep(place, expected);
      return expected;
    }
  }
  RegionDamage damage;
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> region =
      options_.containers->ReadRegion(place, &damage);
  if (damage.found) {
    CountCorruption();
    // Where it cannot be written down it counts as long as the store is open.
    if (damage.whole_region || !damage.lost.empty()) {
      (void)options_.index->MarkLost(place.container_id, place.offset_units, damage.lost);
    }
  }
  return region;
}

absl::StatusOr<ChunkBytes> ChunkReader::Read(const Fingerprint& fingerprint, uint32_t size_bytes,
                                             ReadAhead* ahead) {
  absl::Status damage;
  ChunkPlace damaged_place;
  for (int move = 0; move < kMaxMoves; ++move) {
    const absl::StatusOr<FoundChunk> found = options_.index->Find(fingerprint);
    if (absl::IsNotFound(found.status())) {
      CountCorruption();
      return absl::DataLossError(found.status().message());
    }
    STRATA_RETURN_IF_ERROR(found.status());
    const ChunkPlace& place = found->place;
    if (!damage.ok() && place == damaged_place) return damage;
    absl::StatusOr<std::shared_ptr<const LoadedRegion>> region = ReadRegion(place, ahead);
    if (absl::IsNotFound(region.status())) continue;
    if (absl::IsDataLoss(region.status())) {
      // There may be another copy, which the index finds now that this container is known as
      // damaged.
      damage = region.status();
      damaged_place = place;
      continue;
    }
    STRATA_RETURN_IF_ERROR(region.status());
    if (place.ordinal >= (*region)->table.size() ||
        (*region)->table[place.ordinal].fingerprint != fingerprint ||
        (*region)->table[place.ordinal].size_bytes != size_bytes) {
      CountCorruption();
      if (!(*region)->damage.empty()) {
        damage = absl::DataLossError((*region)->damage);
        damaged_place = place;
        continue;
      }
      return absl::DataLossError(absl::StrFormat(
          "dedup: container %d does not hold chunk %s where the index says; rebuild the index",
          place.container_id, fingerprint.ToHex()));
    }
    const std::span<const std::byte> bytes = (*region)->chunk(place.ordinal);
    return ChunkBytes{*std::move(region), place.ordinal, bytes};
  }
  CountCorruption();
  return absl::DataLossError(absl::StrFormat(
      "dedup: chunk %s: the index leads to containers that are not there; rebuild the index",
      fingerprint.ToHex()));
}

}  // namespace strata::dedup
