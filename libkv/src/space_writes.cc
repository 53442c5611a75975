// SPDX-License-Identifier: Apache-2.0
#include "space_writes.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace strata::kv {

const std::pair<const std::string, std::string>* SpaceWrites::Clearing(std::string_view key) const {
  auto next = cleared.upper_bound(key);
  if (next == cleared.begin()) return nullptr;
  const auto& candidate = *std::prev(next);
  return candidate.second.empty() || key < candidate.second ? &candidate : nullptr;
}

void SpaceWrites::Clear(const Range& range) {
  keys.erase(keys.lower_bound(range.begin),
             range.end.empty() ? keys.end() : keys.lower_bound(range.end));

  // Swallow every cleared range that overlaps or touches the new one.
  Range grown = range;
  auto next = cleared.upper_bound(grown.begin);
  if (next != cleared.begin()) {
    const auto before = std::prev(next);
    if (before->second.empty() || before->second >= grown.begin) next = before;
  }
  while (next != cleared.end() && (grown.end.empty() || next->first <= grown.end)) {
    grown.begin = std::min(grown.begin, next->first);
    if (next->second.empty() || grown.end.empty()) {
      grown.end.clear();
    } else {
      grown.end = std::max(grown.end, next->second);
    }
    next = cleared.erase(next);
  }
  cleared.insert_or_assign(std::move(grown.begin), std::move(grown.end));
}

}  // namespace strata::kv
