// SPDX-License-Identifier: Apache-2.0
//
// What a transaction has written so far: in the order of the calls, for the commit, and by key, so
// that the transaction's own reads see it.
//
// Thread safety: one thread at a time.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "engine.h"
#include "strata/kv/store.h"

namespace strata::kv {

class OwnWrites {
 public:
  void Put(SpaceId space, std::string_view key, std::string_view value);
  void Delete(SpaceId space, std::string_view key);
  void DeleteRange(SpaceId space, const Range& range);

  const WriteBatch& batch() const { return batch_; }

  // What the writes say about a key. Nothing: ask the view. A pointer to nothing: it is deleted.
  const std::optional<std::string>* Find(SpaceId space, std::string_view key) const;

  // A page of `view` as it will be with the writes applied.
  absl::StatusOr<Page> List(const View& view, SpaceId space, const Range& range,
                            const PageOptions& options) const;

  // One space's writes, newest only. A key in both is decided by `keys`.
  struct SpaceWrites {
    absl::btree_map<std::string, std::optional<std::string>, std::less<>> keys;
    absl::btree_map<std::string, std::string, std::less<>>
        cleared;  // Begin -> end; disjoint, not adjacent.

    // The cleared range that holds `key`, or null.
    const std::pair<const std::string, std::string>* Clearing(std::string_view key) const;
    void Clear(const Range& range);
  };

 private:
  WriteBatch batch_;
  absl::btree_map<SpaceId, SpaceWrites> spaces_;
};

}  // namespace strata::kv
