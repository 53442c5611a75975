// SPDX-License-Identifier: Apache-2.0
//
// A log of commits beside the store: what it is told, in which order, and who waits for what.
#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "engine_under_test.h"
#include "strata/base/mutex.h"

namespace strata::kv {
namespace {

class RecordingLog final : public CommitLog {
 public:
  absl::Status Append(std::span<const WriteBatch* const> commits, Durability durability,
                      DirectWrite& direct, WriteBatch* also) override {
    REQUIRE(!appending_.exchange(true));  // One at a time.
    absl::Status status = result;
    if (status.ok() && before != nullptr) status = direct.Write(*before, Durability::kSync);
    if (status.ok()) {
      for (const WriteBatch* commit : commits) {
        for (const WriteBatch::Operation& operation : commit->operations()) {
          if (operation.space != unlogged) keys.push_back(operation.key);
        }
      }
      if (durability == Durability::kSync) ++durable;
      also->Put(unlogged, "mark", std::to_string(keys.size()));
    }
    appending_ = false;
    return status;
  }
  absl::Status Sync() override {
    ++syncs;
    return absl::OkStatus();
  }
  void Committed() override { ++committed; }

  SpaceId unlogged;
  absl::Status result;
  const WriteBatch* before = nullptr;
  std::vector<std::string> keys;  // As they came.
  int durable = 0;
  int syncs = 0;
  std::atomic<int> committed{0};

 private:
  std::atomic<bool> appending_{false};
};

WriteBatch OnePut(SpaceId space, const std::string& key) {
  WriteBatch batch;
  batch.Put(space, key, "v");
  return batch;
}

struct LoggedStore {
  LoggedStore() : opened(EachEngine()) {
    logged = *opened->OpenSpace("logged", {});
    unlogged = *opened->OpenSpace("unlogged", {.access = SpaceOptions::Access::kPoint});
    log.unlogged = unlogged;
    REQUIRE(opened->AttachCommitLog(&log, {unlogged}).ok());
  }
  ~LoggedStore() { (void)opened->AttachCommitLog(nullptr, {}); }
  std::optional<std::string> Get(SpaceId space, const std::string& key) {
    return *opened->NewSnapshot()->Get(space, key);
  }

  OpenedStore opened;
  SpaceId logged;
  SpaceId unlogged;
  RecordingLog log;
};

}  // namespace

TEST_CASE("the log takes commits in their order, and its own mark goes with them") {
  LoggedStore store;
  REQUIRE(store.opened->Write(OnePut(store.logged, "a"), Durability::kSync).ok());
  REQUIRE(store.opened->Write(OnePut(store.logged, "b"), Durability::kAsync).ok());
  REQUIRE(store.opened->Write(OnePut(store.unlogged, "c"), Durability::kSync).ok());
  const auto txn = store.opened->Begin();
  REQUIRE(txn->Delete(store.logged, "a").ok());
  REQUIRE(txn->Commit(Durability::kSync).ok());
  CHECK(store.log.keys == std::vector<std::string>{"a", "b", "a"});
  CHECK(store.log.durable == 2);
  CHECK(store.log.committed == 3);
  CHECK(store.Get(store.unlogged, "mark") == "3");
  CHECK(!store.Get(store.logged, "a").has_value());
  CHECK(store.Get(store.unlogged, "c") == "v");
}

TEST_CASE("a commit that loses a conflict is not logged") {
  LoggedStore store;
  const auto txn = store.opened->Begin();
  REQUIRE(txn->Get(store.logged, "k").ok());
  REQUIRE(txn->Put(store.logged, "lost", "v").ok());
  REQUIRE(store.opened->Write(OnePut(store.logged, "k"), Durability::kSync).ok());
  CHECK(absl::IsAborted(txn->Commit(Durability::kSync)));
  CHECK(store.log.keys == std::vector<std::string>{"k"});
}

TEST_CASE("what the log refuses does not happen, and the store goes on") {
  LoggedStore store;
  store.log.result = absl::ResourceExhaustedError("no room for the log");
  const absl::Status refused = store.opened->Write(OnePut(store.logged, "a"), Durability::kSync);
  CHECK(absl::IsResourceExhausted(refused));
  CHECK(!store.Get(store.logged, "a").has_value());
  CHECK(store.opened->Write(OnePut(store.unlogged, "b"), Durability::kSync).ok());
  WriteBatch both = OnePut(store.unlogged, "both");
  both.Put(store.logged, "both", "v");
  CHECK(!store.opened->Write(both, Durability::kSync).ok());
  CHECK(!store.Get(store.unlogged, "both").has_value());
  store.log.result = absl::OkStatus();
  CHECK(store.opened->Write(OnePut(store.logged, "a"), Durability::kSync).ok());
  CHECK(store.Get(store.logged, "a") == "v");
}

TEST_CASE("the log may write what it needs while a group of commits waits for it") {
  LoggedStore store;
  const WriteBatch before = OnePut(store.unlogged, "container");
  store.log.before = &before;
  REQUIRE(store.opened->Write(OnePut(store.logged, "a"), Durability::kSync).ok());
  CHECK(store.Get(store.unlogged, "container") == "v");
}

TEST_CASE("Sync and durable reads go to the log, once") {
  LoggedStore store;
  REQUIRE(store.opened->Write(OnePut(store.logged, "a"), Durability::kAsync).ok());
  const auto txn = store.opened->Begin();
  REQUIRE(txn->Get(store.logged, "a").ok());
  REQUIRE(txn->Commit(Durability::kSync).ok());
  CHECK(store.log.syncs == 1);
  REQUIRE(store.opened->Sync().ok());
  CHECK(store.log.syncs == 1);
  REQUIRE(store.opened->Write(OnePut(store.logged, "b"), Durability::kAsync).ok());
  REQUIRE(store.opened->Sync().ok());
  CHECK(store.log.syncs == 2);
}

TEST_CASE("without its log the store refuses what the log would miss") {
  LoggedStore store;
  REQUIRE(store.opened->AttachCommitLog(nullptr, {}).ok());
  CHECK(absl::IsFailedPrecondition(
      store.opened->Write(OnePut(store.logged, "a"), Durability::kSync)));
  CHECK(store.opened->Write(OnePut(store.unlogged, "b"), Durability::kSync).ok());
}

TEST_CASE("clearing a logged space goes through the log, another past it") {
  LoggedStore store;
  REQUIRE(store.opened->Write(OnePut(store.logged, "a"), Durability::kSync).ok());
  REQUIRE(store.opened->Write(OnePut(store.unlogged, "b"), Durability::kSync).ok());
  const size_t appended = store.log.keys.size();
  REQUIRE(store.opened->ClearSpace(store.unlogged).ok());
  CHECK(store.log.keys.size() == appended);
  REQUIRE(store.opened->ClearSpace(store.logged).ok());
  CHECK(store.log.keys.size() == appended + 1);
  CHECK(store.Get(store.logged, "a") == std::nullopt);
  CHECK(store.Get(store.unlogged, "b") == std::nullopt);
}

TEST_CASE("many writers: the log has every commit once") {
  LoggedStore store;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string key = std::to_string(t) + "." + std::to_string(i);
        const SpaceId space = i % 5 == 0 ? store.unlogged : store.logged;
        const absl::Status status = store.opened->Write(
            OnePut(space, key), i % 3 == 0 ? Durability::kAsync : Durability::kSync);
        if (!status.ok()) std::abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(store.log.keys.size() == 4 * 40);
  CHECK(store.Get(store.unlogged, "mark") == "160");
}

TEST_CASE("spaces are listed by name, opened or not") {
  LoggedStore store;
  const auto spaces = store.opened->ListSpaces();
  REQUIRE(spaces.ok());
  REQUIRE(spaces->size() == 2);
  CHECK((*spaces)[0].name == "logged");
  CHECK((*spaces)[1].options.access == SpaceOptions::Access::kPoint);
  CHECK(store.opened->FindSpace(store.logged)->name == "logged");
  CHECK(absl::IsInvalidArgument(store.opened->FindSpace(SpaceId{99}).status()));
}

}  // namespace strata::kv
