// SPDX-License-Identifier: Apache-2.0
//
// Walks over a range of keys, a page at a time.
//
//   TableCursor cursor(store, space, TableRange(Table::kGroup));
//   while (true) {
//     STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* row, cursor.Peek());
//     if (row == nullptr) break;
//     ...
//     cursor.Next();
//   }
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "strata/kv/store.h"

namespace strata::ofs {

class TableCursor final {
 public:
  TableCursor(kv::Store* store, kv::SpaceId space, kv::Range range)
      : store_(store), space_(space), range_(std::move(range)) {}

  // Null: the end. The row is good until Next().
  absl::StatusOr<const kv::KeyValue*> Peek();
  // REQUIRES: Peek() has returned a row.
  void Next() { ++at_; }

 private:
  kv::Store* const store_;
  const kv::SpaceId space_;
  kv::Range range_;
  kv::Page page_;
  size_t at_ = 0;
  bool is_begun_ = false;
};

}  // namespace strata::ofs
