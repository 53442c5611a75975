// SPDX-License-Identifier: Apache-2.0
//
// The engine that keeps everything in memory. A key carries its values with the batch number that
// wrote each, newest last; a view is a batch number. A value is dropped when it was replaced before
// the oldest view that is still alive.
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/inlined_vector.h"
#include "argument_checks.h"
#include "embedded_store.h"
#include "forked_child.h"
#include "memory_engine.h"
#include "strata/base/check.h"
#include "strata/kv/engines.h"

namespace strata::kv {
namespace {

class MemoryEngine final : public Engine {
 public:
  absl::Status OpenSpace(SpaceId id, std::string_view, const SpaceOptions&) override {
    const std::unique_lock lock(mutex_);
    STRATA_CHECK(id.value == spaces_.size() + 1, "space ids come in order");
    spaces_.emplace_back();
    return absl::OkStatus();
  }

  std::shared_ptr<const View> NewView() override;
  absl::Status Apply(std::span<const WriteBatch* const> batches, bool sync) override;

  absl::Status Sync() override { return absl::OkStatus(); }

  absl::Status Checkpoint(const std::string&) override {
    return absl::UnimplementedError("a store in memory has no files to copy");
  }

  uint64_t applied_count() const override { return 0; }
  uint64_t sync_count() const override { return 0; }

 private:
  friend class MemoryView;

  struct Version {
    uint64_t batch;
    std::optional<std::string> value;  // Nothing: deleted.
  };
  using Versions = absl::InlinedVector<Version, 1>;  // Never empty.
  using Space = absl::btree_map<std::string, Versions, std::less<>>;

  // A key whose older versions nobody sees once every view is at `batch` or later.
  struct Replaced {
    uint64_t batch;
    SpaceId space;
    std::string key;
  };

  static const std::optional<std::string>& ValueAt(const Versions& versions, uint64_t batch);
  const Space& space(SpaceId id) const { return spaces_[id.value - 1]; }

  void Set(SpaceId id, const std::string& key, std::optional<std::string> value);
  void ClearRange(SpaceId id, const Range& range);
  void DropReplaced();
  void ReleaseView(uint64_t batch);

  mutable std::shared_mutex mutex_;  // Guards everything but the views.
  std::deque<Space> spaces_;         // By SpaceId - 1.
  uint64_t batch_ = 0;               // The last one applied.
  std::deque<Replaced> replaced_;    // In order of `batch`.

  std::mutex views_mutex_;
  std::map<uint64_t, uint64_t> view_count_by_batch_;
};

class MemoryView final : public View {
 public:
  MemoryView(MemoryEngine* engine, uint64_t batch) : engine_(engine), batch_(batch) {}
  ~MemoryView() override { engine_->ReleaseView(batch_); }

  absl::StatusOr<std::optional<std::string>> Get(SpaceId space,
                                                 std::string_view key) const override {
    const std::shared_lock lock(engine_->mutex_);
    return Find(engine_->space(space), key);
  }

  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      SpaceId space, const std::vector<std::string>& keys) const override {
    const std::shared_lock lock(engine_->mutex_);
    std::vector<std::optional<std::string>> values;
    values.reserve(keys.size());
    for (const std::string& key : keys) values.push_back(Find(engine_->space(space), key));
    return values;
  }

  absl::StatusOr<Page> List(SpaceId space_id, const Range& range,
                            const PageOptions& options) const override {
    if (IsEmptyRange(range)) return Page{};
    const std::shared_lock lock(engine_->mutex_);
    const MemoryEngine::Space& space = engine_->space(space_id);
    const auto begin = space.lower_bound(range.begin);
    const auto end = range.end.empty() ? space.end() : space.lower_bound(range.end);
    Page page;
    size_t bytes = 0;
    if (options.reverse) {
      for (auto at = end; at != begin && !page.more;) Add(*--at, options, &bytes, &page);
    } else {
      for (auto at = begin; at != end && !page.more; ++at) Add(*at, options, &bytes, &page);
    }
    return page;
  }

 private:
  std::optional<std::string> Find(const MemoryEngine::Space& space, std::string_view key) const {
    const auto found = space.find(key);
    if (found == space.end()) return std::nullopt;
    return MemoryEngine::ValueAt(found->second, batch_);
  }

  // Adds what this view sees of the key; when the page is full, notes that there is more.
  void Add(const MemoryEngine::Space::value_type& entry, const PageOptions& options, size_t* bytes,
           Page* page) const {
    const std::optional<std::string>& value = MemoryEngine::ValueAt(entry.second, batch_);
    if (!value.has_value()) return;
    const size_t item_bytes = OperationBytes(entry.first, *value);
    if (page->items.size() == options.max_items ||
        (!page->items.empty() && *bytes + item_bytes > options.max_bytes)) {
      page->more = true;
      return;
    }
    *bytes += item_bytes;
    page->items.push_back({entry.first, *value});
  }

  MemoryEngine* const engine_;
  const uint64_t batch_;
};

const std::optional<std::string>& MemoryEngine::ValueAt(const Versions& versions, uint64_t batch) {
  static const std::optional<std::string> kAbsent;
  for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
    if (version->batch <= batch) return version->value;
  }
  return kAbsent;
}

std::shared_ptr<const View> MemoryEngine::NewView() {
  const std::shared_lock lock(mutex_);
  const std::lock_guard views_lock(views_mutex_);
  ++view_count_by_batch_[batch_];
  return std::make_shared<MemoryView>(this, batch_);
}

void MemoryEngine::ReleaseView(uint64_t batch) {
  const std::lock_guard lock(views_mutex_);
  const auto count = view_count_by_batch_.find(batch);
  if (--count->second == 0) view_count_by_batch_.erase(count);
}

absl::Status MemoryEngine::Apply(std::span<const WriteBatch* const> batches, bool /*sync*/) {
  const std::unique_lock lock(mutex_);
  ++batch_;
  for (const WriteBatch* batch : batches) {
    for (const WriteBatch::Operation& operation : batch->operations()) {
      switch (operation.kind) {
        case WriteBatch::Operation::Kind::kPut:
          Set(operation.space, operation.key, operation.value);
          break;
        case WriteBatch::Operation::Kind::kDelete:
          Set(operation.space, operation.key, std::nullopt);
          break;
        case WriteBatch::Operation::Kind::kDeleteRange:
          ClearRange(operation.space, {operation.key, operation.value});
          break;
      }
    }
  }
  DropReplaced();
  return absl::OkStatus();
}

void MemoryEngine::Set(SpaceId id, const std::string& key, std::optional<std::string> value) {
  Space& space = spaces_[id.value - 1];
  const auto found = space.lower_bound(key);
  if (found == space.end() || found->first != key) {
    if (value.has_value()) {
      Versions versions;
      versions.push_back({batch_, std::move(value)});
      space.insert(found, {key, std::move(versions)});
    }
    return;
  }
  Versions& versions = found->second;
  if (versions.back().batch == batch_) {
    versions.back().value = std::move(value);
  } else {
    versions.push_back({batch_, std::move(value)});
  }
  replaced_.push_back({batch_, id, key});
}

void MemoryEngine::ClearRange(SpaceId id, const Range& range) {
  if (IsEmptyRange(range)) return;
  Space& space = spaces_[id.value - 1];
  const auto end = range.end.empty() ? space.end() : space.lower_bound(range.end);
  for (auto at = space.lower_bound(range.begin); at != end; ++at) {
    Versions& versions = at->second;
    if (!versions.back().value.has_value()) continue;
    if (versions.back().batch == batch_) {
      versions.back().value.reset();
    } else {
      versions.push_back({batch_, std::nullopt});
    }
    replaced_.push_back({batch_, id, at->first});
  }
}

void MemoryEngine::DropReplaced() {
  uint64_t oldest_view = batch_;
  {
    const std::lock_guard lock(views_mutex_);
    if (!view_count_by_batch_.empty()) oldest_view = view_count_by_batch_.begin()->first;
  }
  for (; !replaced_.empty() && replaced_.front().batch <= oldest_view; replaced_.pop_front()) {
    Space& space = spaces_[replaced_.front().space.value - 1];
    const auto found = space.find(replaced_.front().key);
    if (found == space.end()) continue;
    Versions& versions = found->second;
    auto seen = versions.end() - 1;  // The newest version that the oldest view sees.
    while (seen != versions.begin() && seen->batch > oldest_view) --seen;
    if (seen->batch > oldest_view) continue;
    versions.erase(versions.begin(), seen);
    if (versions.size() == 1 && !versions.front().value.has_value()) space.erase(found);
  }
}

}  // namespace

std::unique_ptr<Engine> NewMemoryEngine() { return std::make_unique<MemoryEngine>(); }

std::unique_ptr<Store> CreateMemoryStore() {
  return RefuseForkedChildren(NewEmbeddedStore(NewMemoryEngine()));
}

}  // namespace strata::kv
