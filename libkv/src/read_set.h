// SPDX-License-Identifier: Apache-2.0
//
// What a transaction has read and so depends on: single keys, present or absent, and ranges.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "strata/kv/store.h"

namespace strata::kv {

// 64 bits stand for a key of a space. Two keys that share them only cause a needless conflict.
inline uint64_t HashKey(SpaceId space, std::string_view key) {
  return absl::HashOf(space.value, absl::string_view(key.data(), key.size()));
}

class ReadSet {
 public:
  struct Key {
    uint64_t hash;
    SpaceId space;
    std::string key;

    friend bool operator==(const Key& a, const Key& b) {
      return a.hash == b.hash && a.space == b.space && a.key == b.key;
    }
  };
  struct SpaceRange {
    SpaceId space;
    Range range;
  };

  void AddKey(SpaceId space, std::string_view key);

  // Pages that follow one another grow into one range.
  void AddRange(SpaceId space, const Range& range);

  bool empty() const { return keys_.empty() && ranges_.empty(); }
  size_t count() const { return keys_.size() + ranges_.size(); }
  size_t size_bytes() const { return size_bytes_; }

  const auto& keys() const { return keys_; }
  const std::vector<SpaceRange>& ranges() const { return ranges_; }

 private:
  struct StoredHash {
    size_t operator()(const Key& key) const { return key.hash; }
  };

  absl::flat_hash_set<Key, StoredHash> keys_;
  std::vector<SpaceRange> ranges_;
  size_t size_bytes_ = 0;
};

}  // namespace strata::kv
