// SPDX-License-Identifier: Apache-2.0
//
// An engine beneath a real embedded store, so that conflicts, groups of commits and logs of them
// are the product's own.
#include "support/kv/crash_kv.h"

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "embedded_store.h"
#include "engine.h"
#include "memory_engine.h"
#include "strata/base/check.h"
#include "strata/base/random.h"

namespace strata::test {

struct CrashKv::State {
  struct Operation {
    std::string space;
    kv::WriteBatch::Operation::Kind kind;
    std::string key;
    std::string value;
  };

  // What Apply() does with its batches, or Unavailable.
  absl::Status Commit(std::vector<Operation> operations, bool sync) {
    std::lock_guard lock(mutex);
    if (dead || (powered && !powered())) return absl::UnavailableError("crash kv: no power");
    if (cut_after.has_value() && commits == *cut_after) {
      // In progress: it may or may not have reached the log, unacknowledged.
      dead = true;
      log.push_back(std::move(operations));
      if (on_cut) on_cut();
      return absl::UnavailableError("crash kv: the power failed");
    }
    ++commits;
    log.push_back(std::move(operations));
    if (sync) MarkSynced();
    return absl::OkStatus();
  }

  void MarkSynced() {
    synced = log.size();
    ++syncs;
  }

  std::mutex mutex;
  std::map<std::string, kv::SpaceOptions> spaces;
  std::vector<std::vector<Operation>> log;
  size_t synced = 0;  // Elements of `log` that are durable.
  uint64_t commits = 0;
  uint64_t syncs = 0;
  bool dead = false;
  std::function<bool()> powered;
  std::optional<uint64_t> cut_after;
  std::function<void()> on_cut;
};

namespace {

void Add(const kv::WriteBatch::Operation::Kind kind, kv::SpaceId space, const std::string& key,
         const std::string& value, kv::WriteBatch* batch) {
  using Kind = kv::WriteBatch::Operation::Kind;
  if (kind == Kind::kPut) batch->Put(space, key, value);
  if (kind == Kind::kDelete) batch->Delete(space, key);
  if (kind == Kind::kDeleteRange) batch->DeleteRange(space, {key, value});
}

}  // namespace

// Keeps the present state in a memory engine of its own, in which spaces have ids of their own: the
// store's are given as it opens them.
class CrashEngine final : public kv::Engine {
 public:
  explicit CrashEngine(std::shared_ptr<CrashKv::State> state)
      : state_(std::move(state)), memory_(kv::NewMemoryEngine()) {
    std::lock_guard lock(state_->mutex);
    for (const auto& [name, options] : state_->spaces) (void)Inner(name, options);
    for (const auto& operations : state_->log) {
      kv::WriteBatch batch;
      for (const CrashKv::State::Operation& operation : operations) {
        Add(operation.kind, inner_by_name_.at(operation.space), operation.key, operation.value,
            &batch);
      }
      const kv::WriteBatch* const batches[] = {&batch};
      STRATA_CHECK(memory_->Apply(batches, false).ok(), "the log replays");
    }
  }

  absl::Status OpenSpace(kv::SpaceId id, std::string_view name,
                         const kv::SpaceOptions& options) override {
    std::lock_guard lock(state_->mutex);
    const auto [known, is_new] = state_->spaces.try_emplace(std::string(name), options);
    if (known->second.access != options.access) {
      return absl::InvalidArgumentError("the space was made with other options");
    }
    names_[id] = name;
    inner_[id] = Inner(std::string(name), options);
    return absl::OkStatus();
  }

  std::shared_ptr<const kv::View> NewView() override {
    return std::make_shared<InnerView>(this, memory_->NewView());
  }

  absl::Status Apply(std::span<const kv::WriteBatch* const> batches, bool sync) override {
    std::vector<CrashKv::State::Operation> operations;
    kv::WriteBatch merged;
    for (const kv::WriteBatch* batch : batches) {
      for (const kv::WriteBatch::Operation& operation : batch->operations()) {
        std::lock_guard lock(state_->mutex);
        operations.push_back(
            {names_.at(operation.space), operation.kind, operation.key, operation.value});
        Add(operation.kind, inner_.at(operation.space), operation.key, operation.value, &merged);
      }
    }
    const absl::Status status = state_->Commit(std::move(operations), sync);
    const kv::WriteBatch* const inner[] = {&merged};
    return status.ok() ? memory_->Apply(inner, sync) : status;
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
    return memory_->Checkpoint(directory);
  }
  std::vector<kv::SpaceInfo> ListSpaces() const override {
    std::lock_guard lock(state_->mutex);
    std::vector<kv::SpaceInfo> spaces;
    for (const auto& [name, options] : state_->spaces) spaces.push_back({name, options});
    return spaces;
  }
  uint64_t applied_count() const override {
    std::lock_guard lock(state_->mutex);
    return state_->log.size();
  }
  uint64_t sync_count() const override {
    std::lock_guard lock(state_->mutex);
    return state_->syncs;
  }

 private:
  class InnerView final : public kv::View {
   public:
    InnerView(const CrashEngine* engine, std::shared_ptr<const kv::View> view)
        : engine_(engine), view_(std::move(view)) {}
    absl::StatusOr<std::optional<std::string>> Get(kv::SpaceId space,
                                                   std::string_view key) const override {
      return view_->Get(engine_->InnerOf(space), key);
    }
    absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
        kv::SpaceId space, const std::vector<std::string>& keys) const override {
      return view_->MultiGet(engine_->InnerOf(space), keys);
    }
    absl::StatusOr<kv::Page> List(kv::SpaceId space, const kv::Range& range,
                                  const kv::PageOptions& options) const override {
      return view_->List(engine_->InnerOf(space), range, options);
    }

   private:
    const CrashEngine* const engine_;
    const std::shared_ptr<const kv::View> view_;
  };

  // Under the state's lock.
  kv::SpaceId Inner(const std::string& name, const kv::SpaceOptions& options) {
    const auto known = inner_by_name_.find(name);
    if (known != inner_by_name_.end()) return known->second;
    const kv::SpaceId id{static_cast<uint32_t>(inner_by_name_.size() + 1)};
    STRATA_CHECK(memory_->OpenSpace(id, name, options).ok(), "a space opens");
    return inner_by_name_.emplace(name, id).first->second;
  }

  kv::SpaceId InnerOf(kv::SpaceId space) const {
    std::lock_guard lock(state_->mutex);
    return inner_.at(space);
  }

  const std::shared_ptr<CrashKv::State> state_;
  const std::unique_ptr<kv::Engine> memory_;
  // All under the state's lock.
  std::map<std::string, kv::SpaceId> inner_by_name_;
  std::map<kv::SpaceId, kv::SpaceId> inner_;
  std::map<kv::SpaceId, std::string> names_;
};

CrashKv::CrashKv() : state_(std::make_shared<State>()) {}
CrashKv::CrashKv(std::shared_ptr<State> state) : state_(std::move(state)) {}
CrashKv::~CrashKv() = default;

std::unique_ptr<kv::Store> CrashKv::Open() {
  return kv::NewEmbeddedStore(std::make_unique<CrashEngine>(state_));
}

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
  survivor->spaces = state_->spaces;
  const size_t kept =
      state_->synced + Random(seed).Uniform(state_->log.size() - state_->synced + 1);
  survivor->log.assign(state_->log.begin(), state_->log.begin() + static_cast<ptrdiff_t>(kept));
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
