// SPDX-License-Identifier: Apache-2.0
//
// A forked child of a process with an open store: it is refused everything, ends as it likes, and
// its parent notices nothing.
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "strata/kv/engines.h"
#include "support/forked_child.h"
#include "support/scratch_folder.h"

namespace strata::kv {
namespace {

using test::ChildEnd;
using test::ChildReport;
using test::RunInChild;
using test::ScratchFolder;

std::unique_ptr<Store> OpenOrFail(const std::string& directory) {
  RocksDbOptions options;
  options.directory = directory;
  auto store = OpenRocksDbStore(options);
  INFO(store.status());
  REQUIRE(store.ok());
  return *std::move(store);
}

// Everything that a parent may have in hand as it forks.
struct Held {
  explicit Held(std::unique_ptr<Store> opened) : store(std::move(opened)) {
    space = *store->OpenSpace("space", {});
    WriteBatch batch;
    batch.Put(space, "key", "value");
    REQUIRE(store->Write(batch, Durability::kSync).ok());
    snapshot = store->NewSnapshot();
    transaction = store->Begin();
    REQUIRE(transaction->Get(space, "key").ok());
    REQUIRE(transaction->Put(space, "written", "later").ok());
  }

  // In the child: calls everything, and gives everything back.
  void UseAll(ChildReport& report) {
    report.Refused(store->OpenSpace("other", {}), "OpenSpace");
    WriteBatch batch;
    batch.Put(space, "child", "was here");
    report.Refused(store->Write(batch, Durability::kSync), "Write");
    report.Refused(store->Sync(), "Sync");
    report.Refused(store->Checkpoint("/nowhere"), "Checkpoint");
    report.Refused(store->WaitForChange(space, {}, 0, 10), "WaitForChange");
    report.Expect(store->version() == 0, "version");
    UseReader(report, *snapshot, "the parent's snapshot");
    UseReader(report, *store->NewSnapshot(), "a new snapshot");
    UseTransaction(report, *transaction, "the parent's transaction");
    UseTransaction(report, *store->Begin(), "a new transaction");
    transaction.reset();
    snapshot.reset();
    store.reset();
  }

  void UseReader(ChildReport& report, Reader& reader, const std::string& what) const {
    report.Refused(reader.Get(space, "key"), what + ": Get");
    report.Refused(reader.MultiGet(space, {"key"}), what + ": MultiGet");
    report.Refused(reader.List(space, {}, {}), what + ": List");
  }

  void UseTransaction(ChildReport& report, Transaction& txn, const std::string& what) const {
    UseReader(report, txn, what);
    report.Refused(txn.GetUnchecked(space, "key"), what + ": GetUnchecked");
    report.Refused(txn.ListUnchecked(space, {}, {}), what + ": ListUnchecked");
    report.Refused(txn.Put(space, "child", "was here"), what + ": Put");
    report.Refused(txn.Delete(space, "key"), what + ": Delete");
    report.Refused(txn.DeleteRange(space, {}), what + ": DeleteRange");
    report.Refused(txn.Commit(Durability::kSync), what + ": Commit");
  }

  // In the parent, afterwards.
  void CheckWhole() {
    CHECK(snapshot->Get(space, "key")->value() == "value");
    CHECK(transaction->Commit(Durability::kSync).ok());
    const auto now = store->NewSnapshot();
    CHECK(now->Get(space, "written")->value() == "later");
    CHECK(!now->Get(space, "child")->has_value());
  }

  std::unique_ptr<Store> store;
  SpaceId space;
  std::unique_ptr<Snapshot> snapshot;
  std::unique_ptr<Transaction> transaction;
};

TEST_CASE("a forked child does not harm a RocksDB store, however it ends") {
  const ScratchFolder scratch(ScratchFolder::MemoryBacked());
  const ChildEnd end = GENERATE(ChildEnd::kExit, ChildEnd::kQuickly, ChildEnd::kExec);
  {
    Held held(OpenOrFail(scratch / "store"));
    CHECK(RunInChild([&](ChildReport& report) { held.UseAll(report); }, end) == 0);
    // One that touches nothing.
    CHECK(RunInChild([](ChildReport&) {}, end) == 0);
    held.CheckWhole();
  }
  const auto store = OpenOrFail(scratch / "store");
  const SpaceId space = *store->OpenSpace("space", {});
  CHECK(store->NewSnapshot()->Get(space, "written")->value() == "later");
}

TEST_CASE("a forked child does not harm a store in memory") {
  Held held(CreateMemoryStore());
  CHECK(RunInChild([&](ChildReport& report) { held.UseAll(report); }) == 0);
  held.CheckWhole();
}

TEST_CASE("a child that is forked in the middle of a write is refused and ends") {
  if (!test::kMayForkBesideBusyThreads) return;
  const ScratchFolder scratch(ScratchFolder::MemoryBacked());
  constexpr int kChildren = 16;
  uint64_t written = 0;
  {
    Held held(OpenOrFail(scratch / "store"));
    std::atomic<bool> stop{false};
    std::atomic<bool> failed{false};
    std::thread busy([&] {
      for (; !stop; ++written) {
        WriteBatch batch;
        batch.Put(held.space, "busy" + std::to_string(written), std::string(1000, 'x'));
        if (!held.store->Write(batch, Durability::kSync).ok()) failed = true;
      }
    });
    for (int i = 0; i < kChildren; ++i) {
      CHECK(RunInChild([&](ChildReport& report) { held.UseAll(report); }) == 0);
    }
    stop = true;
    busy.join();
    CHECK(!failed);
    held.CheckWhole();
  }
  const auto store = OpenOrFail(scratch / "store");
  const SpaceId space = *store->OpenSpace("space", {});
  const auto snapshot = store->NewSnapshot();
  for (uint64_t i = 0; i < written; ++i) {
    REQUIRE(snapshot->Get(space, "busy" + std::to_string(i))->has_value());
  }
}

// RocksDB's timer thread holds a lock that the child would wait for.
TEST_CASE("a child that was forked beside an open store is refused one of its own") {
  const ScratchFolder scratch(ScratchFolder::MemoryBacked());
  Held held(OpenOrFail(scratch / "store"));
  CHECK(RunInChild([&](ChildReport& report) {
          RocksDbOptions options;
          for (const char* name : {"store", "own"}) {
            options.directory = scratch / name;
            const absl::Status status = OpenRocksDbStore(options).status();
            report.Expect(absl::IsFailedPrecondition(status) &&
                              status.message().find("must exec") != absl::string_view::npos,
                          status.ToString());
          }
        }) == 0);
  CHECK(!std::filesystem::exists(scratch / "own"));
  held.CheckWhole();
}

#ifndef __SANITIZE_THREAD__  // It lets no child of a process with threads have threads.
TEST_CASE("a forked child opens a store when its parent has none open") {
  const ScratchFolder scratch(ScratchFolder::MemoryBacked());
  OpenOrFail(scratch / "closed before").reset();
  CHECK(RunInChild([&](ChildReport& report) {
          RocksDbOptions options;
          options.directory = scratch / "own";
          for (int round = 0; round < 2; ++round) {
            auto own = OpenRocksDbStore(options);
            report.Succeeded(own.status(), "opening its own");
            if (!own.ok()) return;
            const SpaceId space = *(*own)->OpenSpace("space", {});
            WriteBatch batch;
            // More than a memtable: background threads have to write it out.
            for (int i = 0; i < 24; ++i) {
              batch.Put(space, std::to_string(i), std::string(1 << 20, 'v'));
            }
            report.Succeeded((*own)->Write(batch, Durability::kSync), "writing to its own");
            own->reset();  // Has everything written out, too.
          }
        }) == 0);
  const auto own = OpenOrFail(scratch / "own");
  CHECK(own->NewSnapshot()->Get(*own->OpenSpace("space", {}), "23")->has_value());
}
#endif

TEST_CASE("a store is free as its process ends, though a forked child lives on") {
  const ScratchFolder scratch(ScratchFolder::MemoryBacked());
  int report[2];
  int wait[2];
  REQUIRE(pipe(report) == 0);
  REQUIRE(pipe(wait) == 0);
  const pid_t opener = fork();
  if (opener == 0) {
    alarm(test::kMaxChildSeconds);
    RocksDbOptions options;
    options.directory = scratch / "store";
    auto store = OpenRocksDbStore(options);
    if (!store.ok()) _exit(1);
    const pid_t child = fork();
    if (child == 0) {
      alarm(test::kMaxChildSeconds);
      char byte = 0;
      (void)!write(report[1], "r", 1);
      (void)!read(wait[0], &byte, 1);
      _exit(0);
    }
    _exit(0);  // Closes nothing.
  }
  close(report[1]);
  close(wait[0]);
  char byte = 0;
  REQUIRE(read(report[0], &byte, 1) == 1);
  CHECK(byte == 'r');
  int status = -1;
  CHECK(waitpid(opener, &status, 0) == opener);
  CHECK(status == 0);
  OpenOrFail(scratch / "store").reset();
  REQUIRE(write(wait[1], "w", 1) == 1);
  CHECK(read(report[0], &byte, 1) == 0);  // The child ended.
  close(report[0]);
  close(wait[1]);
}

}  // namespace
}  // namespace strata::kv
