// SPDX-License-Identifier: Apache-2.0
#include "disk_reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "strata/base/errno_status.h"

namespace strata::dedup {
namespace {

std::string PathOf(const std::string& directory) { return directory + "/reserve"; }

}  // namespace

absl::StatusOr<uint64_t> FreeBytes(const std::string& path) {
  struct statvfs filesystem;
  if (statvfs(path.c_str(), &filesystem) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot measure the filesystem of ", path));
  }
  return uint64_t{filesystem.f_bavail} * filesystem.f_frsize;
}

void KeepReserve(const std::string& directory) {
  const int fd = open(PathOf(directory).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return;
  struct stat info;
  const bool there = fstat(fd, &info) == 0 && info.st_size >= static_cast<off_t>(kReserveBytes);
  if (!there && fallocate(fd, 0, 0, kReserveBytes) != 0) (void)!ftruncate(fd, 0);
  close(fd);
}

void ReleaseReserve(const std::string& directory) {
  const int fd = open(PathOf(directory).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  (void)!ftruncate(fd, 0);
  close(fd);
}

}  // namespace strata::dedup
