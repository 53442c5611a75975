// SPDX-License-Identifier: Apache-2.0
//
// What every kv::Store promises to many callers at once.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "embedded_store.h"
#include "engine_under_test.h"
#include "history.h"
#include "rocksdb_engine.h"
#include "strata/base/random.h"
#include "strata/kv/store.h"
#include "support/scratch_folder.h"
#include "support/seed.h"

namespace strata::kv {
namespace {

void RunThreads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("transfers between accounts keep the sum") {
  constexpr int kAccounts = 10;
  constexpr int kThreads = 4;
  constexpr int kTransfers = 200;
  OpenedStore opened(EachEngine());
  Store& store = *opened;
  const SpaceId space = store.OpenSpace("accounts", {}).value();
  WriteBatch deposit;
  for (int i = 0; i < kAccounts; ++i) deposit.Put(space, std::to_string(i), "100");
  REQUIRE(store.Write(deposit, Durability::kAsync).ok());

  const auto sum = [&](Reader& reader) {
    int total = 0;
    const Page page = reader.List(space, {}, {}).value();
    for (const KeyValue& item : page.items) total += std::stoi(item.value);
    return total;
  };
  std::atomic<int> failures{0};
  std::atomic<int> wrong_sums{0};
  const uint64_t seed = test::Seed();
  RunThreads(kThreads, [&](int thread) {
    Random random(seed + static_cast<uint64_t>(thread));
    for (int i = 0; i < kTransfers; ++i) {
      const std::string from = std::to_string(random.Uniform(kAccounts));
      const std::string to = std::to_string(random.Uniform(kAccounts));
      const int amount = static_cast<int>(random.Uniform(50));
      const auto transfer = [&](Transaction& txn) -> absl::Status {
        const int source = std::stoi(txn.Get(space, from).value().value());
        if (absl::Status put = txn.Put(space, from, std::to_string(source - amount)); !put.ok()) {
          return put;
        }
        const int target = std::stoi(txn.Get(space, to).value().value());
        return txn.Put(space, to, std::to_string(target + amount));
      };
      if (!RunTransaction(store, Durability::kAsync, transfer, 1 << 20).ok()) ++failures;
      if (sum(*store.NewSnapshot()) != 100 * kAccounts) ++wrong_sums;
    }
  });
  CHECK(failures == 0);
  CHECK(wrong_sums == 0);
  CHECK(sum(*store.NewSnapshot()) == 100 * kAccounts);
}

// One transaction of random reads and writes; every write follows a read of the same key, so that
// the order of a key's writers can be told from what they read. Returns whether it committed.
bool RunRecorded(Store& store, SpaceId space, Random& random, std::atomic<uint64_t>& clock,
                 RecordedTransaction* record) {
  const auto key = [](uint64_t i) { return std::string(1, static_cast<char>('a' + i)); };
  const auto note = [&](const std::string& read, const std::optional<std::string>& value) {
    if (record->writes.contains(read)) return;
    record->reads[read] = value.has_value() ? std::stoull(*value) : 0;
  };
  record->begin = ++clock;
  const std::unique_ptr<Transaction> txn = store.Begin();
  for (uint64_t steps = 1 + random.Uniform(4); steps > 0; --steps) {
    if (random.Chance(0.3)) {
      const uint64_t first = random.Uniform(kHistoryKeys);
      const uint64_t last = first + random.Uniform(kHistoryKeys - first);
      PageOptions options;
      options.reverse = random.Chance(0.5);
      const Page page = txn->List(space, {key(first), key(last + 1)}, options).value();
      for (uint64_t i = first; i <= last; ++i) {
        const auto item = std::find_if(page.items.begin(), page.items.end(),
                                       [&](const KeyValue& kv) { return kv.key == key(i); });
        note(key(i), item == page.items.end() ? std::nullopt : std::optional(item->value));
      }
    } else {
      const std::string read = key(random.Uniform(kHistoryKeys));
      note(read, txn->Get(space, read).value());
      if (random.Chance(0.6)) {
        if (!txn->Put(space, read, std::to_string(record->id)).ok()) return false;
        record->writes.insert(read);
      }
    }
    if (random.Chance(0.3)) std::this_thread::yield();
  }
  const bool committed = txn->Commit(Durability::kAsync).ok();
  record->end = ++clock;
  return committed;
}

TEST_CASE("concurrent histories are strictly serializable") {
  constexpr int kThreads = 4;
  constexpr int kAttempts = 150;
  const EngineUnderTest engine = EachEngine();
  const uint64_t seed = test::Seed();
  for (int round = 0; round < 5; ++round) {
    OpenedStore opened(engine);
    Store& store = *opened;
    const SpaceId space = store.OpenSpace("s", {}).value();
    std::atomic<uint64_t> clock{0};
    std::vector<std::vector<RecordedTransaction>> committed(kThreads);
    RunThreads(kThreads, [&](int thread) {
      Random random(seed + static_cast<uint64_t>(round * kThreads + thread));
      for (int i = 0; i < kAttempts; ++i) {
        RecordedTransaction record;
        record.id = static_cast<uint64_t>(1 + thread * kAttempts + i);
        if (RunRecorded(store, space, random, clock, &record)) committed[thread].push_back(record);
      }
    });
    std::vector<RecordedTransaction> history;
    for (const auto& part : committed) history.insert(history.end(), part.begin(), part.end());
    INFO("engine " << engine << ", round " << round << ", " << history.size() << " commits");
    CHECK(history.size() > kAttempts / 2);
    CHECK(FindAnomaly(history) == "");
  }
}

TEST_CASE("what is written together is seen together") {
  OpenedStore opened(EachEngine());
  Store& store = *opened;
  const SpaceId left = store.OpenSpace("left", {}).value();
  const SpaceId right = store.OpenSpace("right", {SpaceOptions::Access::kPoint}).value();
  std::atomic<int> torn{0};
  std::atomic<int> backwards{0};
  std::atomic<bool> writing{true};
  std::thread writer([&] {
    for (int i = 1; i <= 2000; ++i) {
      WriteBatch batch;
      batch.DeleteRange(left, {});
      batch.Put(left, "k", std::to_string(i));
      batch.Put(right, "k", std::to_string(i));
      if (!store.Write(batch, Durability::kAsync).ok()) ++torn;
    }
    writing = false;
  });
  RunThreads(2, [&](int) {
    int last = 0;
    while (writing) {
      const auto snapshot = store.NewSnapshot();
      const Page page = snapshot->List(left, {}, {}).value();
      const auto value = snapshot->Get(right, "k").value();
      const std::string seen = page.items.empty() ? "0" : page.items[0].value;
      if (seen != value.value_or("0")) ++torn;
      if (std::stoi(seen) < last) ++backwards;
      last = std::stoi(seen);
    }
  });
  writer.join();
  CHECK(torn == 0);
  CHECK(backwards == 0);
}

TEST_CASE("threads that open the same space get the same id") {
  OpenedStore opened(EachEngine());
  Store& store = *opened;
  std::vector<uint32_t> ids(8, 0);
  RunThreads(8, [&](int thread) {
    ids[thread] = store.OpenSpace("space", {}).value().value;
    WriteBatch batch;
    batch.Put(SpaceId{ids[thread]}, std::to_string(thread), "");
    if (!store.Write(batch, Durability::kAsync).ok()) ids[thread] = 0;
  });
  CHECK(ids == std::vector<uint32_t>(8, ids[0]));
  CHECK(store.NewSnapshot()->List(SpaceId{ids[0]}, {}, {}).value().items.size() == 8);
}

TEST_CASE("a watch wakes for its own range and sleeps through the rest") {
  OpenedStore opened(EachEngine());
  Store& store = *opened;
  const SpaceId space = store.OpenSpace("s", {}).value();
  const uint64_t start = store.version();
  constexpr uint64_t kTooLongMs = 100'000;  // The test's own time limit is shorter.
  std::atomic<uint64_t> woken_by{0};
  std::atomic<uint64_t> cleared_by{0};
  std::thread watcher([&] {
    woken_by = store.WaitForChange(space, PrefixRange("w"), start, kTooLongMs).value();
    cleared_by = store.WaitForChange(space, PrefixRange("z"), start, kTooLongMs).value();
  });
  for (int i = 0; i < 100; ++i) {
    WriteBatch other;
    other.Put(space, "a" + std::to_string(i), "");
    REQUIRE(store.Write(other, Durability::kAsync).ok());
  }
  WriteBatch watched;
  watched.Put(space, "w1", "");
  REQUIRE(store.Write(watched, Durability::kAsync).ok());
  const uint64_t put_version = store.version();
  WriteBatch clear;
  clear.DeleteRange(space, {"y", ""});
  REQUIRE(store.Write(clear, Durability::kAsync).ok());
  watcher.join();
  CHECK(woken_by == put_version);
  CHECK(cleared_by == store.version());
}

// Holds every Apply() until all committers that are still at it have a commit before the store, so
// that the size of the groups does not depend on how fast the disk happens to be.
struct Crowd {
  std::atomic<int> alive;        // Threads that will commit again or wait for a commit.
  std::atomic<int> started{0};   // Commits that threads have begun.
  std::atomic<int> finished{0};  // Commits that the engine has applied.
};

class CrowdedEngine final : public Engine {
 public:
  CrowdedEngine(std::unique_ptr<Engine> engine, Crowd* crowd)
      : engine_(std::move(engine)), crowd_(crowd) {}

  absl::Status OpenSpace(SpaceId id, std::string_view name, const SpaceOptions& options) override {
    return engine_->OpenSpace(id, name, options);
  }
  std::shared_ptr<const View> NewView() override { return engine_->NewView(); }
  absl::Status Apply(std::span<const WriteBatch* const> batches, bool sync) override {
    while (crowd_->started - crowd_->finished < crowd_->alive) std::this_thread::yield();
    const absl::Status status = engine_->Apply(batches, sync);
    crowd_->finished += static_cast<int>(batches.size());
    return status;
  }
  absl::Status Sync() override { return engine_->Sync(); }
  absl::Status Checkpoint(const std::string& path) override { return engine_->Checkpoint(path); }
  uint64_t applied_count() const override { return engine_->applied_count(); }
  uint64_t sync_count() const override { return engine_->sync_count(); }

 private:
  const std::unique_ptr<Engine> engine_;
  Crowd* const crowd_;
};

TEST_CASE("concurrent commits share flushes") {
  constexpr int kThreads = 32;
  constexpr int kCommits = 20;
  test::ScratchFolder directory(test::ScratchFolder::MemoryBacked());
  RocksDbOptions options;
  options.directory = directory.path();
  Crowd crowd{.alive = kThreads};
  std::unique_ptr<Engine> rocksdb = OpenRocksDbEngine(options).value();
  auto crowded = std::make_unique<CrowdedEngine>(std::move(rocksdb), &crowd);
  const Engine* engine = crowded.get();
  const std::unique_ptr<Store> store = NewEmbeddedStore(std::move(crowded));
  const SpaceId space = store->OpenSpace("s", {}).value();
  const uint64_t syncs_before = engine->sync_count();
  std::atomic<int> failures{0};
  RunThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kCommits; ++i) {
      WriteBatch batch;
      batch.Put(space, std::to_string(thread) + "/" + std::to_string(i), "v");
      ++crowd.started;
      if (!store->Write(batch, Durability::kSync).ok()) ++failures;
    }
    --crowd.alive;
  });
  const uint64_t syncs = engine->sync_count() - syncs_before;
  INFO(syncs << " flushes for " << kThreads * kCommits << " commits of " << kThreads << " threads");
  CHECK(failures == 0);
  CHECK(syncs >= kCommits);  // A thread's own commits each need one.
  CHECK(syncs <= kThreads * kCommits / 8);
  CHECK(store->NewSnapshot()->List(space, {}, {}).value().items.size() == kThreads * kCommits);
}

}  // namespace
}  // namespace strata::kv
