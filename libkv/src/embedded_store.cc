// SPDX-License-Identifier: Apache-2.0
#include "embedded_store.h"

#include <utility>

#include "argument_checks.h"
#include "commit_queue.h"
#include "embedded_transaction.h"
#include "publication.h"
#include "spaces.h"
#include "strata/base/status_macros.h"

namespace strata::kv {
namespace {

class EmbeddedSnapshot final : public Snapshot {
 public:
  EmbeddedSnapshot(std::shared_ptr<const View> view, const Spaces* spaces)
      : view_(std::move(view)), spaces_(spaces) {}

  absl::StatusOr<std::optional<std::string>> Get(SpaceId space, std::string_view key) override {
    STRATA_RETURN_IF_ERROR(spaces_->Check(space));
    STRATA_RETURN_IF_ERROR(CheckKey(key));
    return view_->Get(space, key);
  }

  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      SpaceId space, const std::vector<std::string>& keys) override {
    STRATA_RETURN_IF_ERROR(spaces_->Check(space));
    for (const std::string& key : keys) STRATA_RETURN_IF_ERROR(CheckKey(key));
    return view_->MultiGet(space, keys);
  }

  absl::StatusOr<Page> List(SpaceId space, const Range& range,
                            const PageOptions& options) override {
    STRATA_RETURN_IF_ERROR(spaces_->Check(space));
    STRATA_RETURN_IF_ERROR(CheckRange(range));
    STRATA_ASSIGN_OR_RETURN(const PageOptions cut, CheckPage(options));
    return view_->List(space, range, cut);
  }

 private:
  const std::shared_ptr<const View> view_;
  const Spaces* const spaces_;
};

class EmbeddedStore final : public Store {
 public:
  explicit EmbeddedStore(std::unique_ptr<Engine> engine)
      : engine_(std::move(engine)),
        spaces_(engine_.get()),
        publication_({engine_->applied_count(), engine_->NewView()}),
        queue_(engine_.get(), &publication_) {}

  const Limits& limits() const override { return kEmbeddedLimits; }

  absl::StatusOr<SpaceId> OpenSpace(std::string_view name, const SpaceOptions& options) override {
    return spaces_.Open(name, options);
  }

  std::unique_ptr<Snapshot> NewSnapshot() override {
    return std::make_unique<EmbeddedSnapshot>(publication_.Current().view, &spaces_);
  }

  std::unique_ptr<Transaction> Begin() override {
    return std::make_unique<EmbeddedTransaction>(&spaces_, &publication_, &queue_);
  }

  absl::Status Write(const WriteBatch& batch, Durability durability) override {
    STRATA_RETURN_IF_ERROR(CheckBatch(batch));
    if (!batch.operations().empty()) return queue_.Commit(batch, nullptr, 0, durability);
    return durability == Durability::kSync ? Sync() : absl::OkStatus();
  }

  absl::Status Sync() override { return queue_.Sync(); }

  absl::Status VerifyChecksums() override { return engine_->VerifyChecksums(); }

  absl::Status Compact(uint64_t most_bytes) override {
    STRATA_RETURN_IF_ERROR(engine_->CheckWritable());
    return engine_->Compact(most_bytes);
  }

  absl::Status ClearSpace(SpaceId space) override {
    STRATA_RETURN_IF_ERROR(spaces_.Check(space));
    // An engine that clears in a way of its own would keep it from the log.
    if (!queue_.IsUnlogged(space)) return Store::ClearSpace(space);
    STRATA_RETURN_IF_ERROR(Sync());
    STRATA_ASSIGN_OR_RETURN(const bool cleared, engine_->ClearSpace(space));
    // Also a new version, with a view that does not hold the old state.
    if (!cleared) return Store::ClearSpace(space);
    return absl::OkStatus();
  }

  absl::Status Checkpoint(const std::string& directory) override {
    return engine_->Checkpoint(directory);
  }

  absl::StatusOr<uint64_t> WaitForChange(SpaceId space, const Range& range, uint64_t after_version,
                                         uint64_t timeout_ms) override {
    STRATA_RETURN_IF_ERROR(spaces_.Check(space));
    STRATA_RETURN_IF_ERROR(CheckRange(range));
    return queue_.WaitForWrite(space, range, after_version, timeout_ms).value_or(after_version);
  }

  uint64_t version() const override { return publication_.version(); }

  absl::StatusOr<std::vector<SpaceInfo>> ListSpaces() override { return spaces_.List(); }
  absl::StatusOr<SpaceInfo> FindSpace(SpaceId space) override { return spaces_.Find(space); }

  absl::Status AttachCommitLog(CommitLog* log, const std::vector<SpaceId>& unlogged) override {
    for (const SpaceId space : unlogged) STRATA_RETURN_IF_ERROR(spaces_.Check(space));
    queue_.AttachLog(log, unlogged);
    return absl::OkStatus();
  }

 private:
  absl::Status CheckBatch(const WriteBatch& batch) const {
    STRATA_RETURN_IF_ERROR(
        CheckTransactionSize("writes", batch.operations().size(), batch.size_bytes()));
    for (const WriteBatch::Operation& operation : batch.operations()) {
      STRATA_RETURN_IF_ERROR(spaces_.Check(operation.space));
      if (operation.kind == WriteBatch::Operation::Kind::kDeleteRange) {
        STRATA_RETURN_IF_ERROR(CheckRange({operation.key, operation.value}));
      } else {
        STRATA_RETURN_IF_ERROR(CheckKey(operation.key));
        STRATA_RETURN_IF_ERROR(CheckValue(operation.value));
      }
    }
    return absl::OkStatus();
  }

  const std::unique_ptr<Engine> engine_;  // First: everything below refers to it.
  Spaces spaces_;
  Publication publication_;
  CommitQueue queue_;
};

}  // namespace

std::unique_ptr<Store> NewEmbeddedStore(std::unique_ptr<Engine> engine) {
  return std::make_unique<EmbeddedStore>(std::move(engine));
}

}  // namespace strata::kv
