// SPDX-License-Identifier: Apache-2.0
#include "embedded_transaction.h"

#include <utility>

#include "argument_checks.h"
#include "strata/base/status_macros.h"

namespace strata::kv {
namespace {

// The part of `range` that a page tells everything about. That a page has more behind it is a hint,
// not a promise.
Range Covered(const Range& range, const Page& page, bool reverse) {
  if (!page.more) return range;
  if (reverse) return {page.items.back().key, range.end};
  return {range.begin, Successor(page.items.back().key)};
}

}  // namespace

absl::Status EmbeddedTransaction::CheckOpen(SpaceId space) const {
  if (finished_) return absl::FailedPreconditionError("the transaction is already committed");
  return spaces_->Check(space);
}

absl::Status EmbeddedTransaction::CheckRoomForWrite(size_t bytes) const {
  return CheckTransactionSize("writes", writes_.batch().operations().size() + 1,
                              writes_.batch().size_bytes() + bytes);
}

absl::Status EmbeddedTransaction::CheckRoomForRead(size_t bytes) const {
  return CheckTransactionSize("reads", reads_.count() + 1, reads_.size_bytes() + bytes);
}

absl::StatusOr<std::optional<std::string>> EmbeddedTransaction::Get(SpaceId space,
                                                                    std::string_view key) {
  STRATA_RETURN_IF_ERROR(CheckOpen(space));
  STRATA_RETURN_IF_ERROR(CheckKey(key));
  if (const auto* own = writes_.Find(space, key)) return *own;
  STRATA_RETURN_IF_ERROR(CheckRoomForRead(key.size()));
  reads_.AddKey(space, key);
  return state_.view->Get(space, key);
}

absl::StatusOr<std::optional<std::string>> EmbeddedTransaction::GetUnchecked(SpaceId space,
                                                                             std::string_view key) {
  STRATA_RETURN_IF_ERROR(CheckOpen(space));
  STRATA_RETURN_IF_ERROR(CheckKey(key));
  if (const auto* own = writes_.Find(space, key)) return *own;
  return state_.view->Get(space, key);
}

absl::StatusOr<std::vector<std::optional<std::string>>> EmbeddedTransaction::MultiGet(
    SpaceId space, const std::vector<std::string>& keys) {
  STRATA_RETURN_IF_ERROR(CheckOpen(space));
  std::vector<std::optional<std::string>> values(keys.size());
  std::vector<std::string> asked;
  std::vector<size_t> asked_index;
  for (size_t i = 0; i < keys.size(); ++i) {
    STRATA_RETURN_IF_ERROR(CheckKey(keys[i]));
    if (const auto* own = writes_.Find(space, keys[i])) {
      values[i] = *own;
    } else {
      STRATA_RETURN_IF_ERROR(CheckRoomForRead(keys[i].size()));
      reads_.AddKey(space, keys[i]);
      asked.push_back(keys[i]);
      asked_index.push_back(i);
    }
  }
  STRATA_ASSIGN_OR_RETURN(auto answers, state_.view->MultiGet(space, asked));
  for (size_t i = 0; i < asked_index.size(); ++i) values[asked_index[i]] = std::move(answers[i]);
  return values;
}

absl::StatusOr<Page> EmbeddedTransaction::List(SpaceId space, const Range& range,
                                               const PageOptions& options) {
  STRATA_ASSIGN_OR_RETURN(Page page, ListUnchecked(space, range, options));
  const Range covered = Covered(range, page, options.reverse);
  STRATA_RETURN_IF_ERROR(CheckRoomForRead(covered.begin.size() + covered.end.size()));
  reads_.AddRange(space, covered);
  return page;
}

absl::StatusOr<Page> EmbeddedTransaction::ListUnchecked(SpaceId space, const Range& range,
                                                        const PageOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckOpen(space));
  STRATA_RETURN_IF_ERROR(CheckRange(range));
  STRATA_ASSIGN_OR_RETURN(const PageOptions cut, CheckPage(options));
  return writes_.List(*state_.view, space, range, cut);
}

absl::Status EmbeddedTransaction::Put(SpaceId space, std::string_view key, std::string_view value) {
  STRATA_RETURN_IF_ERROR(CheckOpen(space));
  STRATA_RETURN_IF_ERROR(CheckKey(key));
  STRATA_RETURN_IF_ERROR(CheckValue(value));
  STRATA_RETURN_IF_ERROR(CheckRoomForWrite(OperationBytes(key, value)));
  writes_.Put(space, key, value);
  return absl::OkStatus();
}

absl::Status EmbeddedTransaction::Delete(SpaceId space, std::string_view key) {
  STRATA_RETURN_IF_ERROR(CheckOpen(space));
  STRATA_RETURN_IF_ERROR(CheckKey(key));
  STRATA_RETURN_IF_ERROR(CheckRoomForWrite(key.size()));
  writes_.Delete(space, key);
  return absl::OkStatus();
}

absl::Status EmbeddedTransaction::DeleteRange(SpaceId space, const Range& range) {
  STRATA_RETURN_IF_ERROR(CheckOpen(space));
  STRATA_RETURN_IF_ERROR(CheckRange(range));
  STRATA_RETURN_IF_ERROR(CheckRoomForWrite(OperationBytes(range.begin, range.end)));
  writes_.DeleteRange(space, range);
  return absl::OkStatus();
}

absl::Status EmbeddedTransaction::Commit(Durability durability) {
  if (finished_) return absl::FailedPreconditionError("the transaction is already committed");
  finished_ = true;
  if (writes_.batch().operations().empty()) {
    // It read one state of the store and changed nothing: there is nothing it could conflict with.
    // What it read must not vanish after a kSync commit all the same.
    if (durability == Durability::kAsync) return absl::OkStatus();
    return queue_->MakeDurable(state_.version);
  }
  return queue_->Commit(writes_.batch(), &reads_, state_.version, durability);
}

}  // namespace strata::kv
