// SPDX-License-Identifier: Apache-2.0
//
// A store that is opened to be read alone: it reads like any other and changes nothing, after a
// crash too; it is refused beside a writer, and where the caller takes the risk, data that goes
// away is an error.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "fixture.h"
#include "strata/dedup/directory.h"
#include "support/forked_child.h"
#include "support/must.h"
#include "support/scratch_folder.h"

namespace strata::dedup {
namespace {

namespace fs = std::filesystem;
using test::ChildEnd;
using test::ChildReport;
using test::Must;
using test::RunInChild;

constexpr uid_t kNobody = 65534;

struct Scratch {
  const test::ScratchFolder folder;
  const fs::path path = folder.path();
  const fs::path store = path / "store";
};

DirectoryOptions Options(const fs::path& path) {
  DirectoryOptions options;
  options.path = path;
  options.max_size_bytes = 256u << 20;
  options.store.container_bytes = 1u << 20;
  return options;
}

absl::StatusOr<std::unique_ptr<Directory>> OpenReadOnly(const fs::path& path,
                                                        bool assume_unlocked = false) {
  DirectoryOptions options = Options(path);
  options.read_only = true;
  options.assume_unlocked = assume_unlocked;
  return Directory::Open(options);
}

// Everything that the folder holds, and when it was changed.
std::map<std::string, std::string> Content(const fs::path& folder) {
  std::map<std::string, std::string> content;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    struct stat info = {};
    REQUIRE(lstat(entry.path().c_str(), &info) == 0);
    std::string& value = content[entry.path()];
    value = std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    value.append(std::istreambuf_iterator<char>(file), {});
  }
  return content;
}

// A store whose process ended without closing it, in the middle of its writers' containers.
std::vector<std::pair<StreamId, Bytes>> LeaveOpenStore(const fs::path& path) {
  std::vector<std::pair<StreamId, Bytes>> streams;
  int ids[2];
  REQUIRE(pipe(ids) == 0);
  CHECK(RunInChild(
            [&](ChildReport& report) {
              const auto directory = Directory::Open(Options(path));
              report.Succeeded(directory.status(), "opening");
              if (!directory.ok()) return;
              for (uint64_t seed = 0; seed < 6; ++seed) {
                const auto info = Put((*directory)->store(), RandomBytes(seed, 700'000));
                report.Succeeded(info.status(), "writing");
                if (info.ok()) (void)!write(ids[1], &info->id, sizeof(info->id));
              }
              fflush(stdout);
              _exit(report.wrong().empty() ? 0 : 1);  // Destroys nothing.
            },
            ChildEnd::kQuickly) == 0);
  for (uint64_t seed = 0; seed < 6; ++seed) {
    StreamId id;
    REQUIRE(read(ids[0], &id, sizeof(id)) == sizeof(id));
    streams.emplace_back(id, RandomBytes(seed, 700'000));
  }
  close(ids[0]);
  close(ids[1]);
  return streams;
}

TEST_CASE("a store that was not closed is read without a change to its folder") {
  const Scratch scratch;
  const auto streams = LeaveOpenStore(scratch.store);
  const auto before = Content(scratch.store);
  {
    const auto directory = Must(OpenReadOnly(scratch.store));
    const auto second = Must(OpenReadOnly(scratch.store));  // Readers do not keep each other out.
    for (const auto& [id, data] : streams) CHECK(*Get(directory->store(), id) == data);
    CHECK(directory->store().Stats().stream_count == streams.size());
    CHECK(directory->store().List({}, 100)->size() == streams.size());
    const VerifyReport report = Must(directory->store().Verify({}));
    CHECK(report.containers_checked > 2);
    CHECK(report.container_damage.empty());
    CHECK(report.streams.empty());
    CHECK(directory->store().Sync().ok());
  }
  CHECK(Content(scratch.store) == before);
}

TEST_CASE("what would change a store that is only read is refused") {
  const Scratch scratch;
  StreamId id;
  {
    const auto directory = Must(Directory::Open(Options(scratch.store)));
    id = Must(Put(directory->store(), TextBytes(1, 100'000))).id;
  }
  const auto directory = Must(OpenReadOnly(scratch.store));
  Store& store = directory->store();
  const auto refused = [](const absl::Status& status) {
    return absl::IsFailedPrecondition(status) &&
           status.message().find("read-only") != absl::string_view::npos;
  };
  const auto writer = store.NewWriter();
  CHECK(refused(writer->Write(Bytes(10))));
  CHECK(refused(writer->Prepare().status()));
  CHECK(refused(writer->Finish().status()));
  CHECK(refused(store.Delete(id)));
  const auto txn = directory->kv().Begin();
  CHECK(
      refused(store.Commit(*txn, {.add = {}, .copy = {}, .remove = {id}}, kv::Durability::kSync)));
  CHECK(refused(store.CollectGarbage({}).status()));
  CHECK(refused(store.FoldDuplicates({}).status()));
  CHECK(refused(store.RebuildIndex(nullptr)));
  // A space that is not there reads as empty, and cannot be written to.
  const kv::SpaceId absent = Must(directory->kv().OpenSpace("absent", {}));
  CHECK(!Must(directory->kv().NewSnapshot()->Get(absent, "key")).has_value());
  CHECK(!Must(directory->kv().NewSnapshot()->MultiGet(absent, {"key"})).front().has_value());
  CHECK(Must(directory->kv().NewSnapshot()->List(absent, {}, {})).items.empty());
  kv::WriteBatch batch;
  batch.Put(absent, "key", "value");
  CHECK(refused(directory->kv().Write(batch, kv::Durability::kSync)));
  CHECK(refused(directory->kv().Checkpoint(scratch.path / "copy")));
  CHECK(store.Stat(id).ok());
}

TEST_CASE("no store is made by a read-only opening") {
  const Scratch scratch;
  CHECK(absl::IsNotFound(OpenReadOnly(scratch.store).status()));
  CHECK(!fs::exists(scratch.store));
  fs::create_directories(scratch.store);
  CHECK(absl::IsNotFound(OpenReadOnly(scratch.store).status()));
  CHECK(fs::is_empty(scratch.store));
}

TEST_CASE("a read-only opening is refused beside a writer, and does not disturb it") {
  const Scratch scratch;
  const auto writer = Must(Directory::Open(Options(scratch.store)));
  const StreamId id = Must(Put(writer->store(), TextBytes(1, 3u << 20))).id;
  const absl::Status refused = OpenReadOnly(scratch.store).status();
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK(std::string(refused.message()).find("in use by process") != std::string::npos);
  CHECK(absl::IsFailedPrecondition(OpenReadOnly(scratch.store).status()));

  SECTION("who takes the risk reads what is there") {
    const auto reader = Must(OpenReadOnly(scratch.store, /*assume_unlocked=*/true));
    CHECK(*Get(reader->store(), id) == TextBytes(1, 3u << 20));
  }
  SECTION("what the writer frees meanwhile is an error, and never other bytes") {
    const auto reader = Must(OpenReadOnly(scratch.store, /*assume_unlocked=*/true));
    REQUIRE(writer->store().Delete(id).ok());
    for (uint64_t seed = 10; seed < 14; ++seed) {
      Must(Put(writer->store(), RandomBytes(seed, 2u << 20)));
      CHECK(Must(writer->store().CollectGarbage({})).freed_bytes + seed > 0);
    }
    for (uint64_t seed = 20; seed < 24; ++seed) {  // Into the slots that were freed.
      Must(Put(writer->store(), RandomBytes(seed, 2u << 20)));
    }
    const auto answer = Get(reader->store(), id);
    CAPTURE(answer.status());
    CHECK(absl::IsDataLoss(answer.status()));
  }
  CHECK(Put(writer->store(), TextBytes(2, 100'000)).ok());
}

TEST_CASE("another user reads a store that he may not write to") {
  if (geteuid() != 0) {
    WARN("only root can become another user");
    return;
  }
  const Scratch scratch;
  const auto streams = LeaveOpenStore(scratch.store);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(scratch.store)) {
    fs::permissions(
        entry.path(),
        fs::perms::others_read | (entry.is_directory() ? fs::perms::others_exec : fs::perms::none),
        fs::perm_options::add);
  }
  fs::permissions(scratch.store, fs::perms::others_read | fs::perms::others_exec,
                  fs::perm_options::add);
  fs::permissions(fs::path(scratch.store).parent_path(), fs::perms::others_exec,
                  fs::perm_options::add);
  const auto read_all = [&](ChildReport& report, bool assume_unlocked) {
    const auto directory = OpenReadOnly(scratch.store, assume_unlocked);
    report.Succeeded(directory.status(), "opening as another user");
    if (!directory.ok()) return;
    for (const auto& [id, data] : streams) {
      const auto read = Get((*directory)->store(), id);
      report.Expect(read.ok() && *read == data, "reading: " + read.status().ToString());
    }
  };
  CHECK(RunInChild([&](ChildReport& report) {
          report.Expect(setgid(kNobody) == 0 && setuid(kNobody) == 0, "becoming another user");
          report.Expect(absl::IsPermissionDenied(Directory::Open(Options(scratch.store)).status()),
                        "opening for writing");
          read_all(report, /*assume_unlocked=*/false);
        }) == 0);
  // Where the lock may not be looked at, only who takes the risk gets in.
  for (const fs::path& lock : {scratch.store / "lock", scratch.store / "meta" / "STRATA_KV"}) {
    fs::permissions(lock, fs::perms::owner_read | fs::perms::owner_write);
  }
  CHECK(RunInChild([&](ChildReport& report) {
          report.Expect(setgid(kNobody) == 0 && setuid(kNobody) == 0, "becoming another user");
          const absl::Status refused = OpenReadOnly(scratch.store).status();
          report.Expect(absl::IsFailedPrecondition(refused) &&
                            refused.message().find("unlocked") != absl::string_view::npos,
                        "a lock that cannot be seen: " + refused.ToString());
          read_all(report, /*assume_unlocked=*/true);
        }) == 0);
}

}  // namespace
}  // namespace strata::dedup
