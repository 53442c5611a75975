// SPDX-License-Identifier: Apache-2.0
//
// An optimistic transaction on an embedded engine.
//
// Thread safety: one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commit_queue.h"
#include "own_writes.h"
#include "publication.h"
#include "read_set.h"
#include "spaces.h"
#include "strata/kv/store.h"

namespace strata::kv {

class EmbeddedTransaction final : public Transaction {
 public:
  // REQUIRES: all three outlive the transaction.
  EmbeddedTransaction(const Spaces* spaces, Publication* publication, CommitQueue* queue)
      : spaces_(spaces),
        publication_(publication),
        queue_(queue),
        state_(publication->BeginTransaction()) {}
  ~EmbeddedTransaction() override { publication_->EndTransaction(state_.version); }

  absl::StatusOr<std::optional<std::string>> Get(SpaceId space, std::string_view key) override;
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      SpaceId space, const std::vector<std::string>& keys) override;
  absl::StatusOr<Page> List(SpaceId space, const Range& range, const PageOptions& options) override;
  absl::StatusOr<std::optional<std::string>> GetUnchecked(SpaceId space,
                                                          std::string_view key) override;
  absl::StatusOr<Page> ListUnchecked(SpaceId space, const Range& range,
                                     const PageOptions& options) override;
  absl::Status Put(SpaceId space, std::string_view key, std::string_view value) override;
  absl::Status Delete(SpaceId space, std::string_view key) override;
  absl::Status DeleteRange(SpaceId space, const Range& range) override;
  absl::Status Commit(Durability durability) override;

 private:
  absl::Status CheckOpen(SpaceId space) const;
  absl::Status CheckRoomForWrite(size_t bytes) const;
  absl::Status CheckRoomForRead(size_t bytes) const;

  const Spaces* const spaces_;
  Publication* const publication_;
  CommitQueue* const queue_;
  const PublishedState state_;
  OwnWrites writes_;
  ReadSet reads_;
  bool finished_ = false;
};

}  // namespace strata::kv
