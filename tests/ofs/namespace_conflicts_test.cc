// SPDX-License-Identifier: Apache-2.0
//
// Calls of two sessions that meet: what one does at the worst moment of the other's call, and many
// threads in the same directories, with what must hold between the rows afterwards.
#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <random>
#include <thread>

#include "namespace/namespace.h"
#include "ofs/hooked_store.h"
#include "ofs/namespace_rig.h"
#include "support/rounds.h"
#include "support/scratch_folder.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

// `slow` is the session whose call is met, just before it commits, by what `fast` does.
struct TwoSessions {
  TwoSessions() : hooked(tree.store.get()), slow_session(NewSession()) {
    slow.emplace(NamespaceOptions{{&hooked, tree.metadata.meta, tree.metadata.extents},
                                  slow_session,
                                  tree.key,
                                  &SystemClock()});
    Must(slow->Make(kRootInode, "first", {}));  // Takes a range of inodes.
    hooked.committed = 0;
  }

  uint32_t NewSession() { return Must(StartSession(tree.metadata, {.host = "slow"})); }

  template <typename Call>
  auto Meet(std::function<void()> meanwhile, Call&& call) {
    hooked.before_commit = std::move(meanwhile);
    return call();
  }

  Tree tree;
  Namespace& fast = *tree.names;
  HookedStore hooked;
  uint32_t slow_session;
  std::optional<Namespace> slow;
};

TEST_CASE("names that two sessions make and remove in one directory do not abort each other") {
  TwoSessions two;
  const uint64_t directory = two.tree.MakeDirectory(kRootInode, "shared");
  const uint64_t file = two.tree.MakeFile(directory, "old");
  two.tree.MakeFile(directory, "older");
  const auto touch = [&](const char* name) {
    return [&two, directory, name] { two.tree.MakeFile(directory, name); };
  };
  Must(two.Meet(touch("a"), [&] { return two.slow->Make(directory, "b", {}); }));
  Must(two.Meet(touch("c"), [&] { return two.slow->Link(file, directory, "d"); }));
  Must(two.Meet(touch("e"), [&] { return two.slow->Unlink(directory, "d"); }));
  Must(two.Meet(touch("f"), [&] { return two.slow->Rename(directory, "old", directory, "new"); }));
  Must(two.Meet(touch("g"), [&] { return two.slow->SetAttributes(directory, {.mode = 0700}); }));
  Must(two.Meet(touch("h"), [&] { return two.slow->SetAttributes(directory, {.mtime_ns = 7}); }));
  Must(two.Meet([&] { Must(two.fast.Unlink(directory, "older")); },
                [&] { return two.slow->MakeUnnamed(directory, {}); }));
  CHECK(two.hooked.committed == 7);
  CHECK(two.hooked.aborted == 0);
  // One name is one of them's.
  CHECK(
      ErrnoOf(two.Meet(touch("i"), [&] { return two.slow->Make(directory, "i", {}); }).status()) ==
      EEXIST);
  CHECK(two.hooked.aborted == 1);
  CheckRows(two.tree);
}

TEST_CASE("a directory that gets a name while it is removed stays") {
  TwoSessions two;
  const uint64_t directory = two.tree.MakeDirectory(kRootInode, "d");
  const absl::StatusOr<Found> removed =
      two.Meet([&] { two.tree.MakeFile(directory, "late"); },
               [&] { return two.slow->RemoveDirectory(kRootInode, "d"); });
  CHECK(ErrnoOf(removed.status()) == ENOTEMPTY);
  Must(two.fast.Unlink(directory, "late"));
  two.tree.MakeDirectory(kRootInode, "other");
  const auto replaced =
      two.Meet([&] { two.tree.MakeFile(directory, "late"); },
               [&] { return two.slow->Rename(kRootInode, "other", kRootInode, "d"); });
  CHECK(ErrnoOf(replaced.status()) == ENOTEMPTY);
  CheckRows(two.tree);
}

TEST_CASE("a name that is made in a directory while that is removed is refused") {
  TwoSessions two;
  const uint64_t directory = two.tree.MakeDirectory(kRootInode, "d");
  const uint64_t file = two.tree.MakeFile(kRootInode, "f");
  const auto remove = [&] { Must(two.fast.RemoveDirectory(kRootInode, "d")); };
  SECTION("make") {
    CHECK(ErrnoOf(two.Meet(remove, [&] { return two.slow->Make(directory, "x", {}); }).status()) ==
          ENOENT);
  }
  SECTION("link") {
    CHECK(
        ErrnoOf(two.Meet(remove, [&] { return two.slow->Link(file, directory, "x"); }).status()) ==
        ENOENT);
  }
  SECTION("rename") {
    CHECK(
        ErrnoOf(two.Meet(remove, [&] { return two.slow->Rename(kRootInode, "f", directory, "x"); })
                    .status()) == ENOENT);
  }
  CheckRows(two.tree);
}

TEST_CASE("two directories are not moved below each other at the same time") {
  TwoSessions two;
  Tree& tree = two.tree;
  // The two moves have no directory or inode in common: x/a -> y/b/c/a and y/b -> x/a/d/b.
  const uint64_t x = tree.MakeDirectory(kRootInode, "x");
  const uint64_t y = tree.MakeDirectory(kRootInode, "y");
  const uint64_t a = tree.MakeDirectory(x, "a");
  const uint64_t b = tree.MakeDirectory(y, "b");
  const uint64_t c = tree.MakeDirectory(b, "c");
  const uint64_t d = tree.MakeDirectory(a, "d");
  SECTION("both are moved") {
    const auto moved = two.Meet([&] { Must(two.fast.Rename(y, "b", d, "b")); },
                                [&] { return two.slow->Rename(x, "a", c, "a"); });
    CHECK(ErrnoOf(moved.status()) == EINVAL);
  }
  SECTION("they are exchanged with files") {
    tree.MakeFile(c, "file");
    tree.MakeFile(d, "file");
    const auto moved =
        two.Meet([&] { Must(two.fast.Rename(y, "b", d, "file", RenameMode::kExchange)); },
                 [&] { return two.slow->Rename(c, "file", x, "a", RenameMode::kExchange); });
    CHECK(ErrnoOf(moved.status()) == EINVAL);
  }
  CheckRows(tree);
}

TEST_CASE("a session that is ended in the middle of a call has changed nothing") {
  TwoSessions two;
  const auto end = [&] { Must(EndSession(two.tree.metadata, two.slow_session)); };
  CHECK(ErrnoOf(two.Meet(end, [&] { return two.slow->Make(kRootInode, "x", {}); }).status()) ==
        EIO);
  CHECK(ErrnoOf(two.slow->Unlink(kRootInode, "first").status()) == EIO);
  CHECK(ErrnoOf(two.slow->SetAttributes(kRootInode, {.mode = 0}).status()) == EIO);
  CHECK(two.tree.Names(kRootInode) == std::vector<std::string>{"first"});
  CHECK(two.hooked.committed == 0);
}

TEST_CASE("links of one file that come and go at once are all counted") {
  TwoSessions two;
  const uint64_t file = two.tree.MakeFile(kRootInode, "one");
  Must(two.fast.Link(file, kRootInode, "two"));
  const auto unlink = [&](const char* name) {
    return [&two, name] { Must(two.fast.Unlink(kRootInode, name)); };
  };
  // The first link goes, and the one that is to take its place goes before.
  Must(two.fast.Link(file, kRootInode, "three"));
  Must(two.Meet(unlink("two"), [&] { return two.slow->Unlink(kRootInode, "one"); }));
  CHECK(Must(two.fast.GetAttributes(file)).attributes.link_count == 1);
  CheckRows(two.tree);
  CHECK(ErrnoOf(two.Meet(unlink("three"), [&] { return two.slow->Link(file, kRootInode, "four"); })
                    .status()) == ENOENT);
  CheckRows(two.tree);
  CHECK(Must(two.fast.ListOrphans(0, 10)) == std::vector<uint64_t>{file});
  // An orphan that gets a name again is not reclaimed.
  const absl::Status reclaimed =
      two.Meet([&] { Must(two.fast.Link(file, kRootInode, "five", true)); },
               [&] { return two.slow->Reclaim(file); });
  CHECK(absl::IsFailedPrecondition(reclaimed));
  CheckRows(two.tree);
}

TEST_CASE("the limit of attributes holds for two who set them at once") {
  TwoSessions two;
  const uint64_t file = two.tree.MakeFile(kRootInode, "file");
  const std::string value(kMaxAttributeBytes, 'v');
  for (int i = 0; i < 14; ++i) {
    Must(two.fast.SetAttribute(file, "user.a" + std::to_string(i), value, AttributeMode::kSet));
  }
  const absl::Status status = two.Meet(
      [&] { Must(two.fast.SetAttribute(file, "user.last", value, AttributeMode::kSet)); },
      [&] { return two.slow->SetAttribute(file, "user.more", value, AttributeMode::kSet); });
  CHECK(ErrnoOf(status) == ENOSPC);
}

TEST_CASE("a call that loses many times in a row still gets its turn") {
  TwoSessions two;
  int conflicts = 0;
  std::function<void()> again = [&] {
    two.tree.MakeDirectory(kRootInode, "fast" + std::to_string(conflicts));
    if (++conflicts < 200) two.hooked.before_commit = again;
  };
  Must(two.Meet(
      again, [&] { return two.slow->Make(kRootInode, "slow", {.type = FileType::kDirectory}); }));
  CHECK(two.hooked.aborted == 200);
  CHECK(two.hooked.committed == 1);
  CHECK(Must(two.fast.GetAttributes(kRootInode)).attributes.link_count == 2 + 201);
  // So does one that took longer than the store remembers.
  two.hooked.next_commit = absl::OutOfRangeError("the transaction took too long");
  Must(two.slow->Make(kRootInode, "late", {}));
  two.hooked.next_commit = absl::UnavailableError("the disk of the store is gone");
  CHECK(absl::IsUnavailable(two.slow->Make(kRootInode, "never", {}).status()));
  CheckRows(two.tree);
}

// ---- Threads

constexpr std::array kAnswers = {0,         ENOENT, EEXIST, ENOTDIR, EISDIR,
                                 ENOTEMPTY, EINVAL, EPERM,  ENODATA};

// One thread of a session, in the directories that all share.
class Wanderer {
 public:
  Wanderer(Namespace& names, const std::vector<uint64_t>& directories, uint64_t seed)
      : names_(names), directories_(directories), random_(seed) {}

  void Run(uint64_t steps) {
    for (uint64_t i = 0; i < steps; ++i) {
      const absl::Status status = Step();
      const int error = ErrnoOf(status);
      if (std::find(kAnswers.begin(), kAnswers.end(), error) == kAnswers.end()) {
        unexpected = status;
      }
      done += error == 0 ? 1 : 0;
    }
  }

  absl::Status unexpected;
  int done = 0;

 private:
  uint64_t Pick(uint64_t count) { return random_() % count; }
  std::string Name() { return std::string(1, static_cast<char>('a' + Pick(6))); }

  // One of the directories that all know, or one below it.
  uint64_t Directory() {
    const uint64_t directory = directories_[Pick(directories_.size())];
    if (Pick(2) == 0) return directory;
    const absl::StatusOr<Found> below = names_.Lookup(directory, Name());
    return below.ok() ? below->inode : directory;
  }

  absl::Status Step() {
    const uint64_t at = Directory();
    const std::string name = Name();
    switch (Pick(12)) {
      case 0:
      case 1:
        return names_.Make(at, name, {.mode = 0644}).status();
      case 2:
      case 3:
        return names_.Make(at, name, {.type = FileType::kDirectory, .mode = 0755}).status();
      case 4:
        return names_.Unlink(at, name).status();
      case 5:
        return names_.RemoveDirectory(at, name).status();
      case 6: {
        const absl::StatusOr<Found> found = names_.Lookup(at, name);
        if (!found.ok()) return found.status();
        return names_.Link(found->inode, Directory(), Name()).status();
      }
      case 7: {
        const absl::StatusOr<std::vector<uint64_t>> orphans = names_.ListOrphans(0, 3);
        if (!orphans.ok() || orphans->empty()) return orphans.status();
        return names_.Reclaim((*orphans)[Pick(orphans->size())]);
      }
      case 8:
        if (Pick(2) == 0) return names_.SetAttributes(at, {.mode = 0755, .mtime_ns = 1}).status();
        return names_.SetAttribute(at, "user.a", "1", AttributeMode::kSet);
      case 9: {
        const absl::StatusOr<DirectoryPage> page = names_.ReadDirectory(at, 0, 4);
        if (!page.ok() || page->is_last) return page.status();
        return names_.ReadDirectory(at, page->entries.back().cookie, 4).status();
      }
      default: {
        constexpr RenameMode kModes[] = {RenameMode::kReplace, RenameMode::kNoReplace,
                                         RenameMode::kExchange};
        return names_.Rename(at, name, Directory(), Name(), kModes[Pick(3)]).status();
      }
    }
  }

  Namespace& names_;
  const std::vector<uint64_t> directories_;
  std::mt19937_64 random_;
};

void Wander(std::unique_ptr<kv::Store> store, uint64_t steps) {
  Tree tree(std::move(store));
  Namespace other({tree.metadata, Must(StartSession(tree.metadata, {.host = "other"})), tree.key,
                   &SystemClock()});
  std::vector<uint64_t> directories{kRootInode};
  for (int i = 0; i < 4; ++i) {
    directories.push_back(tree.MakeDirectory(directories[i / 2], std::string(1, 'a' + i)));
  }
  std::vector<std::unique_ptr<Wanderer>> wanderers;
  for (uint64_t i = 0; i < 4; ++i) {
    wanderers.push_back(std::make_unique<Wanderer>(i % 2 == 0 ? *tree.names : other, directories,
                                                   test::Seed() + i));
  }
  std::vector<std::thread> threads;
  for (const auto& wanderer : wanderers) {
    threads.emplace_back([&wanderer, steps] { wanderer->Run(steps); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& wanderer : wanderers) {
    CHECK(wanderer->unexpected == absl::OkStatus());
    CHECK(wanderer->done > 0);
  }
  CheckRows(tree);
  for (const uint64_t orphan : Must(tree.names->ListOrphans(0, 1'000'000))) {
    Must(tree.names->Reclaim(orphan));
  }
  CHECK(Must(tree.names->ListOrphans(0, 1)).empty());
  CheckRows(tree);
}

TEST_CASE("threads of two sessions in the same directories, in memory") {
  Wander(kv::CreateMemoryStore(), test::Rounds(2500));
}

TEST_CASE("threads of two sessions in the same directories, in RocksDB") {
  const test::ScratchFolder folder(test::ScratchFolder::MemoryBacked());
  Wander(Must(kv::OpenRocksDbStore({.directory = folder / "kv", .log = {}})), test::Rounds(1500));
}

TEST_CASE("directories that are moved at once never contain each other") {
  Tree tree;
  std::vector<uint64_t> directories{kRootInode};
  for (int i = 0; i < 8; ++i) {
    directories.push_back(tree.MakeDirectory(kRootInode, "d" + std::to_string(i)));
  }
  std::atomic<int> moved{0};
  std::atomic<int> unexpected{0};
  std::vector<std::thread> threads;
  for (uint64_t which = 0; which < 4; ++which) {
    threads.emplace_back([&, which] {
      std::mt19937_64 random(test::Seed() + which);
      for (int i = 0; i < static_cast<int>(test::Rounds(300)); ++i) {
        const uint64_t from = directories[random() % directories.size()];
        const uint64_t to = directories[random() % directories.size()];
        const std::string name = "d" + std::to_string(random() % 8);
        const absl::Status status =
            tree.names
                ->Rename(from, name, to, name,
                         random() % 4 == 0 ? RenameMode::kExchange : RenameMode::kNoReplace)
                .status();
        if (status.ok()) ++moved;
        const int error = ErrnoOf(status);
        if (error != 0 && error != ENOENT && error != EEXIST && error != EINVAL) {
          ++unexpected;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(moved > 0);
  CHECK(unexpected == 0);
  CheckRows(tree);
}

TEST_CASE("a directory that is removed while names are made in it keeps none") {
  Tree tree;
  std::atomic<bool> stop{false};
  std::thread maker([&] {
    for (int i = 0; !stop; ++i) {
      const absl::StatusOr<Found> found = tree.names->Lookup(kRootInode, "d");
      if (!found.ok()) continue;
      const std::string name = "f" + std::to_string(i % 3);
      (void)tree.names->Make(found->inode, name, {});
      (void)tree.names->Unlink(found->inode, name);
    }
  });
  int removed = 0;
  for (int i = 0; i < static_cast<int>(test::Rounds(400)); ++i) {
    (void)tree.names->Make(kRootInode, "d", {.type = FileType::kDirectory, .mode = 0755});
    for (int tries = 0; tries < 20; ++tries) {
      if (tree.names->RemoveDirectory(kRootInode, "d").ok()) {
        ++removed;
        break;
      }
    }
  }
  stop = true;
  maker.join();
  CHECK(removed > 0);
  CheckRows(tree);
}

}  // namespace
}  // namespace strata::ofs
