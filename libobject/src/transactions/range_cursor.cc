// SPDX-License-Identifier: Apache-2.0
#include "transactions/range_cursor.h"

#include <algorithm>
#include <utility>

#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "transactions/storage_error.h"

namespace strata::object {
namespace {

constexpr size_t kFirstPageItems = 2;
constexpr size_t kMaxPageItems = 1000;

}  // namespace

RangeCursor::RangeCursor(kv::Reader* reader, kv::SpaceId space, kv::Range range)
    : reader_(reader), space_(space), unread_(std::move(range)), page_items_(kFirstPageItems) {
  page_.more = true;
}

absl::StatusOr<const kv::KeyValue*> RangeCursor::Peek() {
  while (index_ == page_.items.size()) {
    if (!page_.more) return nullptr;
    STRATA_RETURN_IF_ERROR(Fill());
  }
  return &page_.items[index_];
}

void RangeCursor::SeekTo(std::string key) {
  const bool page_was_wasted = index_ < page_.items.size() / 2;
  const auto found = std::lower_bound(
      page_.items.begin() + static_cast<ptrdiff_t>(index_), page_.items.end(), key,
      [](const kv::KeyValue& item, const std::string& wanted) { return item.key < wanted; });
  index_ = static_cast<size_t>(found - page_.items.begin());
  if (found != page_.items.end()) return;
  if (key > unread_.begin) {
    unread_.begin = std::move(key);
    if (page_was_wasted) page_items_ = kFirstPageItems;
  }
}

absl::Status RangeCursor::Fill() {
  if (!unread_.end.empty() && unread_.begin >= unread_.end) {
    page_ = {};
    index_ = 0;
    return absl::OkStatus();
  }
  absl::StatusOr<kv::Page> page = reader_->List(space_, unread_, {.max_items = page_items_});
  if (!page.ok()) return FromStorage(page.status(), "listing");
  page_ = *std::move(page);
  index_ = 0;
  STRATA_CHECK(!page_.more || !page_.items.empty(), "a kv page that says more is empty");
  if (page_.more) unread_.begin = page_.items.back().key + '\0';
  page_items_ = std::min(page_items_ * 4, kMaxPageItems);
  return absl::OkStatus();
}

}  // namespace strata::object
