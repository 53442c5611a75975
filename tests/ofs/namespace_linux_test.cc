// SPDX-License-Identifier: Apache-2.0
//
// The same random calls on a tree of names and on a filesystem of the kernel (tmpfs, where there is
// one): their answers, and after every few of them the trees, must be alike.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "namespace/acl.h"
#include "namespace/namespace.h"
#include "ofs/namespace_rig.h"
#include "support/rounds.h"
#include "support/scratch_folder.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

constexpr int64_t kLongAgoNs = 5'000'000'000;

int Result(long result) { return result == 0 ? 0 : errno; }

class Differential {
 public:
  explicit Differential(uint64_t seed) : random_(seed), host_(test::ScratchFolder::MemoryBacked()) {
    old_umask_ = umask(022);
    std::filesystem::create_directory(host_ / "root");
    struct stat status {};
    REQUIRE(stat((host_ / "root").c_str(), &status) == 0);
    Must(tree_.names->SetAttributes(
        kRootInode, {.mode = status.st_mode & 07777, .uid = status.st_uid, .gid = status.st_gid}));
    uid_ = geteuid();
    gid_ = getegid();
    has_acls_ = SetHostAcl(host_ / "root", kDefaultAclName, {}) == 0;
  }
  ~Differential() { umask(old_umask_); }

  void Run(int steps) {
    for (int step = 0; step < steps; ++step) {
      Step();
      if (step % 100 == 99) Compare();
    }
    Compare();
    CheckRows(tree_);
  }

  std::map<std::pair<uint64_t, int>, int> answers;  // Of each kind of call.

 private:
  struct Place {
    std::string path{};  // Of the directory on the host.
    uint64_t inode = 0;  // Of the directory.
    int error = 0;
    std::string name{};
  };

  uint64_t Pick(uint64_t count) { return random_() % count; }
  std::string PickName() {
    // Most names are few, so that calls meet; some are out of what there may be.
    if (Pick(150) == 0) return std::string(Pick(2) == 0 ? 255 : 256, 'n');
    if (Pick(100) == 0) return Pick(2) == 0 ? "." : "..";
    return std::string(1, static_cast<char>('a' + Pick(4)));
  }

  // A directory, which may not exist, and a name in it, which may.
  Place PickPlace() {
    Place place{.path = host_ / "root", .inode = kRootInode};
    for (uint64_t depth = Pick(4); depth > 0; --depth) {
      const std::string name(1, static_cast<char>('a' + Pick(4)));
      place.path += "/" + name;
      if (place.error != 0) continue;
      const absl::StatusOr<Found> found = tree_.names->Lookup(place.inode, name);
      place.error = ErrnoOf(found.status());
      // The kernel follows a symlink on the way; its target does not exist.
      if (found.ok() && found->attributes.type == FileType::kSymlink) place.error = ENOENT;
      if (found.ok()) place.inode = found->inode;
    }
    place.name = PickName();
    if (place.inode == kRootInode && place.name == "..") place.name = ".";  // Not out of the tree.
    return place;
  }

  // The inode of a name, as a call on a path finds it.
  absl::StatusOr<Found> Find(const Place& at, bool follows) {
    if (at.error != 0) return PosixError(at.error, at.path);
    absl::StatusOr<Found> found = tree_.names->Lookup(at.inode, at.name);
    if (found.ok() && follows && found->attributes.type == FileType::kSymlink) {
      return PosixError(ENOENT, "the target of a symlink");
    }
    return found;
  }

  int Make(const Place& at, NewNode node) {
    if (at.error != 0) return at.error;
    node.umask = 022;
    node.uid = uid_;
    node.gid = gid_;
    return ErrnoOf(tree_.names->Make(at.inode, at.name, node).status());
  }

  std::string PickAcl() {
    std::string value;
    const auto add16 = [&value](uint64_t number) {
      value.push_back(static_cast<char>(number & 0xff));
      value.push_back(static_cast<char>(number >> 8 & 0xff));
    };
    add16(2);
    add16(0);
    for (const uint32_t tag : {1, 2, 2, 4, 8, 16, 32}) {
      const bool is_needed = tag == 1 || tag == 4 || tag == 32;
      if (Pick(is_needed ? 50 : 2) == 0) continue;
      add16(tag);
      add16(Pick(100) == 0 ? 8 : (Pick(8) | (tag == 1 || tag == 16 ? 7 : 0)));
      const bool has_id = tag == 2 || tag == 8;
      add16(has_id ? Pick(20) : 0xffff);
      add16(has_id ? 0 : 0xffff);
    }
    return value;
  }

  static int SetHostAcl(const std::string& path, std::string_view name, const std::string& value) {
    return Result(setxattr(path.c_str(), std::string(name).c_str(), value.data(), value.size(), 0));
  }

  void Step() {
    const Place at = PickPlace();
    const Place to = PickPlace();
    const std::string path = at.path + "/" + at.name;
    const std::string other = to.path + "/" + to.name;
    // The owner may always do everything, so that the kernel checks no rights that the tree leaves
    // to its caller.
    const auto mode = static_cast<uint32_t>(Pick(512) | 0700);
    const uint64_t what = Pick(18);
    int expected = 0;
    int got = 0;
    INFO("call " << what << " " << path.substr(path.find("root")) << " "
                 << other.substr(other.find("root")));
    const bool is_aged = Pick(2) == 0;
    if (is_aged) Age(at);
    if (is_aged) Age(to);
    switch (what) {
      case 0:
      case 1:
      case 2:
        expected = Result(mkdir(path.c_str(), mode));
        got = Make(at, {.type = FileType::kDirectory, .mode = mode});
        break;
      case 3:
      case 4:
        expected = Result(mknod(path.c_str(), S_IFREG | mode, 0));
        got = Make(at, {.mode = mode});
        break;
      case 5:
        expected = Result(mknod(path.c_str(), S_IFIFO | mode, 0));
        got = Make(at, {.type = FileType::kFifo, .mode = mode});
        break;
      case 6: {
        const std::string target = Pick(20) == 0 ? "" : "/nonexistent/target";
        expected = Result(symlink(target.c_str(), path.c_str()));
        got = Make(at, {.type = FileType::kSymlink, .symlink_target = target});
        break;
      }
      case 7:
        expected = Result(unlink(path.c_str()));
        got = at.error;
        if (got == 0) got = ErrnoOf(tree_.names->Unlink(at.inode, at.name).status());
        break;
      case 8:
        expected = Result(rmdir(path.c_str()));
        got = at.error;
        if (got == 0) got = ErrnoOf(tree_.names->RemoveDirectory(at.inode, at.name).status());
        break;
      case 9:
      case 10: {
        expected = Result(link(path.c_str(), other.c_str()));
        const absl::StatusOr<Found> found = Find(at, false);
        got = found.ok() ? to.error : ErrnoOf(found.status());
        if (got == 0) got = ErrnoOf(tree_.names->Link(found->inode, to.inode, to.name).status());
        break;
      }
      case 11: {
        const uint32_t special = mode | static_cast<uint32_t>(Pick(8)) << 9;
        expected = Result(chmod(path.c_str(), special));
        const absl::StatusOr<Found> found = Find(at, true);
        got = ErrnoOf(found.status());
        if (got == 0) {
          got = ErrnoOf(tree_.names->SetAttributes(found->inode, {.mode = special}).status());
        }
        break;
      }
      case 12: {
        // Others than root may give a file to themselves alone.
        const uid_t uid = uid_ == 0 ? static_cast<uid_t>(Pick(3)) : uid_;
        const gid_t gid = uid_ == 0 ? static_cast<gid_t>(Pick(3)) : gid_;
        expected = Result(lchown(path.c_str(), uid, gid));
        const absl::StatusOr<Found> found = Find(at, false);
        got = ErrnoOf(found.status());
        if (got == 0) {
          got =
              ErrnoOf(tree_.names->SetAttributes(found->inode, {.uid = uid, .gid = gid}).status());
        }
        break;
      }
      case 13: {
        if (!has_acls_) return;
        const std::string_view name = Pick(2) == 0 ? kAccessAclName : kDefaultAclName;
        const absl::StatusOr<Found> found = Find(at, true);
        got = ErrnoOf(found.status());
        if (Pick(4) == 0) {
          expected = Result(removexattr(path.c_str(), std::string(name).c_str()));
          if (got == 0) got = ErrnoOf(tree_.names->RemoveAttribute(found->inode, name));
          break;
        }
        const std::string value = PickAcl();
        expected = SetHostAcl(path, name, value);
        if (got == 0) {
          got = ErrnoOf(tree_.names->SetAttribute(found->inode, name, value, AttributeMode::kSet));
        }
        break;
      }
      default: {
        constexpr RenameMode kModes[] = {RenameMode::kReplace, RenameMode::kReplace,
                                         RenameMode::kNoReplace, RenameMode::kExchange};
        const RenameMode rename_mode = kModes[what - 14];
        const unsigned flags = rename_mode == RenameMode::kReplace     ? 0
                               : rename_mode == RenameMode::kNoReplace ? 1
                                                                       : 2;
        expected =
            Result(syscall(SYS_renameat2, AT_FDCWD, path.c_str(), AT_FDCWD, other.c_str(), flags));
        got = at.error != 0 ? at.error : to.error;
        if (got == 0) {
          got = ErrnoOf(
              tree_.names->Rename(at.inode, at.name, to.inode, to.name, rename_mode).status());
        }
        break;
      }
    }
    ++answers[{what, expected}];
    if (!AreAlike(at, to, expected, got)) {
      UNSCOPED_INFO("Linux says " << expected << ", the tree " << got);
      CHECK(false);
    }
    if (is_aged) CompareAge(at);
    if (is_aged) CompareAge(to);
  }

  // Where two things are wrong at once, POSIX leaves open which of them a call tells.
  static bool AreAlike(const Place& at, const Place& to, int expected, int got) {
    if (expected == got) return true;
    if (expected == 0 || got == 0) return false;
    if (at.error != 0 || to.error != 0) return true;
    const auto is_special = [](const Place& place) {
      return place.name == "." || place.name == ".." || place.name.size() > kMaxNameBytes;
    };
    if (is_special(at) || is_special(to)) return true;
    // Linux looks first whether the target is a directory that holds the source, whatever this is.
    return expected == ENOTEMPTY && got == EISDIR;
  }

  // The time of a directory's last change, long ago; afterwards it tells whether a call changed it.
  void Age(const Place& at) {
    if (at.error != 0) return;
    const timespec then[] = {{kLongAgoNs / 1'000'000'000, 0}, {kLongAgoNs / 1'000'000'000, 0}};
    const absl::StatusOr<Found> found = tree_.names->GetAttributes(at.inode);
    if (!found.ok() || found->attributes.type != FileType::kDirectory) return;
    REQUIRE(utimensat(AT_FDCWD, at.path.c_str(), then, 0) == 0);
    Must(tree_.names->SetAttributes(at.inode, {.atime_ns = kLongAgoNs, .mtime_ns = kLongAgoNs}));
  }

  void CompareAge(const Place& at) {
    struct stat status {};
    if (at.error != 0 || lstat(at.path.c_str(), &status) != 0) return;
    const absl::StatusOr<Found> found = tree_.names->GetAttributes(at.inode);
    // The call may have moved another directory to this path.
    const auto known = same_.find(status.st_ino);
    if (!found.ok() || known == same_.end() || known->second != at.inode) return;
    INFO("the time of " << at.path);
    CHECK((found->attributes.mtime_ns == kLongAgoNs) ==
          (status.st_mtim.tv_sec == kLongAgoNs / 1'000'000'000));
  }

  void Compare() {
    same_.clear();
    CompareDirectory(host_ / "root", kRootInode);
  }

  void CompareDirectory(const std::string& path, uint64_t inode) {
    std::set<std::string> on_host;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      on_host.insert(entry.path().filename());
    }
    const std::vector<std::string> listed = tree_.Names(inode, 1 + Pick(4));
    INFO(path);
    REQUIRE(std::set<std::string>(listed.begin(), listed.end()) == on_host);
    REQUIRE(listed.size() == on_host.size());
    CompareNode(path, inode);
    for (const std::string& name : listed) {
      const Found found = Must(tree_.names->Lookup(inode, name));
      const std::string below = std::filesystem::path(path) / name;
      CompareNode(below, found.inode);
      if (found.attributes.type == FileType::kDirectory) {
        CHECK(Must(tree_.names->Lookup(found.inode, "..")).inode == inode);
        CompareDirectory(below, found.inode);
      }
    }
  }

  void CompareNode(const std::string& path, uint64_t inode) {
    INFO(path.substr(path.find("root")).substr(0, 40));
    const InodeRecord node = Must(tree_.names->GetAttributes(inode)).attributes;
    struct stat status {};
    REQUIRE(lstat(path.c_str(), &status) == 0);
    const auto [known, is_new] = same_.emplace(status.st_ino, inode);
    CHECK((is_new || known->second == inode));
    CHECK(node.link_count == status.st_nlink);
    CHECK(node.mode == (status.st_mode & 07777));
    CHECK(node.uid == status.st_uid);
    CHECK(node.gid == status.st_gid);
    CHECK(S_ISREG(status.st_mode) == (node.type == FileType::kRegular));
    CHECK(S_ISFIFO(status.st_mode) == (node.type == FileType::kFifo));
    CHECK(S_ISLNK(status.st_mode) == (node.type == FileType::kSymlink));
    REQUIRE(S_ISDIR(status.st_mode) == (node.type == FileType::kDirectory));
    if (!has_acls_ || S_ISLNK(status.st_mode)) return;
    for (const std::string_view name : {kAccessAclName, kDefaultAclName}) {
      INFO(name);
      char value[1024];
      const ssize_t size = getxattr(path.c_str(), std::string(name).c_str(), value, sizeof(value));
      const absl::StatusOr<std::string> ours = tree_.names->GetAttribute(inode, name);
      CHECK((size < 0 ? errno : 0) == ErrnoOf(ours.status()));
      if (size >= 0 && ours.ok()) {
        CHECK(*ours == std::string(value, static_cast<size_t>(size)));
      }
    }
  }

  std::mt19937_64 random_;
  test::ScratchFolder host_;
  Tree tree_;
  std::map<ino_t, uint64_t> same_;
  mode_t old_umask_ = 0;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  bool has_acls_ = false;
};

TEST_CASE("random calls are answered as Linux answers them") {
  std::map<std::pair<uint64_t, int>, int> answers;
  // Each kind of call succeeded, and the errors that say something of a tree were seen.
  const auto is_covered = [&] {
    for (uint64_t what = 0; what < 18; ++what) {
      if (what != 13 && answers[{what, 0}] == 0) return false;
    }
    for (const int error : {ENOTEMPTY, EINVAL, EISDIR, ENOTDIR}) {
      if (answers[{14, error}] + answers[{15, error}] == 0) return false;
    }
    return answers[{8, ENOTEMPTY}] > 0 && answers[{9, EPERM}] > 0 && answers[{17, EINVAL}] > 0;
  };
  for (uint64_t round = 0; round < 4 || (!is_covered() && round < 60); ++round) {
    Differential differential(test::Seed() + round);
    differential.Run(static_cast<int>(test::Rounds(2500)));
    for (const auto& [answer, count] : differential.answers) answers[answer] += count;
  }
  CHECK(is_covered());
}

}  // namespace
}  // namespace strata::ofs
