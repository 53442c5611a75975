// SPDX-License-Identifier: Apache-2.0
//
// A forked child of a process with an open store, a stream half written and one half read: it is
// refused everything, ends as it likes, and its parent notices nothing.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "fixture.h"
#include "strata/dedup/directory.h"
#include "support/forked_child.h"
#include "support/scratch_folder.h"

namespace strata::dedup {
namespace {

using test::ChildEnd;
using test::ChildReport;
using test::RunInChild;

absl::StatusOr<std::unique_ptr<Directory>> Open(const std::string& path) {
  DirectoryOptions options;
  options.path = path;
  options.max_size_bytes = 256u << 20;
  options.store.container_bytes = 1u << 20;
  options.store.worker_threads = 2;
  return Directory::Open(options);
}

std::unique_ptr<Directory> OpenOrFail(const std::string& path) {
  auto directory = Open(path);
  INFO(directory.status());
  REQUIRE(directory.ok());
  return *std::move(directory);
}

// Everything that a parent may have in hand as it forks.
struct Held {
  explicit Held(const std::string& path) : directory(OpenOrFail(path)) {
    const absl::StatusOr<StreamInfo> info = Put(directory->store(), first);
    REQUIRE(info.ok());
    id = info->id;
    reader = *directory->store().OpenReader(id);
    Bytes half(first.size() / 2);
    REQUIRE(reader->Read(0, half).ok());  // What follows is read ahead.
    writer = directory->store().NewWriter();
    REQUIRE(writer->Write(std::span(second).first(second.size() / 2)).ok());
    prepared = directory->store().NewWriter();
    REQUIRE(prepared->Write(second).ok());
    REQUIRE(prepared->Prepare().ok());
  }

  // In the child: calls everything, and gives everything back.
  void UseAll(ChildReport& report) {
    Store& store = directory->store();
    UseWriter(report, *writer, "the parent's writer");
    UseWriter(report, *store.NewWriter(), "a new writer");
    Bytes out(1000);
    report.Expect(reader->info().size_bytes == first.size(), "info");
    report.Refused(reader->Read(first.size() / 2, out), "Read");
    report.Refused(store.OpenReader(id), "OpenReader");
    const auto txn = directory->kv().Begin();
    Change change;
    change.add = {prepared.get()};
    report.Refused(store.Commit(*txn, change, kv::Durability::kSync), "Commit");
    report.Refused(store.Delete(id), "Delete");
    report.Refused(store.Stat(id), "Stat");
    report.Refused(store.List({}, 10), "List");
    report.Refused(store.CollectGarbage({}), "CollectGarbage");
    report.Refused(store.FoldDuplicates({}), "FoldDuplicates");
    report.Refused(store.Sync(), "Sync");
    report.Refused(store.Verify({}), "Verify");
    report.Refused(store.RebuildIndex(nullptr), "RebuildIndex");
    report.Expect(store.Stats().stream_count == 0, "Stats");
    report.Refused(directory->device().OpenChannel({}), "OpenChannel");
    report.Refused(directory->kv().Sync(), "kv: Sync");
    report.Expect(absl::IsFailedPrecondition(Open(directory->path()).status()),
                  "the child opened what its parent has open");
    prepared.reset();
    writer.reset();
    reader.reset();
    directory.reset();
  }

  static void UseWriter(ChildReport& report, Writer& writer, const std::string& what) {
    report.Refused(writer.Write(Bytes(10)), what + ": Write");
    report.Refused(writer.Prepare(), what + ": Prepare");
    report.Refused(writer.Finish(), what + ": Finish");
  }

  // In the parent, afterwards; closes everything, opens it again, and looks at it.
  void CheckWhole() {
    Bytes rest(first.size() / 2);
    REQUIRE(reader->Read(first.size() / 2, rest).ok());
    CHECK(std::equal(rest.begin(), rest.end(),
                     first.begin() + static_cast<ptrdiff_t>(first.size() / 2)));
    REQUIRE(writer->Write(std::span(second).subspan(second.size() / 2)).ok());
    const StreamId written = writer->Finish()->id;
    const StreamId committed = prepared->Finish()->id;
    prepared.reset();
    writer.reset();
    reader.reset();
    const std::string path = directory->path();
    directory.reset();
    directory = OpenOrFail(path);
    CHECK(*Get(directory->store(), id) == first);
    CHECK(*Get(directory->store(), written) == second);
    CHECK(*Get(directory->store(), committed) == second);
    const absl::StatusOr<VerifyReport> report = directory->store().Verify({});
    REQUIRE(report.ok());
    CHECK(report->container_damage.empty());
    CHECK(report->streams.empty());
  }

  const Bytes first = TextBytes(1, 3u << 20);
  const Bytes second = TextBytes(2, 3u << 20);
  std::unique_ptr<Directory> directory;
  StreamId id;
  std::unique_ptr<Reader> reader;
  std::unique_ptr<Writer> writer;
  std::unique_ptr<Writer> prepared;
};

TEST_CASE("a forked child does not harm the store, however it ends") {
  const test::ScratchFolder scratch;
  const ChildEnd end = GENERATE(ChildEnd::kExit, ChildEnd::kQuickly, ChildEnd::kExec);
  Held held(scratch / "store");
  CHECK(RunInChild([](ChildReport&) {}, end) == 0);  // One that touches nothing.
  CHECK(RunInChild([&](ChildReport& report) { held.UseAll(report); }, end) == 0);
  held.CheckWhole();
}

TEST_CASE("a child that is forked beside busy threads is refused and ends") {
  if (!test::kMayForkBesideBusyThreads) return;
  const test::ScratchFolder scratch;
  Held held(scratch / "store");
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> busy;
  for (uint64_t which = 0; which < 2; ++which) {
    busy.emplace_back([&, which] {
      for (uint64_t round = 0; !stop; ++round) {
        const Bytes data = TextBytes(100 + 2 * round + which, 700'000);
        const absl::StatusOr<StreamInfo> info = Put(held.directory->store(), data);
        if (!info.ok() || *Get(held.directory->store(), info->id) != data) ++failures;
        if (info.ok() && !held.directory->store().Delete(info->id).ok()) ++failures;
        if (which == 0 && !held.directory->store().CollectGarbage({}).ok()) ++failures;
      }
    });
  }
  for (int i = 0; i < 12; ++i) {
    CHECK(RunInChild([&](ChildReport& report) { held.UseAll(report); }) == 0);
  }
  stop = true;
  for (std::thread& thread : busy) thread.join();
  CHECK(failures == 0);
  held.CheckWhole();
}

#ifndef __SANITIZE_THREAD__  // It lets no child of a process with threads have threads.
TEST_CASE("a forked child may have a store of its own when its parent has none open") {
  const test::ScratchFolder scratch;
  const std::vector<std::byte> data(3'000'000, std::byte{7});
  REQUIRE(Put(OpenOrFail(scratch / "store")->store(), data).ok());
  CHECK(RunInChild([&](ChildReport& report) {
          for (int round = 0; round < 2; ++round) {
            const auto own = Open(scratch / "own");
            report.Succeeded(own.status(), "opening its own");
            if (!own.ok()) return;
            const absl::StatusOr<StreamInfo> info = Put((*own)->store(), data);
            report.Succeeded(info.status(), "writing to its own");
            if (info.ok()) {
              report.Expect(*Get((*own)->store(), info->id) == data, "reading from its own");
            }
            report.Succeeded((*own)->store().CollectGarbage({}).status(), "collecting its own");
          }
        }) == 0);
  CHECK(OpenOrFail(scratch / "own")->store().Stats().stream_count == 2);
}
#endif

TEST_CASE("a store is free as its process ends, though a forked child lives on") {
  const test::ScratchFolder scratch;
  int ready[2];
  int wait[2];
  REQUIRE(pipe(ready) == 0);
  REQUIRE(pipe(wait) == 0);
  const pid_t opener = fork();
  if (opener == 0) {
    alarm(test::kMaxChildSeconds);
    const auto directory = Open(scratch / "store");
    if (!directory.ok() || !Put((*directory)->store(), TextBytes(1, 2u << 20)).ok()) _exit(1);
    if (fork() == 0) {
      alarm(test::kMaxChildSeconds);
      char byte = 0;
      (void)!write(ready[1], "r", 1);
      (void)!read(wait[0], &byte, 1);
      _exit(0);
    }
    kill(getpid(), SIGKILL);
  }
  char byte = 0;
  REQUIRE(read(ready[0], &byte, 1) == 1);
  int status = -1;
  CHECK(waitpid(opener, &status, 0) == opener);
  CHECK(WIFSIGNALED(status));
  CHECK(OpenOrFail(scratch / "store")->store().Stats().stream_count == 1);
  REQUIRE(write(wait[1], "w", 1) == 1);
  for (const int end : {ready[0], ready[1], wait[0], wait[1]}) close(end);
}

}  // namespace
}  // namespace strata::dedup
