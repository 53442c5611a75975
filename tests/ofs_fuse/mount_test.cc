// SPDX-License-Identifier: Apache-2.0
//
// What programs find on a mount: data by every way of reading and writing, names, rights, times,
// and what is left when the process that serves it goes.
#include <dirent.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "ofs_fuse/mounted_home.h"
#include "strata/ofs/posix_error.h"

namespace strata::ofs {
namespace {

std::set<std::string> NamesIn(const std::string& path) {
  std::set<std::string> names;
  DIR* const folder = opendir(path.c_str());
  REQUIRE(folder != nullptr);
  while (const dirent* entry = readdir(folder)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") CHECK(names.insert(name).second);
  }
  closedir(folder);
  return names;
}

std::array<int64_t, 4> TimesOf(const std::string& path) {
  const struct stat status = Stat(path);
  return {status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
          status.st_ctim.tv_nsec};
}

TEST_CASE("what is written is there, at once and after the next mount") {
  if (!MayMount()) return;
  MountedHome home;
  const std::string large = TextPattern(1, 20'000'000);
  WriteFile(home / "large", large);
  WriteFile(home / "small", "ada");
  REQUIRE(mkdir((home / "folder").c_str(), 0750) == 0);
  REQUIRE(symlink("../small", (home / "folder/link").c_str()) == 0);
  REQUIRE(link((home / "small").c_str(), (home / "folder/second").c_str()) == 0);
  REQUIRE(mknod((home / "pipe").c_str(), S_IFIFO | 0600, 0) == 0);
  if (geteuid() == 0) {
    REQUIRE(mknod((home / "device").c_str(), S_IFCHR | 0600, makedev(1234, 56789)) == 0);
  }
  for (int round = 0; round < 2; ++round) {
    CHECK(ReadFile(home / "large") == large);
    CHECK(ReadFile(home / "folder/link") == "ada");
    CHECK(Stat(home / "folder/second").st_nlink == 2);
    CHECK(Stat(home / "folder/second").st_ino == Stat(home / "small").st_ino);
    CHECK(Stat(home / "folder").st_mode == (S_IFDIR | 0750));
    CHECK(S_ISFIFO(Stat(home / "pipe").st_mode));
    if (geteuid() == 0) {
      CHECK(Stat(home / "device").st_rdev == makedev(1234, 56789));
    }
    CHECK(NamesIn(home / "folder") == std::set<std::string>{"link", "second"});
    home.Remount();
  }
}

TEST_CASE("times that programs see stay the same") {
  if (!MayMount()) return;
  MountedHome home;
  for (int i = 0; i < 20; ++i) {
    // Some are closed, some are synced, some are gathered by the kernel until the mount ends.
    const int fd = Open(home / std::to_string(i), O_CREAT | O_WRONLY);
    WriteAt(fd, 0, TextPattern(i, 1000 * (i + 1)));
    if (i % 3 == 0) REQUIRE(fsync(fd) == 0);
    REQUIRE(close(fd) == 0);
  }
  // Of files that are open, data and times are sent side by side.
  std::vector<int> open_files;
  for (int i = 20; i < 60; ++i) {
    open_files.push_back(Open(home / std::to_string(i), O_CREAT | O_WRONLY));
    WriteAt(open_files.back(), 0, TextPattern(i, 500'000));
  }
  const int root = Open(home.root(), O_RDONLY | O_DIRECTORY);
  REQUIRE(syncfs(root) == 0);
  close(root);
  const timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 1}, {.tv_sec = -2000, .tv_nsec = 999}};
  REQUIRE(utimensat(AT_FDCWD, (home / "7").c_str(), times, 0) == 0);
  CHECK(Stat(home / "7").st_mtim.tv_sec == -2000);
  CHECK(Stat(home / "7").st_mtim.tv_nsec == 999);
  REQUIRE(chmod((home / "8").c_str(), 0600) == 0);
  std::map<int, std::array<int64_t, 4>> before;
  for (int i = 0; i < 60; ++i) before[i] = TimesOf(home / std::to_string(i));
  for (const int fd : open_files) close(fd);
  home.Remount();
  for (int i = 0; i < 60; ++i) {
    CAPTURE(i);
    CHECK(TimesOf(home / std::to_string(i)) == before[i]);
  }
  CHECK(Stat(home / "7").st_atim.tv_sec == 1000);
}

TEST_CASE("mapped files") {
  if (!MayMount()) return;
  MountedHome home;
  constexpr size_t kBytes = 1'000'000;
  const std::string content = TextPattern(2, kBytes);
  // This process serves the mount, so another one maps.
  CHECK(InChild([&] {
          const int fd = open((home / "file").c_str(), O_CREAT | O_RDWR, 0644);
          if (fd < 0 || ftruncate(fd, kBytes) != 0) return 1;
          void* const map = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
          if (map == MAP_FAILED) return 2;
          std::copy(content.begin(), content.end(), static_cast<char*>(map));
          std::string got(kBytes, '?');
          if (pread(fd, got.data(), kBytes, 0) != ssize_t{kBytes} || got != content) return 3;
          // What is written by calls shows in the map.
          if (pwrite(fd, "written", 7, 5000) != 7) return 4;
          if (std::string_view(static_cast<char*>(map) + 5000, 7) != "written") return 5;
          if (msync(map, kBytes, MS_SYNC) != 0 || close(fd) != 0) return 6;
          static_cast<char*>(map)[10] = 'Z';  // The map outlives the descriptor.
          return munmap(map, kBytes);
        }) == 0);
  home.Remount();
  std::string expected = content;
  expected.replace(5000, 7, "written");
  expected[10] = 'Z';
  CHECK(ReadFile(home / "file") == expected);
}

TEST_CASE("direct and cached access see the same") {
  if (!MayMount()) return;
  MountedHome home;
  constexpr size_t kBytes = 2u << 20;
  const std::string content = TextPattern(3, kBytes);
  void* memory = nullptr;
  REQUIRE(posix_memalign(&memory, 4096, kBytes) == 0);
  char* const buffer = static_cast<char*>(memory);
  const int direct = Open(home / "file", O_CREAT | O_RDWR | O_DIRECT);
  const int cached = Open(home / "file", O_RDWR);
  std::copy(content.begin(), content.end(), buffer);
  REQUIRE(pwrite(direct, buffer, kBytes, 0) == kBytes);
  CHECK(ReadAt(cached, 0, kBytes) == content);
  WriteAt(cached, 8192, std::string(4096, 'c'));
  REQUIRE(pread(direct, buffer, 8192, 4096) == 8192);
  CHECK(std::string_view(buffer, 4096) == std::string_view(content).substr(4096, 4096));
  CHECK(std::string_view(buffer + 4096, 4096) == std::string(4096, 'c'));
  std::fill(buffer, buffer + 4096, 'd');
  REQUIRE(pwrite(direct, buffer, 4096, 8192) == 4096);
  CHECK(ReadAt(cached, 8192, 4096) == std::string(4096, 'd'));
  free(memory);
  close(direct);
  close(cached);
}

TEST_CASE("two processes append to one file") {
  if (!MayMount()) return;
  MountedHome home;
  constexpr int kLines = 400;
  constexpr size_t kLineBytes = 777;
  std::vector<pid_t> children;
  for (const char letter : {'a', 'b'}) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(100);
      const int fd = open((home / "log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
      const std::string line = std::string(kLineBytes - 1, letter) + "\n";
      for (int i = 0; i < kLines; ++i) {
        if (write(fd, line.data(), line.size()) != ssize_t{kLineBytes}) _exit(1);
      }
      _exit(close(fd) == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  const std::string log = ReadFile(home / "log");
  REQUIRE(log.size() == 2 * kLines * kLineBytes);
  std::map<char, int> lines;
  for (size_t at = 0; at < log.size(); at += kLineBytes) {
    const char letter = log[at];
    CHECK(log.substr(at, kLineBytes) == std::string(kLineBytes - 1, letter) + "\n");
    ++lines[letter];
  }
  CHECK(lines == std::map<char, int>{{'a', kLines}, {'b', kLines}});
}

TEST_CASE("what lost its name lives on while it is open") {
  if (!MayMount()) return;
  MountedHome home({.upkeep_interval_ms = 10});
  const std::string content = TextPattern(4, 3'000'000);
  const int file = Open(home / "file", O_CREAT | O_RDWR);
  WriteAt(file, 0, content);
  REQUIRE(mkdir((home / "folder").c_str(), 0755) == 0);
  const int folder = Open(home / "folder", O_RDONLY | O_DIRECTORY);
  REQUIRE(mknod((home / "pipe").c_str(), S_IFIFO | 0600, 0) == 0);
  const int pipe = Open(home / "pipe", O_PATH);
  REQUIRE(symlink("target", (home / "link").c_str()) == 0);
  const int link = Open(home / "link", O_PATH | O_NOFOLLOW);
  for (const char* name : {"file", "pipe", "link"}) REQUIRE(unlink((home / name).c_str()) == 0);
  REQUIRE(rmdir((home / "folder").c_str()) == 0);

  WriteFile(home / "old", "old");
  const int replaced = Open(home / "old", O_RDWR);
  WriteFile(home / "new", "new");
  REQUIRE(rename((home / "new").c_str(), (home / "old").c_str()) == 0);

  // What has no name and is not held is gone after this.
  for (int i = 0; i < 3; ++i) test::Must(home.fs->Upkeep());
  for (const int fd : {file, folder, pipe, link, replaced}) {
    struct stat status {};
    CHECK(fstatat(fd, "", &status, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC) == 0);
    CHECK(status.st_nlink == 0);
  }
  CHECK(ReadAt(file, 0, content.size() + 1) == content);
  WriteAt(file, 5, "more");
  REQUIRE(fsync(file) == 0);
  CHECK(ReadAt(file, 4, 6) == content.substr(4, 1) + "more" + content.substr(9, 1));
  CHECK(openat(folder, "x", O_CREAT | O_RDWR, 0644) == -1);
  CHECK(errno == ENOENT);
  char target[16] = {};
  CHECK(readlinkat(link, "", target, sizeof(target)) == 6);
  CHECK(ReadAt(replaced, 0, 10) == "old");
  CHECK(ReadFile(home / "old") == "new");
  CHECK(home.fs->Lookup(kRootInode, "file").ok() == false);

  for (const int fd : {file, folder, pipe, link, replaced}) {
    struct stat status {};
    REQUIRE(fstat(fd, &status) == 0);
    close(fd);
    WaitUntil([&] {
      test::Must(home.fs->Upkeep());
      return ErrnoOf(home.fs->GetAttributes(status.st_ino).status()) == ENOENT;
    });
  }
}

TEST_CASE("a folder is listed while names go") {
  if (!MayMount()) return;
  MountedHome home;
  constexpr int kFiles = 5000;
  REQUIRE(mkdir((home / "many").c_str(), 0755) == 0);
  for (int i = 0; i < kFiles; ++i) {
    const int fd = Open(home / ("many/" + std::to_string(i)), O_CREAT | O_WRONLY);
    REQUIRE(close(fd) == 0);
  }
  CHECK(NamesIn(home / "many").size() == kFiles);
  DIR* const folder = opendir((home / "many").c_str());
  REQUIRE(folder != nullptr);
  std::set<std::string> seen;
  for (int step = 0;; ++step) {
    const dirent* entry = readdir(folder);
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    CHECK(seen.insert(name).second);
    // Every second one that is seen goes.
    if (step % 2 == 0) REQUIRE(unlink((home / ("many/" + name)).c_str()) == 0);
  }
  closedir(folder);
  CHECK(seen.size() == kFiles);
  const std::set<std::string> left = NamesIn(home / "many");
  CHECK(left.size() <= kFiles / 2 + 1);
  for (const std::string& name : left) REQUIRE(unlink((home / ("many/" + name)).c_str()) == 0);
  CHECK(rmdir((home / "many").c_str()) == 0);
}

TEST_CASE("holes: cut, punch, zero, seek") {
  if (!MayMount()) return;
  MountedHome home;
  constexpr off_t kMib = 1 << 20;
  const std::string content = TextPattern(5, 4 * kMib);
  const int fd = Open(home / "file", O_CREAT | O_RDWR);
  WriteAt(fd, 0, content);
  // The kernel has all of it, and has sent none.
  CHECK(lseek(fd, 0, SEEK_DATA) == 0);
  CHECK(lseek(fd, 3 * kMib, SEEK_DATA) == 3 * kMib);
  CHECK(lseek(fd, 0, SEEK_HOLE) == 4 * kMib);
  REQUIRE(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kMib, kMib) == 0);
  CHECK(lseek(fd, 0, SEEK_HOLE) == kMib);
  CHECK(lseek(fd, kMib, SEEK_DATA) == 2 * kMib);
  REQUIRE(fallocate(fd, FALLOC_FL_ZERO_RANGE, 4 * kMib - 100, 200) == 0);
  CHECK(Stat(home / "file").st_size == 4 * kMib + 100);
  CHECK(test::Must(home.fs->Lookup(kRootInode, "file")).size_bytes == 4 * kMib + 100);
  REQUIRE(ftruncate(fd, 2 * kMib + 10) == 0);
  REQUIRE(ftruncate(fd, 6 * kMib) == 0);
  WriteAt(fd, 5 * kMib, "x");
  CHECK(lseek(fd, 3 * kMib, SEEK_DATA) == 5 * kMib);
  CHECK(lseek(fd, 5 * kMib + 65536, SEEK_DATA) == -1);  // The kernel writes whole pages.
  CHECK(errno == ENXIO);
  CHECK(lseek(fd, 6 * kMib, SEEK_HOLE) == -1);
  CHECK(errno == ENXIO);
  REQUIRE(fallocate(fd, 0, 0, 7 * kMib) == 0);
  REQUIRE(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8 * kMib) == 0);
  CHECK(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) == -1);
  CHECK(errno == EOPNOTSUPP);
  std::string expected = content.substr(0, 2 * kMib + 10);
  std::fill(expected.begin() + kMib, expected.begin() + 2 * kMib, '\0');
  expected.resize(7 * kMib);
  expected[5 * kMib] = 'x';
  REQUIRE(close(fd) == 0);
  CHECK(ReadFile(home / "file") == expected);
  home.Remount();
  CHECK(ReadFile(home / "file") == expected);
  const int again = Open(home / "file", O_RDONLY);
  CHECK(lseek(again, 3 * kMib, SEEK_DATA) == 5 * kMib);
  close(again);
}

TEST_CASE("a file with data that is not on the disks has blocks") {
  if (!MayMount()) return;
  MountedHome home;
  // Programs that archive files take one without blocks for one large hole.
  WriteFile(home / "tiny", "x");
  WriteFile(home / "large", TextPattern(1, 100'000));
  CHECK(Stat(home / "tiny").st_blocks > 0);
  CHECK(Stat(home / "large").st_blocks > 0);
  const int fd = Open(home / "open", O_CREAT | O_WRONLY);
  WriteAt(fd, 0, TextPattern(1, 100'000));
  CHECK(Stat(home / "open").st_blocks > 0);
  close(fd);
  home.Remount();
  CHECK(Stat(home / "tiny").st_blocks > 0);
  CHECK(Stat(home / "large").st_blocks >= 100'000 / 512);
}

TEST_CASE("ranges are copied within the mount") {
  if (!MayMount()) return;
  MountedHome home;
  const std::string content = TextPattern(6, 5'000'000);
  WriteFile(home / "from", content);
  const int from = Open(home / "from", O_RDONLY);
  const int to = Open(home / "to", O_CREAT | O_RDWR);
  loff_t in = 1000;
  loff_t out = 10;
  size_t left = content.size() - 1000;
  while (left > 0) {
    const ssize_t copied = copy_file_range(from, &in, to, &out, left, 0);
    REQUIRE(copied > 0);
    left -= static_cast<size_t>(copied);
  }
  CHECK(copy_file_range(from, &in, to, &out, 10, 0) == 0);
  CHECK(ReadAt(to, 0, content.size()) == std::string(10, '\0') + content.substr(1000));
  close(from);
  close(to);
}

TEST_CASE("extended attributes") {
  if (!MayMount()) return;
  MountedHome home;
  WriteFile(home / "file", "");
  const std::string path = home / "file";
  const std::string value = TextPattern(7, 60'000);
  REQUIRE(setxattr(path.c_str(), "user.large", value.data(), value.size(), 0) == 0);
  REQUIRE(setxattr(path.c_str(), "user.empty", "", 0, XATTR_CREATE) == 0);
  CHECK(setxattr(path.c_str(), "user.empty", "", 0, XATTR_CREATE) == -1);
  CHECK(errno == EEXIST);
  CHECK(setxattr(path.c_str(), "user.absent", "", 0, XATTR_REPLACE) == -1);
  CHECK(errno == ENODATA);
  CHECK(getxattr(path.c_str(), "user.large", nullptr, 0) == ssize_t{60'000});
  std::string got(60'000, '\0');
  CHECK(getxattr(path.c_str(), "user.large", got.data(), 100) == -1);
  CHECK(errno == ERANGE);
  CHECK(getxattr(path.c_str(), "user.large", got.data(), got.size()) == ssize_t{60'000});
  CHECK(got == value);
  char names[100] = {};
  REQUIRE(listxattr(path.c_str(), names, sizeof(names)) == 22);
  CHECK(std::set<std::string>{names, names + 11} ==
        std::set<std::string>{"user.large", "user.empty"});
  REQUIRE(removexattr(path.c_str(), "user.large") == 0);
  CHECK(getxattr(path.c_str(), "user.large", nullptr, 0) == -1);
  CHECK(errno == ENODATA);
}

// ---- Rights

constexpr uid_t kSomebody = 12345;

TEST_CASE("the kernel checks rights") {
  if (!MayMount() || geteuid() != 0) return;
  MountedHome home({.allow_other = true});
  WriteFile(home / "private", "secret");
  REQUIRE(chmod((home / "private").c_str(), 0600) == 0);
  REQUIRE(mkdir((home / "closed").c_str(), 0700) == 0);
  WriteFile(home / "closed/file", "");
  REQUIRE(mkdir((home / "open").c_str(), 0755) == 0);
  REQUIRE(chmod((home / "open").c_str(), 01777) == 0);
  WriteFile(home / "open/roots", "");
  CHECK(AsUser(kSomebody, [&] {
          const auto refused = [](int result, int error) { return result == -1 && errno == error; };
          if (!refused(open((home / "private").c_str(), O_RDONLY), EACCES)) return 1;
          if (!refused(open((home / "closed/file").c_str(), O_RDONLY), EACCES)) return 2;
          if (!refused(mkdir((home / "x").c_str(), 0755), EACCES)) return 3;
          if (!refused(chmod((home / "private").c_str(), 0644), EPERM)) return 4;
          if (!refused(chown((home / "private").c_str(), kSomebody, kSomebody), EPERM)) return 5;
          if (!refused(unlink((home / "open/roots").c_str()), EPERM)) return 6;
          umask(027);
          const int fd = open((home / "open/mine").c_str(), O_CREAT | O_WRONLY, 0666);
          if (fd < 0) return 7;
          struct stat status {};
          if (fstat(fd, &status) != 0 || status.st_uid != kSomebody) return 8;
          return status.st_mode == (S_IFREG | 0640) ? 0 : 9;
        }) == 0);
}

TEST_CASE("without allow_other the mount is its user's alone") {
  if (!MayMount() || geteuid() != 0) return;
  MountedHome home;
  CHECK(AsUser(kSomebody, [&] {
          struct stat status {};
          return stat(home.root().c_str(), &status) == -1 && errno == EACCES ? 0 : 1;
        }) == 0);
}

TEST_CASE("set-ID bits go when another writes, cuts or gives away") {
  if (!MayMount() || geteuid() != 0) return;
  MountedHome home({.allow_other = true});
  for (const char* name : {"write", "cut", "trunc", "chown"}) {
    WriteFile(home / name, "program");
    REQUIRE(chown((home / name).c_str(), 77, 77) == 0);
    REQUIRE(chmod((home / name).c_str(), 06777) == 0);
  }
  CHECK(AsUser(kSomebody, [&] {
          const int fd = open((home / "write").c_str(), O_WRONLY);
          if (write(fd, "x", 1) != 1 || close(fd) != 0) return 1;
          if (truncate((home / "cut").c_str(), 3) != 0) return 2;
          return open((home / "trunc").c_str(), O_WRONLY | O_TRUNC) < 0 ? 3 : 0;
        }) == 0);
  REQUIRE(chown((home / "chown").c_str(), 78, -1) == 0);
  for (const char* name : {"write", "cut", "trunc", "chown"}) {
    CAPTURE(name);
    CHECK((Stat(home / name).st_mode & 07000) == 0);
  }
}

std::string Acl(std::initializer_list<std::array<uint32_t, 3>> entries) {
  std::string value("\2\0\0\0", 4);
  for (const auto& [tag, rights, id] : entries) {
    const uint32_t numbers[2] = {tag | rights << 16, id};
    value.append(reinterpret_cast<const char*>(numbers), sizeof(numbers));
  }
  return value;
}

TEST_CASE("ACLs count, and are inherited with the group of a set-group-ID folder") {
  if (!MayMount() || geteuid() != 0) return;
  MountedHome home({.allow_other = true});
  constexpr uint32_t kNobody = 0xffffffff;
  WriteFile(home / "file", "for somebody");
  REQUIRE(chmod((home / "file").c_str(), 0600) == 0);
  const auto reads = [&] {
    return AsUser(kSomebody, [&] { return open((home / "file").c_str(), O_RDONLY) < 0; }) == 0;
  };
  CHECK(!reads());
  const std::string acl = Acl(
      {{1, 6, kNobody}, {2, 4, kSomebody}, {4, 0, kNobody}, {16, 4, kNobody}, {32, 0, kNobody}});
  REQUIRE(setxattr((home / "file").c_str(), "system.posix_acl_access", acl.data(), acl.size(), 0) ==
          0);
  CHECK(reads());
  CHECK(Stat(home / "file").st_mode == (S_IFREG | 0640));  // The mask shows as the group's rights.
  REQUIRE(chmod((home / "file").c_str(), 0600) == 0);
  CHECK(!reads());

  REQUIRE(mkdir((home / "folder").c_str(), 0755) == 0);
  REQUIRE(chown((home / "folder").c_str(), 0, 4321) == 0);
  REQUIRE(chmod((home / "folder").c_str(), 02755) == 0);
  const std::string inherited = Acl(
      {{1, 7, kNobody}, {2, 7, kSomebody}, {4, 5, kNobody}, {16, 7, kNobody}, {32, 0, kNobody}});
  REQUIRE(setxattr((home / "folder").c_str(), "system.posix_acl_default", inherited.data(),
                   inherited.size(), 0) == 0);
  // The umask does not count where there is a default ACL.
  const mode_t old_umask = umask(077);
  const int fd = Open(home / "folder/child", O_CREAT | O_WRONLY, 0666);
  REQUIRE(mkdir((home / "folder/sub").c_str(), 0777) == 0);
  umask(old_umask);
  close(fd);
  CHECK(Stat(home / "folder/child").st_mode == (S_IFREG | 0660));
  CHECK(Stat(home / "folder/child").st_gid == 4321);
  CHECK(Stat(home / "folder/sub").st_mode == (S_IFDIR | 02770));
  CHECK(getxattr((home / "folder/sub").c_str(), "system.posix_acl_default", nullptr, 0) ==
        static_cast<ssize_t>(inherited.size()));
  CHECK(AsUser(kSomebody,
               [&] { return open((home / "folder/child").c_str(), O_RDWR) < 0 ? 1 : 0; }) == 0);
  CHECK(AsUser(kSomebody + 1,
               [&] { return open((home / "folder/child").c_str(), O_RDONLY) < 0 ? 1 : 0; }) == 1);
}

TEST_CASE("setting an ACL takes the set-group-ID bit from who is not in the group") {
  if (!MayMount() || geteuid() != 0) return;
  MountedHome home({.allow_other = true});
  const std::string acl = Acl({{1, 7, 0xffffffff}, {4, 5, 0xffffffff}, {32, 5, 0xffffffff}});
  for (const char* name : {"strangers", "members"}) {
    const bool is_member = name == std::string("members");
    WriteFile(home / name, "");
    REQUIRE(chown((home / name).c_str(), kSomebody, is_member ? kSomebody : 4321) == 0);
    REQUIRE(chmod((home / name).c_str(), 02755) == 0);
    CHECK(AsUser(kSomebody, [&] {
            return setxattr((home / name).c_str(), "system.posix_acl_access", acl.data(),
                            acl.size(), 0);
          }) == 0);
    CHECK((Stat(home / name).st_mode & S_ISGID) == (is_member ? S_ISGID : 0));
  }
}

TEST_CASE("locks are between processes") {
  if (!MayMount()) return;
  MountedHome home;
  const int fd = Open(home / "file", O_CREAT | O_RDWR);
  REQUIRE(flock(fd, LOCK_EX) == 0);
  CHECK(InChild([&] {
          const int other = open((home / "file").c_str(), O_RDWR);
          return flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK ? 0 : 1;
        }) == 0);
  close(fd);
}

TEST_CASE("a handle finds its file again after the kernel forgot it") {
  if (!MayMount() || geteuid() != 0) return;
  MountedHome home;
  REQUIRE(mkdir((home / "folder").c_str(), 0755) == 0);
  WriteFile(home / "folder/file", "content");
  alignas(file_handle) char memory[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* const handle = reinterpret_cast<file_handle*>(memory);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int id = 0;
  REQUIRE(name_to_handle_at(AT_FDCWD, (home / "folder/file").c_str(), handle, &id, 0) == 0);
  home.Remount();
  const int root = Open(home.root(), O_RDONLY | O_DIRECTORY);
  const int fd = open_by_handle_at(root, handle, O_RDONLY);
  INFO("errno " << errno);
  REQUIRE(fd >= 0);
  CHECK(ReadAt(fd, 0, 100) == "content");
  close(fd);
  close(root);
  REQUIRE(unlink((home / "folder/file").c_str()) == 0);
  home.Remount();
  const int other_root = Open(home.root(), O_RDONLY | O_DIRECTORY);
  CHECK(open_by_handle_at(other_root, handle, O_RDONLY) == -1);
  CHECK(errno == ESTALE);
  close(other_root);
}

}  // namespace
}  // namespace strata::ofs
