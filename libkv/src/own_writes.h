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
#include "space_writes.h"
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

 private:
  WriteBatch batch_;
  absl::btree_map<SpaceId, SpaceWrites> spaces_;
};

}  // namespace strata::kv
