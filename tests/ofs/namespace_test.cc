// SPDX-License-Identifier: Apache-2.0
//
// The tree of names: what each call answers, and what the rows say of each other.
#include "namespace/namespace.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <limits>
#include <set>

#include "namespace/acl.h"
#include "ofs/namespace_rig.h"
#include "strata/base/errno_status.h"
#include "support/manual_clock.h"

namespace strata::ofs {
namespace {

TEST_CASE("a name is made, found, listed and removed") {
  Tree tree;
  const uint64_t home = tree.MakeDirectory(kRootInode, "home");
  const uint64_t file = tree.MakeFile(home, "notes");
  CHECK(Must(tree.names->Lookup(home, "notes")).inode == file);
  CHECK(Must(tree.names->Lookup(home, "..")).inode == kRootInode);
  CHECK(Must(tree.names->Lookup(home, ".")).inode == home);
  CHECK(Must(tree.names->GetAttributes(kRootInode)).attributes.link_count == 3);
  CHECK(tree.Names(home) == std::vector<std::string>{"notes"});
  CHECK(ErrnoOf(tree.names->Make(home, "notes", {}).status()) == EEXIST);
  CHECK(ErrnoOf(tree.names->Make(file, "x", {}).status()) == ENOTDIR);
  CHECK(ErrnoOf(tree.names->RemoveDirectory(kRootInode, "home").status()) == ENOTEMPTY);
  CHECK(Must(tree.names->Unlink(home, "notes")).attributes.link_count == 0);
  CHECK(ErrnoOf(tree.names->Lookup(home, "notes").status()) == ENOENT);
  CHECK(Must(tree.names->GetAttributes(file)).attributes.link_count ==
        0);  // Until it is reclaimed.
  Must(tree.names->RemoveDirectory(kRootInode, "home"));
  CHECK(ErrnoOf(tree.names->Make(home, "late", {}).status()) == ENOENT);
  CHECK(Must(tree.names->ListOrphans(0, 10)) == std::vector<uint64_t>{home, file});
  Must(tree.names->Reclaim(home));
  Must(tree.names->Reclaim(file));
  CHECK(Must(tree.names->ListOrphans(0, 10)).empty());
  CHECK(ErrnoOf(tree.names->GetAttributes(file).status()) == ENOENT);
  CheckRows(tree);
}

TEST_CASE("names and targets beyond the limits have the errors of POSIX") {
  Tree tree;
  const std::string longest(255, 'n');
  tree.MakeFile(kRootInode, longest);
  CHECK(Must(tree.names->Lookup(kRootInode, longest)).attributes.link_count == 1);
  const auto make = [&](std::string_view name) {
    return ErrnoOf(tree.names->Make(kRootInode, name, {}).status());
  };
  CHECK(make(std::string(256, 'n')) == ENAMETOOLONG);
  CHECK(make("") == ENOENT);
  CHECK(make(".") == EEXIST);
  CHECK(make("..") == EEXIST);
  CHECK(make("a/b") == EINVAL);
  CHECK(make(std::string_view("a\0b", 3)) == EINVAL);
  NewNode link{.type = FileType::kSymlink, .symlink_target = std::string(4095, 't')};
  CHECK(Must(tree.names->Make(kRootInode, "link", link)).attributes.size_bytes == 4095);
  link.symlink_target.push_back('t');
  CHECK(ErrnoOf(tree.names->Make(kRootInode, "long", link).status()) == ENAMETOOLONG);
  CHECK(ErrnoOf(tree.names->Unlink(kRootInode, "..").status()) == EISDIR);
  CHECK(ErrnoOf(tree.names->RemoveDirectory(kRootInode, ".").status()) == EINVAL);
  CHECK(ErrnoOf(tree.names->RemoveDirectory(kRootInode, "..").status()) == ENOTEMPTY);
  CHECK(ErrnoOf(tree.names->Rename(kRootInode, "link", kRootInode, ".").status()) == EBUSY);
}

TEST_CASE("a cookie stays good while names come and go") {
  Tree tree;
  std::set<std::string> stays;
  for (int i = 0; i < 300; ++i) {
    const std::string name = "name" + std::to_string(i);
    tree.MakeFile(kRootInode, name);
    if (i % 3 != 0) stays.insert(name);
  }
  std::multiset<std::string> seen;
  uint64_t cookie = 0;
  int removed = 0;
  for (bool is_last = false; !is_last;) {
    const DirectoryPage page = Must(tree.names->ReadDirectory(kRootInode, cookie, 7));
    for (const DirectoryEntry& entry : page.entries) {
      seen.insert(entry.name);
      cookie = entry.cookie;
    }
    is_last = page.is_last;
    for (int i = 0; i < 4 && removed < 300; ++i, removed += 3) {
      Must(tree.names->Unlink(kRootInode, "name" + std::to_string(removed)));
      tree.MakeFile(kRootInode, "late" + std::to_string(removed));
    }
  }
  for (const std::string& name : stays) CHECK(seen.count(name) == 1);
  CHECK(seen.count(".") == 1);
  CHECK(seen.count("..") == 1);
}

TEST_CASE("further links, and which of them is the first") {
  Tree tree;
  const uint64_t a = tree.MakeDirectory(kRootInode, "a");
  const uint64_t b = tree.MakeDirectory(kRootInode, "b");
  const uint64_t file = tree.MakeFile(a, "one");
  CHECK(Must(tree.names->Link(file, b, "two")).attributes.link_count == 2);
  CHECK(Must(tree.names->Link(file, a, "three")).attributes.link_count == 3);
  CheckRows(tree);
  CHECK(ErrnoOf(tree.names->Link(a, b, "dir").status()) == EPERM);
  Must(tree.names->Rename(b, "two", b, "deux"));
  CheckRows(tree);
  Must(tree.names->Unlink(a, "one"));
  CheckRows(tree);
  Must(tree.names->Rename(a, "three", b, "trois"));
  CheckRows(tree);
  // Two links of one file: rename leaves both.
  Must(tree.names->Rename(b, "trois", b, "deux"));
  CHECK(tree.Names(b).size() == 2);
  Must(tree.names->Unlink(b, "deux"));
  Must(tree.names->Unlink(b, "trois"));
  CheckRows(tree);
  CHECK(ErrnoOf(tree.names->Link(file, b, "again").status()) == ENOENT);
  const Found unnamed = Must(tree.names->MakeUnnamed(b, {.mode = 0600}));
  CHECK(unnamed.attributes.link_count == 0);
  CHECK(Must(tree.names->Link(unnamed.inode, b, "named", true)).attributes.link_count == 1);
  CheckRows(tree);
}

TEST_CASE("what a directory hands down") {
  Tree tree;
  const uint64_t shared =
      Must(tree.names->Make(kRootInode, "shared",
                            {.type = FileType::kDirectory, .mode = 02775, .gid = 50}))
          .inode;
  const Found file = Must(tree.names->Make(shared, "file", {.mode = 0666, .umask = 022, .gid = 7}));
  CHECK(file.attributes.gid == 50);
  CHECK(file.attributes.mode == 0644);
  const Found below = Must(
      tree.names->Make(shared, "below", {.type = FileType::kDirectory, .mode = 0755, .gid = 7}));
  CHECK(below.attributes.gid == 50);
  CHECK(below.attributes.mode == 02755);
  // chown takes set-user-ID away, and set-group-ID where the group may execute.
  Must(tree.names->SetAttributes(file.inode, {.mode = 06755}));
  CHECK(Must(tree.names->SetAttributes(file.inode, {.uid = 9})).attributes.mode == 0755);
}

// user::rwx user:10:rwx group::r-x mask::rwx other::---
std::string ExampleAcl() {
  const std::string text =
      "02000000"
      "01000700ffffffff"
      "020007000a000000"
      "04000500ffffffff"
      "10000700ffffffff"
      "20000000ffffffff";
  std::string value;
  for (size_t i = 0; i < text.size(); i += 2) {
    value.push_back(static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return value;
}

TEST_CASE("ACLs change the mode, and the mode changes them") {
  Tree tree;
  const uint64_t file = tree.MakeFile(kRootInode, "file");
  const std::string acl = ExampleAcl();
  Must(tree.names->SetAttribute(file, kAccessAclName, acl, AttributeMode::kSet));
  CHECK(Must(tree.names->GetAttributes(file)).attributes.mode == 0770);
  CHECK(Must(tree.names->GetAttribute(file, kAccessAclName)) == acl);
  Must(tree.names->SetAttributes(file, {.mode = 0704}));
  Acl changed = Must(DecodeAcl(Must(tree.names->GetAttribute(file, kAccessAclName))));
  CHECK(changed.entries()[3].permissions == 0);  // The mask.
  CHECK(changed.entries()[2].permissions == 5);  // The group keeps its own.
  CHECK(changed.entries()[4].permissions == 4);
  // A list that says no more than a mode is not kept.
  Must(tree.names->SetAttribute(file, kAccessAclName, EncodeAcl(Acl::FromMode(0640)),
                                AttributeMode::kSet));
  CHECK(Must(tree.names->GetAttributes(file)).attributes.mode == 0640);
  CHECK(ErrnoOf(tree.names->GetAttribute(file, kAccessAclName).status()) == ENODATA);
  CHECK(ErrnoOf(tree.names->SetAttribute(file, kDefaultAclName, acl, AttributeMode::kSet)) ==
        EACCES);

  const uint64_t directory = tree.MakeDirectory(kRootInode, "directory");
  Must(tree.names->SetAttribute(directory, kDefaultAclName, acl, AttributeMode::kSet));
  // The umask does not count where there is a default list.
  const Found made = Must(tree.names->Make(directory, "made", {.mode = 0664, .umask = 077}));
  CHECK(made.attributes.mode == 0660);
  const Acl inherited = Must(DecodeAcl(Must(tree.names->GetAttribute(made.inode, kAccessAclName))));
  CHECK(inherited.entries()[1].permissions == 7);
  CHECK(inherited.entries()[3].permissions == 6);
  const Found below =
      Must(tree.names->Make(directory, "below", {.type = FileType::kDirectory, .mode = 0777}));
  CHECK(Must(tree.names->GetAttribute(below.inode, kDefaultAclName)) == acl);
}

TEST_CASE("an ACL that is none is refused") {
  const auto refused = [](const std::string& value) { return ErrnoOf(DecodeAcl(value).status()); };
  const std::string good = ExampleAcl();
  REQUIRE(refused(good) == 0);
  CHECK(EncodeAcl(Must(DecodeAcl(good))) == good);
  for (size_t size = 0; size < good.size(); ++size) CHECK(refused(good.substr(0, size)) != 0);
  std::string other = good;
  other[0] = 3;
  CHECK(refused(other) == ENOTSUP);
  other = good;
  other[4] = 0x40;  // An unknown kind.
  CHECK(refused(other) == EINVAL);
  other = good;
  other[6] = 8;  // Unknown permissions.
  CHECK(refused(other) == EINVAL);
  CHECK(refused(good + good.substr(36, 8)) == EINVAL);                // Two of the others.
  CHECK(refused(good.substr(0, 28) + good.substr(36, 8)) == EINVAL);  // A user without a mask.
}

TEST_CASE("extended attributes have modes and limits") {
  Tree tree;
  const uint64_t file = tree.MakeFile(kRootInode, "file");
  const auto set = [&](std::string_view name, const std::string& value,
                       AttributeMode mode = AttributeMode::kSet) {
    return ErrnoOf(tree.names->SetAttribute(file, name, value, mode));
  };
  CHECK(set("user.a", "1", AttributeMode::kReplace) == ENODATA);
  CHECK(set("user.a", "1", AttributeMode::kCreate) == 0);
  CHECK(set("user.a", "2", AttributeMode::kCreate) == EEXIST);
  CHECK(set("user.a", "3", AttributeMode::kReplace) == 0);
  CHECK(Must(tree.names->GetAttribute(file, "user.a")) == "3");
  CHECK(set(std::string(256, 'n'), "") == ERANGE);
  CHECK(set("", "") == ERANGE);
  CHECK(set("user.large", std::string((64 << 10) + 1, 'v')) == E2BIG);
  int result = 0;
  int count = 0;
  for (; result == 0 && count < 20; ++count) {
    result = set("user.large" + std::to_string(count), std::string(64 << 10, 'v'));
  }
  CHECK(result == ENOSPC);
  CHECK(count == 16);  // 15 fit with the small one.
  Must(tree.names->RemoveAttribute(file, "user.a"));
  CHECK(ErrnoOf(tree.names->RemoveAttribute(file, "user.a")) == ENODATA);
  CHECK(Must(tree.names->ListAttributes(file)).size() == 15);
  Must(tree.names->Unlink(kRootInode, "file"));
  Must(tree.names->Reclaim(file));
  CheckRows(tree);
  CHECK(Must(tree.store->NewSnapshot()->List(tree.metadata.meta, TableRange(Table::kAttribute), {}))
            .items.empty());
}

TEST_CASE("names and values of attributes have limits of their own") {
  Tree tree;
  const uint64_t file = tree.MakeFile(kRootInode, "file");
  int result = 0;
  int count = 0;
  for (; result == 0; ++count) {
    const std::string name = std::to_string(1000 + count) + std::string(251, 'n');
    result = ErrnoOf(tree.names->SetAttribute(file, name, "", AttributeMode::kSet));
  }
  CHECK(result == ENOSPC);
  CHECK(count == 257);  // 256 names with their zero bytes make 64 KiB.
  CHECK(Must(tree.names->ListAttributes(file)).size() == 256);
  Must(tree.names->Unlink(kRootInode, "file"));
  Must(tree.names->Reclaim(file));  // In several transactions.
  CHECK(ErrnoOf(tree.names->GetAttributes(file).status()) == ENOENT);
  CheckRows(tree);
}

TEST_CASE("to set an ACL without entries is to remove it") {
  Tree tree;
  const uint64_t file = tree.MakeFile(kRootInode, "file");
  const auto set = [&](std::string_view name, std::string_view value) {
    return ErrnoOf(tree.names->SetAttribute(file, name, value, AttributeMode::kSet));
  };
  Must(tree.names->SetAttribute(file, kAccessAclName, ExampleAcl(), AttributeMode::kSet));
  CHECK(set(kAccessAclName, std::string_view("\2\0\0\0", 4)) == 0);
  CHECK(Must(tree.names->ListAttributes(file)).empty());
  CHECK(Must(tree.names->GetAttributes(file)).attributes.mode == 0770);
  CHECK(set(kDefaultAclName, "") == 0);
  CHECK(set(kAccessAclName, "\2") == EINVAL);
  CHECK(ErrnoOf(tree.names->RemoveAttribute(file, kAccessAclName)) == 0);
}

TEST_CASE("a count of links or of directories that would overflow is EMLINK") {
  Tree tree;
  const uint64_t full = tree.MakeDirectory(kRootInode, "full");
  const uint64_t file = tree.MakeFile(kRootInode, "file");
  tree.MakeDirectory(kRootInode, "directory");
  tree.MakeFile(full, "other");
  tree.ChangeRow(file, [](InodeRecord& record) { record.link_count = kMaxLinks - 1; });
  CHECK(Must(tree.names->Link(file, kRootInode, "last")).attributes.link_count == kMaxLinks);
  CHECK(ErrnoOf(tree.names->Link(file, kRootInode, "more").status()) == EMLINK);

  tree.ChangeRow(full, [](InodeRecord& record) { record.subdirectory_count = kMaxLinks - 3; });
  tree.MakeDirectory(full, "last");
  CHECK(Must(tree.names->GetAttributes(full)).attributes.link_count == kMaxLinks);
  CHECK(ErrnoOf(tree.names->Make(full, "more", {.type = FileType::kDirectory}).status()) == EMLINK);
  const auto rename = [&](uint64_t from, std::string_view name, uint64_t to,
                          std::string_view new_name, RenameMode mode) {
    return ErrnoOf(tree.names->Rename(from, name, to, new_name, mode).status());
  };
  CHECK(rename(kRootInode, "directory", full, "more", RenameMode::kReplace) == EMLINK);
  CHECK(rename(kRootInode, "directory", full, "other", RenameMode::kExchange) == EMLINK);
  CHECK(rename(full, "other", kRootInode, "directory", RenameMode::kExchange) == EMLINK);
  CHECK(rename(kRootInode, "directory", full, "last", RenameMode::kExchange) == 0);
  CHECK(rename(full, "last", full, "renamed", RenameMode::kReplace) == 0);
}

TEST_CASE("names of one hash are never split between pages") {
  Tree tree;
  const uint64_t directory = tree.MakeDirectory(kRootInode, "directory");
  const uint64_t file = tree.MakeFile(kRootInode, "file");
  kv::WriteBatch batch;
  const std::string entry = Encode(EntryRecord{file, FileType::kRegular});
  for (const uint64_t hash : {uint64_t{3}, uint64_t{7}, (uint64_t{1} << 63) - 1}) {
    for (const char* name : {"a", "b", "c", "d", "e"}) {
      batch.Put(tree.metadata.meta, EntryKey(directory, hash, name), entry);
    }
  }
  Must(tree.store->Write(batch, kv::Durability::kAsync));
  for (const size_t at_once : {0, 1, 2, 3, 5, 6, 7, 12}) {
    INFO(at_once << " at once");
    std::vector<std::string> seen;
    uint64_t cookie = 2;
    for (bool is_last = false; !is_last;) {
      const DirectoryPage page = Must(tree.names->ReadDirectory(directory, cookie, at_once));
      CHECK(page.entries.size() % 5 == 0);
      for (const DirectoryEntry& found : page.entries) seen.push_back(found.name);
      is_last = page.is_last;
      if (!page.entries.empty()) cookie = page.entries.back().cookie;
      REQUIRE(seen.size() <= 15);
    }
    CHECK(seen.size() == 15);
  }
  for (const uint64_t beyond : {(uint64_t{1} << 63) - 1, std::numeric_limits<uint64_t>::max()}) {
    const DirectoryPage page =
        Must(tree.names->ReadDirectory(directory, beyond, std::numeric_limits<size_t>::max()));
    CHECK(page.is_last);
    CHECK(page.entries.empty());
  }
  CHECK(Must(tree.names->ReadDirectory(directory, 0, std::numeric_limits<size_t>::max()))
            .entries.size() == 17);
}

TEST_CASE("a directory that was removed answers until it is reclaimed") {
  Tree tree;
  const uint64_t gone = tree.MakeDirectory(kRootInode, "gone");
  const uint64_t file = tree.MakeFile(kRootInode, "file");
  CHECK(Must(tree.names->RemoveDirectory(kRootInode, "gone")).inode == gone);
  CHECK(Must(tree.names->GetAttributes(gone)).attributes.link_count == 0);
  CHECK(Must(tree.names->SetAttributes(gone, {.mode = 0700, .mtime_ns = 5})).attributes.mode ==
        0700);
  const DirectoryPage page = Must(tree.names->ReadDirectory(gone, 0, 10));
  CHECK(page.entries.empty());
  CHECK(page.is_last);
  const auto rename = [&](uint64_t from, uint64_t to) {
    return ErrnoOf(tree.names->Rename(from, "file", to, "file").status());
  };
  CHECK(ErrnoOf(tree.names->Lookup(gone, "file").status()) == ENOENT);
  CHECK(ErrnoOf(tree.names->Make(gone, "file", {}).status()) == ENOENT);
  CHECK(ErrnoOf(tree.names->MakeUnnamed(gone, {}).status()) == ENOENT);
  CHECK(ErrnoOf(tree.names->Link(file, gone, "file").status()) == ENOENT);
  CHECK(rename(kRootInode, gone) == ENOENT);
  CHECK(rename(gone, kRootInode) == ENOENT);
  CHECK(ErrnoOf(tree.names->RemoveDirectory(gone, "file").status()) == ENOENT);
  CHECK(absl::IsFailedPrecondition(tree.names->Reclaim(file)));
  CheckRows(tree);
  Must(tree.names->Reclaim(gone));
  CHECK(ErrnoOf(tree.names->GetAttributes(gone).status()) == ENOENT);
  CHECK(ErrnoOf(tree.names->Reclaim(gone)) == ENOENT);
  CheckRows(tree);
}

TEST_CASE("what each call does to the times") {
  test::ManualClock clock(1'000);
  Tree tree(kv::CreateMemoryStore(), &clock);
  const auto times = [&](uint64_t inode) {
    const InodeRecord record = Must(tree.names->GetAttributes(inode)).attributes;
    return std::vector<int64_t>{record.atime_ns, record.mtime_ns, record.ctime_ns};
  };
  using Times = std::vector<int64_t>;
  clock.now_ns = 10;
  const uint64_t a = tree.MakeDirectory(kRootInode, "a");
  const uint64_t b = tree.MakeDirectory(kRootInode, "b");
  const uint64_t file = tree.MakeFile(a, "file");
  CHECK(times(kRootInode) == Times{1, 10, 10});
  clock.now_ns = 20;
  Must(tree.names->Link(file, b, "link"));
  CHECK(times(file) == Times{10, 10, 20});
  CHECK(times(a) == Times{10, 10, 10});
  CHECK(times(b) == Times{10, 20, 20});
  clock.now_ns = 30;
  Must(tree.names->Rename(a, "file", b, "moved"));
  CHECK(times(file) == Times{10, 10, 30});
  CHECK(times(a) == Times{10, 30, 30});
  CHECK(times(b) == Times{10, 30, 30});
  clock.now_ns = 40;
  Must(tree.names->Rename(b, "moved", b, "link"));  // Two links of one file.
  CHECK(times(file) == Times{10, 10, 30});
  CHECK(times(b) == Times{10, 30, 30});
  Must(tree.names->Unlink(b, "link"));
  CHECK(times(file) == Times{10, 10, 40});
  CHECK(times(b) == Times{10, 40, 40});
  clock.now_ns = 50;
  CHECK(Must(tree.names->SetAttributes(b, {.mode = 0700})).attributes.mtime_ns == 40);
  CHECK(times(b) == Times{10, 40, 50});
  Must(tree.names->SetAttribute(b, "user.a", "1", AttributeMode::kSet));
  clock.now_ns = 60;
  Must(tree.names->SetAttributes(b, {.atime_ns = 3}));
  CHECK(times(b) == Times{3, 40, 60});
  Must(tree.names->SetAttributes(b, {.mtime_ns = 4}));
  CHECK(times(b) == Times{3, 4, 60});
  clock.now_ns = 70;
  tree.MakeFile(b, "new");
  CHECK(times(b) == Times{3, 70, 70});
  // The clock goes back, and the time of the last change does not.
  clock.now_ns = 65;
  CHECK(Must(tree.names->SetAttributes(b, {.mtime_ns = 4})).attributes.ctime_ns == 70);
  CHECK(times(b) == Times{3, 4, 70});
  const uint64_t below = tree.MakeDirectory(b, "below");
  clock.now_ns = 80;
  Must(tree.names->Rename(b, "below", a, "below"));
  CHECK(times(below) == Times{65, 65, 80});
  CHECK(times(a) == Times{10, 80, 80});
}

TEST_CASE("times at both ends of what nanoseconds can say") {
  test::ManualClock clock(1'000);
  Tree tree(kv::CreateMemoryStore(), &clock);
  for (const uint64_t inode :
       {tree.MakeFile(kRootInode, "f"), tree.MakeDirectory(kRootInode, "d")}) {
    for (const int64_t end : {std::numeric_limits<int64_t>::min(), int64_t{-1}, int64_t{0},
                              std::numeric_limits<int64_t>::max()}) {
      Must(tree.names->SetAttributes(inode, {.atime_ns = end, .mtime_ns = end}));
      const InodeRecord record = Must(tree.names->GetAttributes(inode)).attributes;
      CHECK(record.atime_ns == end);
      CHECK(record.mtime_ns == end);
      CHECK(record.ctime_ns == 1'000);
    }
  }
  clock.now_ns = -5;  // A machine whose clock is before 1970.
  const uint64_t early = tree.MakeFile(kRootInode, "early");
  CHECK(Must(tree.names->GetAttributes(early)).attributes.birth_ns == -5);
  CHECK(Must(tree.names->GetAttributes(kRootInode)).attributes.mtime_ns == -5);
  Must(tree.names->Unlink(kRootInode, "early"));
  CheckRows(tree);
}

TEST_CASE("a status keeps the number of POSIX, whatever is said of it besides") {
  for (const int error : {EPERM, ENOENT, EIO, EEXIST, ENOTDIR, EINVAL, ENOSPC, EMLINK, ENAMETOOLONG,
                          ENOTEMPTY, ENODATA, ENOTSUP}) {
    const absl::Status status = PosixError(error, "name");
    CHECK_FALSE(status.ok());
    CHECK(ErrnoOf(status) == error);
    CHECK(ErrnoOf(Annotate(status, "rename")) == error);
  }
  CHECK(ErrnoOf(absl::OkStatus()) == 0);
  CHECK(ErrnoOf(absl::NotFoundError("row")) == ENOENT);
  CHECK(ErrnoOf(absl::ResourceExhaustedError("full")) == ENOSPC);
  CHECK(ErrnoOf(absl::CancelledError("interrupted")) == EINTR);
  CHECK(ErrnoOf(absl::DataLossError("row")) == EIO);
  CHECK(ErrnoOf(absl::AbortedError("conflict")) == EIO);
}

TEST_CASE("an entry whose inode is missing is damage, not an absent name") {
  Tree tree;
  const uint64_t file = tree.MakeFile(kRootInode, "file");
  kv::WriteBatch batch;
  batch.Delete(tree.metadata.meta, InodeKey(file));
  Must(tree.store->Write(batch, kv::Durability::kAsync));
  CHECK(absl::IsDataLoss(tree.names->Lookup(kRootInode, "file").status()));
  CHECK(absl::IsDataLoss(tree.names->Unlink(kRootInode, "file").status()));
  CHECK(ErrnoOf(tree.names->Rename(kRootInode, "file", kRootInode, "other").status()) == EIO);
}

TEST_CASE("the root is made once, and whole") {
  const std::unique_ptr<kv::Store> store = kv::CreateMemoryStore();
  const Metadata metadata = Must(OpenMetadata(store.get()));
  Must(Namespace::MakeRoot(metadata, 01777, 3, 4, 5));
  CHECK(absl::IsAlreadyExists(Namespace::MakeRoot(metadata, 0755, 0, 0, 6)));
  const uint32_t session = Must(StartSession(metadata, {.host = "test"}));
  Namespace names({metadata, session, {}, &SystemClock()});
  const Found root = Must(names.Lookup(kRootInode, ".."));
  CHECK(root.inode == kRootInode);
  CHECK(root.attributes.mode == 01777);
  CHECK(root.attributes.gid == 4);
  CHECK(root.attributes.link_count == 2);
  CHECK(Must(names.Make(kRootInode, "first", {})).inode == kRootInode + 1);
}

}  // namespace
}  // namespace strata::ofs
