// SPDX-License-Identifier: Apache-2.0
//
// The tables of recently seen containers. Chunks that were stored together come back together, so
// one container's table, loaded for one chunk, answers for the thousands that follow it. Whole
// containers come and go, the least recently used first.
//
// Thread safety: none; the owner locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "format/container_format.h"
#include "format/index_records.h"
#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

class MetadataCache final {
 public:
  explicit MetadataCache(size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  // Leaves out the chunks of regions that streams have left, which the kv store must tell.
  void Insert(uint64_t container_id, const ContainerContents& contents,
              std::span<const uint32_t> superseded_regions);
  void Remove(uint64_t container_id);

  // Counts as a use of the container.
  std::optional<FoundChunk> Find(const Fingerprint& fingerprint);
  bool Holds(uint64_t container_id) const { return containers_.contains(container_id); }

  size_t memory_bytes() const { return memory_bytes_; }

 private:
  struct Chunk {
    Fingerprint fingerprint;
    uint32_t offset_units;
    uint32_t size_units;
    uint16_t ordinal;
    uint16_t region_chunks;
  };
  struct Container {
    uint64_t id;
    std::vector<Chunk> chunks;
  };
  // Where a fingerprint that begins with the key is: in which container, which chunk.
  struct Slot {
    std::list<Container>::iterator container;
    uint32_t chunk;
  };

  static size_t MemoryOf(const Container& container);

  const size_t capacity_bytes_;
  size_t memory_bytes_ = 0;
  std::list<Container> by_use_;  // Most recently used first.
  absl::flat_hash_map<uint64_t, std::list<Container>::iterator> containers_;
  absl::flat_hash_map<uint64_t, Slot> chunks_;
};

}  // namespace strata::dedup
