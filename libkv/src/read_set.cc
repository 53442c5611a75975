// SPDX-License-Identifier: Apache-2.0
#include "read_set.h"

#include "argument_checks.h"

namespace strata::kv {

void ReadSet::AddKey(SpaceId space, std::string_view key) {
  const bool added = keys_.insert({HashKey(space, key), space, std::string(key)}).second;
  if (added) size_bytes_ += key.size();
}

void ReadSet::AddRange(SpaceId space, const Range& range) {
  if (IsEmptyRange(range)) return;
  if (!ranges_.empty() && ranges_.back().space == space) {
    Range& last = ranges_.back().range;
    if (!last.end.empty() && last.end == range.begin) {
      last.end = range.end;
      return;
    }
    if (!range.end.empty() && range.end == last.begin) {
      last.begin = range.begin;
      return;
    }
  }
  ranges_.push_back({space, range});
  size_bytes_ += range.begin.size() + range.end.size();
}

}  // namespace strata::kv
