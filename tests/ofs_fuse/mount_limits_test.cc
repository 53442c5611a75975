// SPDX-License-Identifier: Apache-2.0
//
// How a mount begins and ends, in order and otherwise, and what it does at its limits.
#include <sys/resource.h>
#include <sys/time.h>

#include <csignal>
#include <set>

#include "ofs_fuse/mounted_home.h"

namespace strata::ofs {
namespace {

MountOptions At(const std::string& path) { return {.mount_point = path}; }

// Refused, and the message has the word.
void CheckRefused(FileSystem& fs, const MountOptions& options, absl::StatusCode code,
                  const std::string& word) {
  const auto refused = Mount::Start(fs, options);
  REQUIRE(!refused.ok());
  INFO(refused.status().ToString());
  CHECK(refused.status().code() == code);
  CHECK(std::string(refused.status().message()).find(word) != std::string::npos);
}

TEST_CASE("what a mount cannot be made of is named") {
  if (!MayMount()) return;
  MountedHome home;
  const test::ScratchFolder folder;
  const std::string file = folder / "file";
  std::ofstream(file) << "x";
  CheckRefused(*home.fs, At(folder / "absent"), absl::StatusCode::kNotFound, "absent");
  CheckRefused(*home.fs, At(folder / "no/way"), absl::StatusCode::kNotFound, "no/way");
  CheckRefused(*home.fs, At(file), absl::StatusCode::kInvalidArgument, "not a directory");
  CheckRefused(*home.fs, At(""), absl::StatusCode::kInvalidArgument, "no mount point");
  CheckRefused(*home.fs, At(home.root()), absl::StatusCode::kFailedPrecondition, home.root());
  MountOptions options = At(folder.path());
  options.threads = 0;
  CheckRefused(*home.fs, options, absl::StatusCode::kInvalidArgument, "threads");
  options = At(folder.path());
  options.source = "two\nlines";
  CheckRefused(*home.fs, options, absl::StatusCode::kInvalidArgument, "source");
  // None of them took anything away.
  WriteFile(home / "file", "still here");
  CHECK(ReadFile(home / "file") == "still here");
}

TEST_CASE("a mount without write-back and one that is read-only") {
  if (!MayMount()) return;
  MountedHome home({.source = "a, b\\c", .write_back_cache = false});
  const std::string content = TextPattern(1, 3'000'000);
  const int fd = Open(home / "file", O_CREAT | O_WRONLY);
  WriteAt(fd, 0, content);
  CHECK(test::Must(home.fs->Lookup(kRootInode, "file")).size_bytes == content.size());
  close(fd);
  std::ifstream table("/proc/self/mounts");
  std::string lines((std::istreambuf_iterator<char>(table)), {});
  CHECK(lines.find("a,\\040b\\134c " + home.root() + " fuse.strata") != std::string::npos);
  home.Stop();
  home.options().read_only = true;
  home.Start();
  CHECK(ReadFile(home / "file") == content);
  CHECK(open((home / "other").c_str(), O_CREAT | O_WRONLY, 0644) == -1);
  CHECK(errno == EROFS);
  home.options().read_only = false;
}

TEST_CASE("unmounting from outside ends it, and nothing is lost") {
  if (!MayMount()) return;
  MountedHome home;
  WriteFile(home / "file", "kept");
  const int map = Open(home / "gathered", O_CREAT | O_WRONLY);
  WriteAt(map, 0, TextPattern(1, 100'000));
  CHECK(!home.mount->WaitUntilUnmounted(1));
  REQUIRE(close(map) == 0);
  REQUIRE(std::system(("fusermount3 -u " + home.root()).c_str()) == 0);
  CHECK(home.mount->WaitUntilUnmounted(100'000));
  home.Stop();
  CHECK(std::filesystem::is_empty(home.root()));
  home.Start();
  CHECK(ReadFile(home / "file") == "kept");
  CHECK(ReadFile(home / "gathered") == TextPattern(1, 100'000));
}

TEST_CASE("stopping while files are open keeps what was written") {
  if (!MayMount()) return;
  MountedHome home({.patience_ms = 0});
  const int fd = Open(home / "file", O_CREAT | O_RDWR);
  WriteAt(fd, 0, TextPattern(2, 1'000'000));  // The kernel has it.
  home.Stop();
  CHECK(fsync(fd) == -1);
  CHECK(errno == ENOTCONN);
  close(fd);
  CHECK(std::filesystem::is_empty(home.root()));
  home.Start();
  CHECK(ReadFile(home / "file") == TextPattern(2, 1'000'000));
}

TEST_CASE("where a process was killed, the next one can mount") {
  if (!MayMount()) return;
  const test::ScratchFolder folder(test::ScratchFolder::MemoryBacked());
  const Guardian guardian(folder.path());
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(100);
    Home home;
    const auto mount = Mount::Start(home.Open(), At(folder.path()));
    const char ready = mount.ok() ? 'y' : 'n';
    (void)!write(ends[1], &ready, 1);
    pause();
    _exit(0);
  }
  char ready = 0;
  REQUIRE(read(ends[0], &ready, 1) == 1);
  REQUIRE(ready == 'y');
  const int user = Open(folder / "file", O_CREAT | O_RDWR);
  struct stat status {};
  // The kernel may still answer from what it has cached.
  REQUIRE(stat(folder.path().c_str(), &status) == 0);
  REQUIRE(kill(child, SIGKILL) == 0);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  CHECK(stat((folder / "absent").c_str(), &status) == -1);
  CHECK(errno == ENOTCONN);

  Home home;
  FileSystem& fs = home.Open();
  // A path that ends in a slash means the same.
  std::unique_ptr<Mount> mount = test::Must(Mount::Start(fs, At(folder.path() + "/")));
  WriteFile(folder / "file", "of the second");
  CHECK(ReadFile(folder / "file") == "of the second");
  CHECK(fsync(user) == -1);
  CHECK(errno == ENOTCONN);
  close(user);
  close(ends[0]);
  close(ends[1]);
  test::Must(mount->Stop());
  test::Must(fs.Close());
}

TEST_CASE("a forked child neither holds the mount nor serves it") {
  if (!MayMount()) return;
  MountedHome home({.patience_ms = 0});
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(100);
    close(ends[1]);
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry, gone) == "/dev/fuse") _exit(1);
    }
    if (!absl::IsFailedPrecondition(home.mount->Stop())) _exit(2);
    home.mount.reset();
    char byte = 0;
    (void)!read(ends[0], &byte, 1);  // Until the parent has unmounted.
    _exit(0);
  }
  WriteFile(home / "file", "x");
  const int busy = Open(home / "file", O_RDONLY);
  home.Stop();
  CHECK(fsync(busy) == -1);  // Nobody keeps the connection alive.
  CHECK(errno == ENOTCONN);
  close(busy);
  close(ends[1]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  close(ends[0]);
}

TEST_CASE("ten thousand open files") {
  if (!MayMount()) return;
  MountedHome home;
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 10'200);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const size_t count = limit.rlim_cur - 200;
  std::vector<int> files;
  for (size_t i = 0; i < count; ++i) {
    files.push_back(Open(home / std::to_string(i), O_CREAT | O_RDWR));
    WriteAt(files.back(), 0, std::to_string(i));
    REQUIRE(unlink((home / std::to_string(i)).c_str()) == 0);
  }
  test::Must(home.fs->Upkeep());
  for (size_t i = 0; i < count; ++i) CHECK(ReadAt(files[i], 0, 10) == std::to_string(i));
  for (const int fd : files) close(fd);
}

TEST_CASE("full disks refuse data, and removing makes room") {
  if (!MayMount()) return;
  MountedHome home({}, 16u << 20);
  const std::string piece = TextPattern(3, 1u << 20);
  const auto fill = [&](const std::string& name) {
    const int fd = Open(home / name, O_CREAT | O_WRONLY);
    int error = 0;
    for (uint64_t at = 0; error == 0 && at < (200u << 20); at += piece.size()) {
      if (pwrite(fd, piece.data(), piece.size(), static_cast<off_t>(at)) < 0) error = errno;
      if (error == 0 && fsync(fd) != 0) error = errno;
    }
    close(fd);
    return error;
  };
  CHECK(fill("first") == ENOSPC);
  CHECK(Stat(home / "first").st_size > (10 << 20));
  // Names need no room of the disks.
  REQUIRE(mkdir((home / "folder").c_str(), 0755) == 0);
  REQUIRE(unlink((home / "first").c_str()) == 0);
  CHECK(fill("second") == ENOSPC);
  CHECK(Stat(home / "second").st_size > (10 << 20));
  REQUIRE(truncate((home / "second").c_str(), 0) == 0);
  WriteFile(home / "third", piece);
  CHECK(ReadFile(home / "third") == piece);
}

TEST_CASE("names, targets and sizes beyond the limits") {
  if (!MayMount()) return;
  MountedHome home;
  const auto refused = [](int result, int error) {
    INFO("errno " << errno);
    CHECK(result == -1);
    CHECK(errno == error);
  };
  const std::string longest(255, 'n');
  WriteFile(home / longest, "x");
  CHECK(ReadFile(home / longest) == "x");
  refused(open((home / (longest + "n")).c_str(), O_CREAT | O_RDWR, 0644), ENAMETOOLONG);
  refused(mkdir((home / (longest + "n")).c_str(), 0755), ENAMETOOLONG);
  refused(rename((home / longest).c_str(), (home / (longest + "n")).c_str()), ENAMETOOLONG);
  struct stat status {};
  refused(stat((home / (longest + "n")).c_str(), &status), ENAMETOOLONG);
  REQUIRE(symlink(std::string(4095, 't').c_str(), (home / "link").c_str()) == 0);
  refused(symlink(std::string(4096, 't').c_str(), (home / "link2").c_str()), ENAMETOOLONG);

  constexpr off_t kMost = off_t{1} << 60;
  const int fd = Open(home / "huge", O_CREAT | O_RDWR);
  REQUIRE(ftruncate(fd, kMost) == 0);
  CHECK(Stat(home / "huge").st_size == kMost);
  REQUIRE(pwrite(fd, "end", 3, kMost - 3) == 3);
  REQUIRE(fsync(fd) == 0);
  CHECK(ReadAt(fd, kMost - 5, 10) == std::string("\0\0end", 5));
  CHECK(lseek(fd, 0, SEEK_DATA) > kMost - 5000);
  refused(ftruncate(fd, kMost + 1), EFBIG);
  // What the kernel gathered is refused when it is sent.
  const ssize_t written = pwrite(fd, "x", 1, kMost);
  CHECK((written == -1 || fsync(fd) == -1));
  CHECK(errno == EFBIG);
  close(fd);
  REQUIRE(unlink((home / "huge").c_str()) == 0);
  // Without a name, without a way to one.
  refused(open(home.root().c_str(), O_TMPFILE | O_RDWR, 0644), EOPNOTSUPP);
}

TEST_CASE("signals do not disturb calls") {
  if (!MayMount()) return;
  MountedHome home;
  CHECK(InChild([&] {
          struct sigaction action {};
          action.sa_handler = [](int) {};
          sigaction(SIGALRM, &action, nullptr);  // Without SA_RESTART.
          const itimerval often = {{0, 500}, {0, 500}};
          setitimer(ITIMER_REAL, &often, nullptr);
          const std::string piece = TextPattern(4, 300'000);
          for (int i = 0; i < 100; ++i) {
            const std::string path = home / ("file" + std::to_string(i));
            const int fd = open(path.c_str(), O_CREAT | O_RDWR, 0644);
            if (fd < 0) return 1;
            if (write(fd, piece.data(), piece.size()) != ssize_t{300'000}) return 2;
            if (i % 10 == 0 && fsync(fd) != 0) return 3;
            std::string got(piece.size(), '\0');
            if (pread(fd, got.data(), got.size(), 0) != ssize_t{300'000}) return 4;
            if (got != piece) return 5;
            if (close(fd) != 0 || (i % 3 == 0 && unlink(path.c_str()) != 0)) return 6;
          }
          return 0;
        }) == 0);
}

}  // namespace
}  // namespace strata::ofs
