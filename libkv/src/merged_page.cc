// SPDX-License-Identifier: Apache-2.0
#include "merged_page.h"

#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "argument_checks.h"
#include "strata/base/status_macros.h"

namespace strata::kv {
namespace {

// What of the view shows through: its items in page order, less those cleared or overwritten. It
// jumps over cleared ranges instead of reading them.
class ViewCursor {
 public:
  ViewCursor(const View& view, const SpaceWrites& own, SpaceId space, const Range& range,
             const PageOptions& options)
      : view_(view),
        own_(own),
        space_(space),
        rest_(range),
        exhausted_(IsEmptyRange(range)),
        options_(options) {}

  // The next item, or null at the end of the range. It stays the next until Take().
  absl::StatusOr<KeyValue*> Peek() {
    while (next_ == items_.size() && !exhausted_) STRATA_RETURN_IF_ERROR(Fetch());
    return next_ == items_.size() ? nullptr : &items_[next_];
  }

  KeyValue Take() { return std::move(items_[next_++]); }

 private:
  absl::Status Fetch() {
    items_.clear();
    next_ = 0;
    const std::optional<Range> visible = options_.reverse ? LastVisible() : FirstVisible();
    if (!visible.has_value()) {
      exhausted_ = true;
      return absl::OkStatus();
    }
    STRATA_ASSIGN_OR_RETURN(Page page, view_.List(space_, *visible, options_));
    if (options_.reverse) {
      const std::string& end = page.more ? page.items.back().key : visible->begin;
      exhausted_ = end <= rest_.begin;
      rest_.end = end;
    } else if (page.more) {
      rest_.begin = Successor(page.items.back().key);
    } else {
      exhausted_ = visible->end.empty();
      rest_.begin = visible->end;
    }
    for (KeyValue& item : page.items) {
      if (!own_.keys.contains(item.key)) items_.push_back(std::move(item));
    }
    exhausted_ = exhausted_ || IsEmptyRange(rest_);
    return absl::OkStatus();
  }

  // The part of rest_ up to the first cleared range in it, or what follows that range when rest_
  // begins inside one.
  std::optional<Range> FirstVisible() {
    if (const auto* cleared = own_.Clearing(rest_.begin)) {
      if (cleared->second.empty()) return std::nullopt;
      rest_.begin = cleared->second;
      if (IsEmptyRange(rest_)) return std::nullopt;
    }
    Range visible = rest_;
    const auto next = own_.cleared.upper_bound(rest_.begin);
    if (next != own_.cleared.end() && InRange(rest_, next->first)) visible.end = next->first;
    return visible;
  }

  // The same from the end of rest_.
  std::optional<Range> LastVisible() {
    auto last = LastClearedBefore(rest_.end);
    if (last != own_.cleared.end() &&
        (last->second.empty() || (!rest_.end.empty() && rest_.end <= last->second))) {
      if (last->first <= rest_.begin) return std::nullopt;
      rest_.end = last->first;
      last = LastClearedBefore(rest_.end);
    }
    Range visible = rest_;
    if (last != own_.cleared.end() && last->second > rest_.begin) visible.begin = last->second;
    return visible;
  }

  // The last cleared range that begins before `end`.
  absl::btree_map<std::string, std::string, std::less<>>::const_iterator LastClearedBefore(
      const std::string& end) const {
    const auto next = end.empty() ? own_.cleared.end() : own_.cleared.lower_bound(end);
    return next == own_.cleared.begin() ? own_.cleared.end() : std::prev(next);
  }

  const View& view_;
  const SpaceWrites& own_;
  const SpaceId space_;
  Range rest_;  // Not yet read.
  bool exhausted_;
  const PageOptions options_;
  std::vector<KeyValue> items_;
  size_t next_ = 0;
};

// The transaction's own puts in the range, in page order.
std::vector<std::pair<std::string_view, std::string_view>> OwnPuts(const SpaceWrites& own,
                                                                   const Range& range,
                                                                   const PageOptions& options) {
  std::vector<std::pair<std::string_view, std::string_view>> puts;
  const auto add = [&](const auto& entry) {
    if (entry.second.has_value()) puts.emplace_back(entry.first, *entry.second);
    return puts.size() <= options.max_items;  // One more than fits tells whether there is more.
  };
  auto first = own.keys.lower_bound(range.begin);
  auto last = range.end.empty() ? own.keys.end() : own.keys.lower_bound(range.end);
  if (options.reverse) {
    while (last != first && add(*--last)) {
    }
  } else {
    while (first != last && add(*first)) ++first;
  }
  return puts;
}

}  // namespace

absl::StatusOr<Page> MergePage(const View& view, const SpaceWrites& own, SpaceId space,
                               const Range& range, const PageOptions& options) {
  Page page;
  if (IsEmptyRange(range)) return page;
  ViewCursor cursor(view, own, space, range, options);
  const auto puts = OwnPuts(own, range, options);
  size_t next_put = 0;
  size_t bytes = 0;
  while (true) {
    STRATA_ASSIGN_OR_RETURN(KeyValue * seen, cursor.Peek());
    const bool have_put = next_put < puts.size();
    if (seen == nullptr && !have_put) return page;
    const bool take_put =
        seen == nullptr || (have_put && (options.reverse ? puts[next_put].first > seen->key
                                                         : puts[next_put].first < seen->key));
    const size_t item_bytes = take_put ? OperationBytes(puts[next_put].first, puts[next_put].second)
                                       : OperationBytes(seen->key, seen->value);
    if (page.items.size() == options.max_items ||
        (!page.items.empty() && bytes + item_bytes > options.max_bytes)) {
      page.more = true;
      return page;
    }
    bytes += item_bytes;
    if (take_put) {
      page.items.push_back({std::string(puts[next_put].first), std::string(puts[next_put].second)});
      ++next_put;
    } else {
      page.items.push_back(cursor.Take());
    }
  }
}

}  // namespace strata::kv
