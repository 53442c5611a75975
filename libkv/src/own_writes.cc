// SPDX-License-Identifier: Apache-2.0
#include "own_writes.h"

#include <utility>

#include "argument_checks.h"
#include "merged_page.h"

namespace strata::kv {

void OwnWrites::Put(SpaceId space, std::string_view key, std::string_view value) {
  batch_.Put(space, key, value);
  spaces_[space].keys.insert_or_assign(std::string(key), std::string(value));
}

void OwnWrites::Delete(SpaceId space, std::string_view key) {
  batch_.Delete(space, key);
  spaces_[space].keys.insert_or_assign(std::string(key), std::nullopt);
}

void OwnWrites::DeleteRange(SpaceId space, const Range& range) {
  if (IsEmptyRange(range)) return;
  batch_.DeleteRange(space, range);
  spaces_[space].Clear(range);
}

const std::optional<std::string>* OwnWrites::Find(SpaceId space, std::string_view key) const {
  static const std::optional<std::string> kDeleted;
  const auto found = spaces_.find(space);
  if (found == spaces_.end()) return nullptr;
  const SpaceWrites& writes = found->second;
  const auto written = writes.keys.find(key);
  if (written != writes.keys.end()) return &written->second;
  return writes.Clearing(key) != nullptr ? &kDeleted : nullptr;
}

absl::StatusOr<Page> OwnWrites::List(const View& view, SpaceId space, const Range& range,
                                     const PageOptions& options) const {
  const auto found = spaces_.find(space);
  if (found == spaces_.end()) return view.List(space, range, options);
  return MergePage(view, found->second, space, range, options);
}

}  // namespace strata::kv
