// SPDX-License-Identifier: Apache-2.0
#include "support/kv/crash_kv.h"

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "strata/base/check.h"
#include "strata/base/random.h"
#include "strata/kv/engines.h"

namespace strata::test {

struct CrashKv::State {
  using Operations = std::vector<kv::WriteBatch::Operation>;

  // Runs `commit` in its place of the order and remembers what it did.
  absl::Status Commit(const Operations& operations, bool sync,
                      const std::function<absl::Status()>& commit) {
    std::lock_guard lock(mutex);
    if (dead || (powered && !powered())) return absl::UnavailableError("crash kv: no power");
    if (cut_after.has_value() && commits == *cut_after) {
      // In progress: it may or may not have reached the log, unacknowledged.
      dead = true;
      log.push_back(operations);
      if (on_cut) on_cut();
      return absl::UnavailableError("crash kv: the power failed");
    }
    const absl::Status status = commit();
    if (!status.ok()) return status;
    ++commits;
    log.push_back(operations);
    if (sync) MarkSynced();
    return status;
  }

  void MarkSynced() {
    synced = log.size();
    ++syncs;
  }

  std::mutex mutex;
  std::unique_ptr<kv::Store> live = kv::CreateMemoryStore();
  std::vector<std::pair<std::string, kv::SpaceOptions>> spaces;  // In order of their making.
  std::vector<Operations> log;
  size_t synced = 0;  // Elements of `log` that are durable.
  uint64_t commits = 0;
  uint64_t syncs = 0;
  bool dead = false;
  std::function<bool()> powered;
  std::optional<uint64_t> cut_after;
  std::function<void()> on_cut;
};

namespace {

// Remembers a transaction's writes beside the transaction itself.
class RecordingTransaction final : public kv::Transaction {
 public:
  using CommitWrites = std::function<absl::Status(const kv::WriteBatch& writes, bool sync,
                                                  const std::function<absl::Status()>& commit)>;
  RecordingTransaction(std::unique_ptr<kv::Transaction> base, CommitWrites commit)
      : base_(std::move(base)), commit_(std::move(commit)) {}

  absl::StatusOr<std::optional<std::string>> Get(kv::SpaceId space, std::string_view key) override {
    return base_->Get(space, key);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      kv::SpaceId space, const std::vector<std::string>& keys) override {
    return base_->MultiGet(space, keys);
  }
  absl::StatusOr<kv::Page> List(kv::SpaceId space, const kv::Range& range,
                                const kv::PageOptions& options) override {
    return base_->List(space, range, options);
  }
  absl::StatusOr<std::optional<std::string>> GetUnchecked(kv::SpaceId space,
                                                          std::string_view key) override {
    return base_->GetUnchecked(space, key);
  }
  absl::StatusOr<kv::Page> ListUnchecked(kv::SpaceId space, const kv::Range& range,
                                         const kv::PageOptions& options) override {
    return base_->ListUnchecked(space, range, options);
  }
  absl::Status Put(kv::SpaceId space, std::string_view key, std::string_view value) override {
    const absl::Status status = base_->Put(space, key, value);
    if (status.ok()) writes_.Put(space, key, value);
    return status;
  }
  absl::Status Delete(kv::SpaceId space, std::string_view key) override {
    const absl::Status status = base_->Delete(space, key);
    if (status.ok()) writes_.Delete(space, key);
    return status;
  }
  absl::Status DeleteRange(kv::SpaceId space, const kv::Range& range) override {
    const absl::Status status = base_->DeleteRange(space, range);
    if (status.ok()) writes_.DeleteRange(space, range);
    return status;
  }
  absl::Status Commit(kv::Durability durability) override {
    return commit_(writes_, durability == kv::Durability::kSync,
                   [&] { return base_->Commit(durability); });
  }

 private:
  std::unique_ptr<kv::Transaction> base_;
  CommitWrites commit_;
  kv::WriteBatch writes_;
};

}  // namespace

class CrashKvStore final : public kv::Store {
 public:
  explicit CrashKvStore(std::shared_ptr<CrashKv::State> state) : state_(std::move(state)) {}

  const kv::Limits& limits() const override { return state_->live->limits(); }

  absl::StatusOr<kv::SpaceId> OpenSpace(std::string_view name,
                                        const kv::SpaceOptions& options) override {
    std::lock_guard lock(state_->mutex);
    absl::StatusOr<kv::SpaceId> id = state_->live->OpenSpace(name, options);
    for (const auto& [known, known_options] : state_->spaces) {
      if (known == name) return id;
    }
    if (id.ok()) state_->spaces.emplace_back(name, options);
    return id;
  }

  std::unique_ptr<kv::Snapshot> NewSnapshot() override { return state_->live->NewSnapshot(); }

  std::unique_ptr<kv::Transaction> Begin() override {
    return std::make_unique<RecordingTransaction>(
        state_->live->Begin(), [state = state_](const kv::WriteBatch& writes, bool sync,
                                                const std::function<absl::Status()>& commit) {
          return state->Commit(writes.operations(), sync, commit);
        });
  }

  absl::Status Write(const kv::WriteBatch& batch, kv::Durability durability) override {
    return state_->Commit(batch.operations(), durability == kv::Durability::kSync,
                          [&] { return state_->live->Write(batch, durability); });
  }

  absl::Status Sync() override {
    std::lock_guard lock(state_->mutex);
    if (state_->dead || (state_->powered && !state_->powered())) {
      return absl::UnavailableError("crash kv: no power");
    }
    state_->MarkSynced();
    return absl::OkStatus();
  }

  absl::Status Checkpoint(const std::string& directory) override {
    return state_->live->Checkpoint(directory);
  }
  absl::StatusOr<uint64_t> WaitForChange(kv::SpaceId space, const kv::Range& range,
                                         uint64_t after_version, uint64_t timeout_ms) override {
    return state_->live->WaitForChange(space, range, after_version, timeout_ms);
  }
  uint64_t version() const override { return state_->live->version(); }

 private:
  const std::shared_ptr<CrashKv::State> state_;
};

CrashKv::CrashKv() : state_(std::make_shared<State>()) {}
CrashKv::CrashKv(std::shared_ptr<State> state) : state_(std::move(state)) {}
CrashKv::~CrashKv() = default;

std::unique_ptr<kv::Store> CrashKv::Open() { return std::make_unique<CrashKvStore>(state_); }

void CrashKv::SetPowered(std::function<bool()> powered) {
  std::lock_guard lock(state_->mutex);
  state_->powered = std::move(powered);
}

void CrashKv::CutPowerAfter(uint64_t count, std::function<void()> on_cut) {
  std::lock_guard lock(state_->mutex);
  state_->cut_after = state_->commits + count;
  state_->on_cut = std::move(on_cut);
}

std::unique_ptr<CrashKv> CrashKv::PowerCut(uint64_t seed) {
  std::lock_guard lock(state_->mutex);
  state_->dead = true;
  auto survivor = std::make_shared<State>();
  for (const auto& [name, options] : state_->spaces) {
    STRATA_CHECK(survivor->live->OpenSpace(name, options).ok(), "a space opens once more");
    survivor->spaces.emplace_back(name, options);
  }
  const size_t kept =
      state_->synced + Random(seed).Uniform(state_->log.size() - state_->synced + 1);
  for (size_t i = 0; i < kept; ++i) {
    kv::WriteBatch batch;
    for (const kv::WriteBatch::Operation& operation : state_->log[i]) {
      using Kind = kv::WriteBatch::Operation::Kind;
      if (operation.kind == Kind::kPut) batch.Put(operation.space, operation.key, operation.value);
      if (operation.kind == Kind::kDelete) batch.Delete(operation.space, operation.key);
      if (operation.kind == Kind::kDeleteRange) {
        batch.DeleteRange(operation.space, {operation.key, operation.value});
      }
    }
    STRATA_CHECK(survivor->live->Write(batch, kv::Durability::kSync).ok(), "the log replays");
    survivor->log.push_back(state_->log[i]);
  }
  survivor->synced = kept;
  return std::unique_ptr<CrashKv>(new CrashKv(std::move(survivor)));
}

uint64_t CrashKv::commit_count() const {
  std::lock_guard lock(state_->mutex);
  return state_->commits;
}

uint64_t CrashKv::sync_count() const {
  std::lock_guard lock(state_->mutex);
  return state_->syncs;
}

}  // namespace strata::test
