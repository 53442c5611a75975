// SPDX-License-Identifier: Apache-2.0
//
// A filesystem in memory, mounted in a folder of the test's own; unmounted at the end, also when
// the test is killed.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ofs/home.h"
#include "strata/base/random.h"
#include "strata/ofs_fuse/mount.h"
#include "support/must.h"
#include "support/scratch_folder.h"

namespace strata::ofs {

// Whether this process may mount at all. It is not asked of the code under test.
inline bool MayMount() {
  static const bool may = [] {
    const int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    bool usable = device >= 0;
    if (usable) close(device);
    if (geteuid() == 0) {
      std::ifstream status("/proc/self/status");
      for (std::string word; status >> word;) {
        if (word != "CapEff:") continue;
        status >> word;
        usable = usable && (std::stoull(word, nullptr, 16) >> 21 & 1) != 0;  // CAP_SYS_ADMIN
      }
    } else {
      usable = usable && access("/usr/bin/fusermount3", X_OK) == 0;
    }
    if (!usable) std::puts("SKIPPED: /dev/fuse is not there, or this process may not mount");
    return usable;
  }();
  return may;
}

// A process that takes the mount away when this one is gone, however it went.
class Guardian final {
 public:
  explicit Guardian(const std::string& mount_point) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    child_ = fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      close(ends[1]);
      char byte = 0;
      while (read(ends[0], &byte, 1) < 0 && errno == EINTR) {
      }
      while (umount2(mount_point.c_str(), MNT_DETACH) == 0) {
      }
      _exit(0);
    }
    close(ends[0]);
    end_ = ends[1];
  }
  ~Guardian() {
    close(end_);
    waitpid(child_, nullptr, 0);
  }
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

 private:
  pid_t child_ = -1;
  int end_ = -1;
};

class MountedHome final {
 public:
  explicit MountedHome(MountOptions options = {}, uint64_t disk_bytes = 32u << 20)
      : home_(6, disk_bytes), options_(std::move(options)) {
    std::filesystem::create_directory(folder_ / "mnt");
    REQUIRE(chmod(folder_.path().c_str(), 0755) == 0);  // Other users come by.
    guardian_ = std::make_unique<Guardian>(root());
    options_.mount_point = root();
    options_.log = [](LogLevel, std::string_view line) {
      std::fprintf(stderr, "%s\n", std::string(line).c_str());
    };
    Start();
  }
  ~MountedHome() {
    mount.reset();
    guardian_.reset();  // Before the folder is removed, whatever is mounted there.
  }

  void Start() {
    fs = &home_.Open();
    mount = test::Must(Mount::Start(*fs, options_));
  }
  void Stop() {
    test::Must(mount->Stop());
    mount.reset();
    test::Must(fs->Close());
    fs = nullptr;
  }
  void Remount() {
    Stop();
    Start();
  }

  std::string root() const { return folder_ / "mnt"; }
  std::string operator/(const std::string& name) const { return root() + "/" + name; }
  MountOptions& options() { return options_; }

 private:
  test::ScratchFolder folder_{test::ScratchFolder::MemoryBacked()};
  std::unique_ptr<Guardian> guardian_;
  Home home_;
  MountOptions options_;

 public:
  FileSystem* fs = nullptr;
  std::unique_ptr<Mount> mount;
};

// ---- Calls that must succeed

inline int Open(const std::string& path, int flags, mode_t mode = 0644) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, mode);
  INFO(path << ": errno " << errno);
  REQUIRE(fd >= 0);
  return fd;
}

inline std::string TextPattern(uint64_t seed, size_t size) {
  std::string text(size, '\0');
  Random(seed).Fill(std::as_writable_bytes(std::span(text)));
  return text;
}

inline void WriteAt(int fd, uint64_t offset, std::string_view data) {
  while (!data.empty()) {
    const ssize_t written = pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    INFO("errno " << errno);
    REQUIRE(written > 0);
    offset += static_cast<size_t>(written);
    data.remove_prefix(static_cast<size_t>(written));
  }
}

inline std::string ReadAt(int fd, uint64_t offset, size_t size) {
  std::string data(size, '?');
  size_t done = 0;
  while (done < size) {
    const ssize_t got =
        pread(fd, data.data() + done, size - done, static_cast<off_t>(offset + done));
    INFO("errno " << errno);
    REQUIRE(got >= 0);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  data.resize(done);
  return data;
}

inline struct stat Stat(const std::string& path) {
  struct stat status {};
  INFO(path);
  REQUIRE(lstat(path.c_str(), &status) == 0);
  return status;
}

inline void WriteFile(const std::string& path, std::string_view data) {
  const int fd = Open(path, O_CREAT | O_TRUNC | O_WRONLY);
  WriteAt(fd, 0, data);
  REQUIRE(close(fd) == 0);
}

inline std::string ReadFile(const std::string& path) {
  const int fd = Open(path, O_RDONLY);
  std::string data = ReadAt(fd, 0, static_cast<size_t>(Stat(path).st_size) + 1);
  REQUIRE(close(fd) == 0);
  return data;
}

// Time ends only what would never come.
inline void WaitUntil(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return;
    usleep(10'000);
  }
  FAIL("it did not come");
}

// Runs `body` in a child; returns its exit status.
inline int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(100);
    _exit(body());
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// As a user who is nobody in particular: no groups but one, no capabilities.
inline int AsUser(uid_t user, const std::function<int()>& body) {
  return InChild([&] {
    if (setgroups(0, nullptr) != 0 || setgid(user) != 0 || setuid(user) != 0) return 99;
    return body();
  });
}

}  // namespace strata::ofs
