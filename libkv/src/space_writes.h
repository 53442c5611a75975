// SPDX-License-Identifier: Apache-2.0
//
// What a transaction has written to one space, by key.
//
// Thread safety: one thread at a time.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/btree_map.h"
#include "strata/kv/store.h"

namespace strata::kv {

// One space's writes, newest only. A key in both is decided by `keys`.
struct SpaceWrites {
  absl::btree_map<std::string, std::optional<std::string>, std::less<>> keys;
  absl::btree_map<std::string, std::string, std::less<>>
      cleared;  // Begin -> end; disjoint, not adjacent.

  // The cleared range that holds `key`, or null.
  const std::pair<const std::string, std::string>* Clearing(std::string_view key) const;
  void Clear(const Range& range);
};

}  // namespace strata::kv
