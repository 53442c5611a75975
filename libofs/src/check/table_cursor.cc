// SPDX-License-Identifier: Apache-2.0
#include "check/table_cursor.h"

#include "strata/base/status_macros.h"

namespace strata::ofs {

absl::StatusOr<const kv::KeyValue*> TableCursor::Peek() {
  while (at_ >= page_.items.size()) {
    if (is_begun_ && !page_.more) return nullptr;
    if (is_begun_) range_.begin = page_.items.back().key + '\0';
    is_begun_ = true;
    at_ = 0;
    STRATA_ASSIGN_OR_RETURN(page_, store_->NewSnapshot()->List(space_, range_, {}));
  }
  return &page_.items[at_];
}

}  // namespace strata::ofs
