// SPDX-License-Identifier: Apache-2.0
#include "index/metadata_cache.h"

#include <algorithm>
#include <utility>

namespace strata::dedup {

size_t MetadataCache::MemoryOf(const Container& container) {
  constexpr size_t kHashSlotBytes = 40;  // Key, value and the table's slack.
  return sizeof(Container) + container.chunks.size() * (sizeof(Chunk) + kHashSlotBytes);
}

void MetadataCache::Insert(uint64_t container_id, const ContainerContents& contents,
                           std::span<const uint32_t> superseded_regions) {
  if (Holds(container_id)) return;
  Container container{container_id, {}};
  container.chunks.reserve(contents.chunks.size());
  size_t chunk = 0;
  for (const RegionExtent& region : contents.regions) {
    if (std::ranges::binary_search(superseded_regions, region.offset_units)) {
      chunk += region.chunk_count;
      continue;
    }
    for (uint32_t i = 0; i < region.chunk_count; ++i, ++chunk) {
      container.chunks.push_back({contents.chunks[chunk], region.offset_units, region.size_units,
                                  static_cast<uint16_t>(i),
                                  static_cast<uint16_t>(region.chunk_count)});
    }
  }
  memory_bytes_ += MemoryOf(container);
  by_use_.push_front(std::move(container));
  const auto at = by_use_.begin();
  containers_[container_id] = at;
  for (uint32_t i = 0; i < at->chunks.size(); ++i) {
    chunks_[FingerprintHash()(at->chunks[i].fingerprint)] = {at, i};
  }
  while (memory_bytes_ > capacity_bytes_ && by_use_.size() > 1) Remove(by_use_.back().id);
}

void MetadataCache::Remove(uint64_t container_id) {
  const auto found = containers_.find(container_id);
  if (found == containers_.end()) return;
  const auto container = found->second;
  for (const Chunk& chunk : container->chunks) {
    const auto slot = chunks_.find(FingerprintHash()(chunk.fingerprint));
    if (slot != chunks_.end() && slot->second.container == container) chunks_.erase(slot);
  }
  memory_bytes_ -= MemoryOf(*container);
  containers_.erase(found);
  by_use_.erase(container);
}

std::optional<FoundChunk> MetadataCache::Find(const Fingerprint& fingerprint) {
  const auto slot = chunks_.find(FingerprintHash()(fingerprint));
  if (slot == chunks_.end()) return std::nullopt;
  const auto container = slot->second.container;
  const Chunk& chunk = container->chunks[slot->second.chunk];
  if (chunk.fingerprint != fingerprint) return std::nullopt;
  if (container != by_use_.begin()) by_use_.splice(by_use_.begin(), by_use_, container);
  return FoundChunk{.place = {container->id, chunk.offset_units, chunk.size_units, chunk.ordinal},
                    .region_chunks = chunk.region_chunks};
}

}  // namespace strata::dedup
