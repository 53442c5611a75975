// SPDX-License-Identifier: Apache-2.0
#include "fragments.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "containers/read_ahead.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr size_t kMaxRegions = 1u << 20;
constexpr size_t kRecentOrdinals = 256;

}  // namespace

Fragments::Fragments(StoreCore* core, PinSet* pins, uint64_t first_own)
    : core_(core),
      first_own_(first_own),
      builder_(core, RegionKind::kData, pins, RegionBuilder::Owner::kWriter) {}

bool Fragments::Sparse(const Use& use) const {
  return static_cast<double>(use.ordinals.size()) <
         core_->options.rewrite_below_use * use.region_chunks;
}

void Fragments::Note(const FoundChunk& found) {
  if (core_->options.rewrite_below_use <= 0) return;
  ++noted_chunks_;
  const ChunkPlace& place = found.place;
  if (place.container_id >= first_own_) return;
  auto known = uses_.find(KeyOf(place));
  if (known == uses_.end()) {
    if (uses_.size() >= kMaxRegions) return;
    known = uses_
                .emplace(KeyOf(place),
                         Use{.first = uses_.size(),
                             .size_units = place.size_units,
                             .region_chunks = found.region_chunks == 0 ? kMaxChunksPerRegion
                                                                       : found.region_chunks})
                .first;
  }
  Use& use = known->second;
  if (!use.sparse) return;
  // A chunk that comes again later counts twice: that is cheaper than to look through all of a long
  // list, and nothing is copied twice.
  const auto recent =
      use.ordinals.end() - static_cast<ptrdiff_t>(std::min(use.ordinals.size(), kRecentOrdinals));
  if (std::find(recent, use.ordinals.end(), place.ordinal) != use.ordinals.end()) return;
  use.ordinals.push_back(place.ordinal);
  if (Sparse(use)) return;
  use.sparse = false;
  use.ordinals = {};
}

std::vector<ChunkPlace> Fragments::Choose(uint64_t budget_chunks) const {
  struct Candidate {
    double share;
    uint64_t first;
    ChunkPlace place;
    size_t chunk_count;
  };
  std::vector<Candidate> candidates;
  for (const auto& [key, use] : uses_) {
    if (!use.sparse) continue;
    candidates.push_back({static_cast<double>(use.ordinals.size()) / use.region_chunks,
                          use.first,
                          {key.first, key.second, use.size_units, 0},
                          use.ordinals.size()});
  }
  // The sparsest are worth most.
  std::ranges::sort(candidates, {}, [](const Candidate& c) { return std::pair(c.share, c.first); });
  size_t chosen = 0;
  for (uint64_t chunks = 0; chosen < candidates.size(); ++chosen) {
    chunks += candidates[chosen].chunk_count;
    if (chunks > budget_chunks) break;
  }
  candidates.resize(chosen);
  std::ranges::sort(candidates, {}, &Candidate::first);
  std::vector<ChunkPlace> places;
  places.reserve(candidates.size());
  for (const Candidate& candidate : candidates) places.push_back(candidate.place);
  return places;
}

absl::Status Fragments::Rewrite(uint64_t stream_bytes) {
  if (stream_bytes < core_->options.rewrite_min_bytes) return absl::OkStatus();
  const std::vector<ChunkPlace> places = Choose(
      static_cast<uint64_t>(static_cast<double>(noted_chunks_) * core_->options.rewrite_budget));
  ReadAhead ahead(core_->container_reader.get(), core_->workers.get());
  std::map<uint64_t, std::vector<uint32_t>> left;
  for (size_t i = 0; i < places.size(); ++i) {
    ahead.Follow(places, i);
    const absl::StatusOr<std::shared_ptr<const LoadedRegion>> region =
        core_->reader->ReadRegion(places[i], &ahead);
    if (!region.ok() || !(*region)->damage.empty()) continue;
    left[places[i].container_id].push_back(places[i].offset_units);
    for (const uint16_t ordinal : uses_.at(KeyOf(places[i])).ordinals) {
      if (ordinal >= (*region)->table.size()) continue;
      const Fingerprint& fingerprint = (*region)->table[ordinal].fingerprint;
      if (builder_.Holds(fingerprint)) continue;
      STRATA_RETURN_IF_ERROR(builder_.Add(fingerprint, (*region)->chunk(ordinal)));
      copied_bytes_ += (*region)->table[ordinal].size_bytes;
    }
  }
  STRATA_RETURN_IF_ERROR(builder_.Flush());
  for (const auto& [container_id, regions] : left) {
    STRATA_RETURN_IF_ERROR(core_->index->MarkSuperseded(container_id, regions));
  }
  core_->counters.rewritten_bytes += copied_bytes_;
  return absl::OkStatus();
}

}  // namespace strata::dedup
