// SPDX-License-Identifier: Apache-2.0
#include "reading/region_cache.h"

namespace strata::dedup {

std::shared_ptr<const LoadedRegion> RegionCache::Find(const Key& key) {
  MutexLock lock(&mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->region;
}

void RegionCache::Insert(const Key& key, std::shared_ptr<const LoadedRegion> region) {
  if (MemoryOf(*region) > capacity_bytes_) return;
  MutexLock lock(&mutex_);
  if (entries_.contains(key)) return;
  memory_bytes_ += MemoryOf(*region);
  by_use_.push_front({key, std::move(region)});
  entries_[key] = by_use_.begin();
  while (memory_bytes_ > capacity_bytes_) {
    memory_bytes_ -= MemoryOf(*by_use_.back().region);
    entries_.erase(by_use_.back().key);
    by_use_.pop_back();
  }
}

size_t RegionCache::memory_bytes() const {
  MutexLock lock(&mutex_);
  return memory_bytes_;
}

}  // namespace strata::dedup
