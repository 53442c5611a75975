// SPDX-License-Identifier: Apache-2.0
#include "forked_child.h"

#include <utility>

#include "strata/base/fork.h"
#include "strata/base/status_macros.h"

namespace strata::kv {
namespace {

using Value = absl::StatusOr<std::optional<std::string>>;
using Values = absl::StatusOr<std::vector<std::optional<std::string>>>;

class OwnSnapshot final : public Snapshot {
 public:
  // Null: made in a child, in which every call fails.
  OwnSnapshot(std::unique_ptr<Snapshot> snapshot, const ProcessMark& opener)
      : snapshot_(std::move(snapshot), opener) {}

  Value Get(SpaceId space, std::string_view key) override {
    STRATA_RETURN_IF_ERROR(snapshot_.Check());
    return snapshot_->Get(space, key);
  }
  Values MultiGet(SpaceId space, const std::vector<std::string>& keys) override {
    STRATA_RETURN_IF_ERROR(snapshot_.Check());
    return snapshot_->MultiGet(space, keys);
  }
  absl::StatusOr<Page> List(SpaceId space, const Range& range,
                            const PageOptions& options) override {
    STRATA_RETURN_IF_ERROR(snapshot_.Check());
    return snapshot_->List(space, range, options);
  }

 private:
  const ParentOwned<Snapshot> snapshot_;
};

class OwnTransaction final : public Transaction {
 public:
  // Null: as for OwnSnapshot.
  OwnTransaction(std::unique_ptr<Transaction> transaction, const ProcessMark& opener)
      : transaction_(std::move(transaction), opener) {}

  Value Get(SpaceId space, std::string_view key) override {
    STRATA_RETURN_IF_ERROR(transaction_.Check());
    return transaction_->Get(space, key);
  }
  Values MultiGet(SpaceId space, const std::vector<std::string>& keys) override {
    STRATA_RETURN_IF_ERROR(transaction_.Check());
    return transaction_->MultiGet(space, keys);
  }
  absl::StatusOr<Page> List(SpaceId space, const Range& range,
                            const PageOptions& options) override {
    STRATA_RETURN_IF_ERROR(transaction_.Check());
    return transaction_->List(space, range, options);
  }
  Value GetUnchecked(SpaceId space, std::string_view key) override {
    STRATA_RETURN_IF_ERROR(transaction_.Check());
    return transaction_->GetUnchecked(space, key);
  }
  absl::StatusOr<Page> ListUnchecked(SpaceId space, const Range& range,
                                     const PageOptions& options) override {
    STRATA_RETURN_IF_ERROR(transaction_.Check());
    return transaction_->ListUnchecked(space, range, options);
  }
  absl::Status Put(SpaceId space, std::string_view key, std::string_view value) override {
    STRATA_RETURN_IF_ERROR(transaction_.Check());
    return transaction_->Put(space, key, value);
  }
  absl::Status Delete(SpaceId space, std::string_view key) override {
    STRATA_RETURN_IF_ERROR(transaction_.Check());
    return transaction_->Delete(space, key);
  }
  absl::Status DeleteRange(SpaceId space, const Range& range) override {
    STRATA_RETURN_IF_ERROR(transaction_.Check());
    return transaction_->DeleteRange(space, range);
  }
  absl::Status Commit(Durability durability) override {
    STRATA_RETURN_IF_ERROR(transaction_.Check());
    return transaction_->Commit(durability);
  }

 private:
  const ParentOwned<Transaction> transaction_;
};

class OwnStore final : public Store {
 public:
  explicit OwnStore(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  const Limits& limits() const override { return store_->limits(); }

  absl::StatusOr<SpaceId> OpenSpace(std::string_view name, const SpaceOptions& options) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->OpenSpace(name, options);
  }
  std::unique_ptr<Snapshot> NewSnapshot() override {
    return std::make_unique<OwnSnapshot>(store_.InForkedChild() ? nullptr : store_->NewSnapshot(),
                                         store_.opener());
  }
  std::unique_ptr<Transaction> Begin() override {
    return std::make_unique<OwnTransaction>(store_.InForkedChild() ? nullptr : store_->Begin(),
                                            store_.opener());
  }
  absl::Status Write(const WriteBatch& batch, Durability durability) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->Write(batch, durability);
  }
  absl::Status Sync() override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->Sync();
  }
  absl::Status Compact(uint64_t most_bytes) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->Compact(most_bytes);
  }
  absl::Status VerifyChecksums() override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->VerifyChecksums();
  }
  absl::Status ClearSpace(SpaceId space) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->ClearSpace(space);
  }
  absl::Status Checkpoint(const std::string& directory) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->Checkpoint(directory);
  }
  absl::StatusOr<uint64_t> WaitForChange(SpaceId space, const Range& range, uint64_t after_version,
                                         uint64_t timeout_ms) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->WaitForChange(space, range, after_version, timeout_ms);
  }
  uint64_t version() const override { return store_.InForkedChild() ? 0 : store_->version(); }
  absl::StatusOr<std::vector<SpaceInfo>> ListSpaces() override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->ListSpaces();
  }
  absl::StatusOr<SpaceInfo> FindSpace(SpaceId space) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->FindSpace(space);
  }
  absl::Status AttachCommitLog(CommitLog* log, const std::vector<SpaceId>& unlogged) override {
    STRATA_RETURN_IF_ERROR(store_.Check());
    return store_->AttachCommitLog(log, unlogged);
  }

 private:
  const ParentOwned<Store> store_;
};

}  // namespace

std::unique_ptr<Store> RefuseForkedChildren(std::unique_ptr<Store> store) {
  return std::make_unique<OwnStore>(std::move(store));
}

}  // namespace strata::kv
