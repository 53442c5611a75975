// SPDX-License-Identifier: Apache-2.0
//
// Walks a range of the kv space a page at a time, with jumps forward. Pages begin small, so that a
// jump wastes little, and grow while nobody jumps.
// One thread at a time.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/kv/store.h"

namespace strata::object {

class RangeCursor final {
 public:
  // *reader outlives this.
  RangeCursor(kv::Reader* reader, kv::SpaceId space, kv::Range range);

  // The item the cursor is at; nullptr behind the last. Valid until the cursor moves.
  absl::StatusOr<const kv::KeyValue*> Peek();

  // REQUIRES: Peek() returned an item.
  void Advance() { ++index_; }

  // To the first item at or behind `key`; never backward.
  void SeekTo(std::string key);

 private:
  absl::Status Fill();

  kv::Reader* const reader_;
  const kv::SpaceId space_;
  kv::Range unread_;
  kv::Page page_;
  size_t index_ = 0;
  size_t page_items_;
};

}  // namespace strata::object
