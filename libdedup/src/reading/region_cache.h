// SPDX-License-Identifier: Apache-2.0
//
// Regions that were read and decompressed, the least recently used given up first.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "format/index_records.h"
#include "format/region_format.h"
#include "strata/base/mutex.h"

namespace strata::dedup {

// Constant once made.
struct LoadedRegion {
  std::vector<ChunkEntry> table;
  std::vector<uint32_t> offsets;  // Where each chunk begins in `raw`.
  std::unique_ptr<std::byte[]> raw;
  size_t raw_bytes = 0;
  Compression codec = Compression::kNone;
  bool deferred = false;                        // Its compression.
  bool dense = false;                           // As the header says.
  std::optional<CompressionSettings> settings;  // As in its header.
  // What is wrong with the region, where something is. Its table then has the fingerprints of the
  // bytes that are there: a chunk with the fingerprint that the index knows is whole.
  std::string damage;

  std::span<const std::byte> chunk(size_t ordinal) const {
    return {raw.get() + offsets[ordinal], table[ordinal].size_bytes};
  }
  // From the sizes in `table`.
  void SetOffsets() {
    offsets.reserve(table.size());
    uint32_t offset = 0;
    for (const ChunkEntry& entry : table) {
      offsets.push_back(offset);
      offset += entry.size_bytes;
    }
  }
  // All that it takes, what allocations take beside their bytes included: regions of a few bytes
  // are many.
  size_t memory_bytes() const {
    constexpr size_t kAllocations = 3 * 16;
    return sizeof(LoadedRegion) + kAllocations + raw_bytes + damage.capacity() +
           table.capacity() * sizeof(ChunkEntry) + offsets.capacity() * sizeof(uint32_t);
  }
};

class RegionCache final {
 public:
  using Key = RegionKey;

  explicit RegionCache(size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  std::shared_ptr<const LoadedRegion> Find(const Key& key);
  void Insert(const Key& key, std::shared_ptr<const LoadedRegion> region);
  size_t memory_bytes() const;

 private:
  struct Entry {
    Key key;
    std::shared_ptr<const LoadedRegion> region;
  };
  // Of the region, and of finding it: the list's node and the table's slot, half of which are free.
  static size_t MemoryOf(const LoadedRegion& region) {
    return region.memory_bytes() + sizeof(Entry) + 2 * sizeof(void*) + 16 +
           2 * (sizeof(Key) + sizeof(void*) + 1);
  }

  const size_t capacity_bytes_;
  mutable Mutex mutex_;
  size_t memory_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<Entry> by_use_ ABSL_GUARDED_BY(mutex_);  // Most recently used first.
  absl::flat_hash_map<Key, std::list<Entry>::iterator> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::dedup
