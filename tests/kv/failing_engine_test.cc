// SPDX-License-Identifier: Apache-2.0
//
// A store whose engine fails: it says so, stops taking writes, and never calls anything durable
// that is not.
#include <atomic>
#include <catch2/catch.hpp>
#include <string>

#include "embedded_store.h"
#include "engine.h"
#include "strata/kv/store.h"

namespace strata::kv {
namespace {

class EmptyView final : public View {
 public:
  absl::StatusOr<std::optional<std::string>> Get(SpaceId, std::string_view) const override {
    return std::nullopt;
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      SpaceId, const std::vector<std::string>& keys) const override {
    return std::vector<std::optional<std::string>>(keys.size());
  }
  absl::StatusOr<Page> List(SpaceId, const Range&, const PageOptions&) const override {
    return Page{};
  }
};

// Counts what it is asked for, and fails when told to.
struct EngineLog {
  absl::Status apply_result;
  absl::Status sync_result;
  int applied = 0;
  int synced = 0;
};

class LoggedEngine final : public Engine {
 public:
  explicit LoggedEngine(EngineLog* log) : log_(log) {}
  absl::Status OpenSpace(SpaceId, std::string_view, const SpaceOptions&) override {
    return absl::OkStatus();
  }
  std::shared_ptr<const View> NewView() override { return std::make_shared<EmptyView>(); }
  absl::Status Apply(std::span<const WriteBatch* const>, bool sync) override {
    ++log_->applied;
    if (sync) ++log_->synced;
    return log_->apply_result;
  }
  absl::Status Sync() override {
    ++log_->synced;
    return log_->sync_result;
  }
  absl::Status Checkpoint(const std::string&) override { return absl::OkStatus(); }
  uint64_t applied_count() const override { return 0; }
  uint64_t sync_count() const override { return 0; }

 private:
  EngineLog* const log_;
};

WriteBatch OnePut(SpaceId space) {
  WriteBatch batch;
  batch.Put(space, "k", "v");
  return batch;
}

TEST_CASE("after a failed write the store takes no more, and says why") {
  EngineLog log;
  const auto store = NewEmbeddedStore(std::make_unique<LoggedEngine>(&log));
  const SpaceId space = store->OpenSpace("s", {}).value();
  REQUIRE(store->Write(OnePut(space), Durability::kSync).ok());
  const uint64_t version = store->version();

  log.apply_result = absl::ResourceExhaustedError("no space on /disk");
  const absl::Status failed = store->Write(OnePut(space), Durability::kSync);
  CHECK(failed.code() == absl::StatusCode::kResourceExhausted);
  log.apply_result = absl::OkStatus();

  const auto txn = store->Begin();
  REQUIRE(txn->Put(space, "k", "v").ok());
  for (const absl::Status& status :
       {store->Write(OnePut(space), Durability::kAsync), txn->Commit(Durability::kSync)}) {
    INFO(status);
    CHECK(status.code() == absl::StatusCode::kResourceExhausted);
    CHECK(std::string(status.message()).find("no more writes") != std::string::npos);
    CHECK(std::string(status.message()).find("/disk") != std::string::npos);
  }
  CHECK(log.applied == 2);
  CHECK(store->version() == version);
  CHECK(store->NewSnapshot()->Get(space, "k").ok());
}

TEST_CASE("a failed flush is never forgotten") {
  EngineLog log;
  const auto store = NewEmbeddedStore(std::make_unique<LoggedEngine>(&log));
  const SpaceId space = store->OpenSpace("s", {}).value();
  REQUIRE(store->Write(OnePut(space), Durability::kAsync).ok());
  log.sync_result = absl::UnavailableError("the disk went away");
  CHECK(store->Sync().code() == absl::StatusCode::kUnavailable);
  log.sync_result = absl::OkStatus();
  // The kernel may have dropped the dirty pages: a second, successful flush would prove nothing.
  CHECK(store->Sync().code() == absl::StatusCode::kUnavailable);
  CHECK(store->Write(OnePut(space), Durability::kSync).code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("flushes happen when they are needed, and only then") {
  EngineLog log;
  const auto store = NewEmbeddedStore(std::make_unique<LoggedEngine>(&log));
  const SpaceId space = store->OpenSpace("s", {}).value();
  REQUIRE(store->Sync().ok());
  CHECK(log.synced == 0);
  REQUIRE(store->Write(OnePut(space), Durability::kAsync).ok());
  CHECK(log.synced == 0);
  SECTION("by Sync()") { REQUIRE(store->Sync().ok()); }
  SECTION("by an empty batch that wants to be durable") {
    REQUIRE(store->Write(WriteBatch(), Durability::kSync).ok());
  }
  SECTION("by a transaction that only read, and must not have read what can vanish") {
    REQUIRE(store->Begin()->Commit(Durability::kSync).ok());
  }
  SECTION("by a later commit") { REQUIRE(store->Write(OnePut(space), Durability::kSync).ok()); }
  CHECK(log.synced == 1);
  REQUIRE(store->Sync().ok());
  REQUIRE(store->Begin()->Commit(Durability::kSync).ok());
  CHECK(log.synced == 1);
}

}  // namespace
}  // namespace strata::kv
