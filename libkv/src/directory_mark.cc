// SPDX-License-Identifier: Apache-2.0
#include "directory_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/base/errno_status.h"
#include "strata/base/file_descriptor.h"
#include "strata/base/file_lock.h"
#include "strata/base/status_macros.h"

namespace strata::kv {
namespace {

constexpr size_t kMarkBytes = 28;
constexpr char kMagic[8] = {'S', 'T', 'R', 'A', 'T', 'A', 'K', 'V'};
constexpr uint32_t kFormatVersion = 1;
constexpr uint32_t kClosedCleanly = 1;
using Mark = std::array<std::byte, kMarkBytes>;

uint32_t MarkChecksum(const Mark& mark) { return Crc32c(std::span(mark).first<24>()); }

absl::Status InUse(const std::string& directory) {
  return absl::FailedPreconditionError(absl::StrCat(
      directory, " is in use: another store, in this process or another, has it open"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DirectoryMark>> DirectoryMark::Open(const std::string& directory) {
  struct stat info;
  if (stat(directory.c_str(), &info) != 0) return ErrnoStatus(errno, directory);
  if (!S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(directory, " is not a directory"));
  }
  const std::string path = absl::StrCat(directory, "/", kFileName);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, path);
  std::unique_ptr<DirectoryMark> mark(new DirectoryMark(fd, path));
  if (absl::Status locked = LockFile(fd); !locked.ok()) {
    if (absl::IsFailedPrecondition(locked)) return InUse(directory);
    return Annotate(locked, path);
  }
  bool usable = false;
  STRATA_RETURN_IF_ERROR(mark->Load(&usable));
  mark->was_absent_ = !usable;
  if (!usable) {
    {
      MutexLock lock(&mark->mutex_);
      STRATA_RETURN_IF_ERROR(mark->Store(/*closed_cleanly=*/false));
    }
    if (fsync(fd) != 0) return ErrnoStatus(errno, path);
    STRATA_RETURN_IF_ERROR(SyncFolder(directory));
  }
  return mark;
}

absl::StatusOr<std::unique_ptr<DirectoryMark>> DirectoryMark::OpenReadOnly(
    const std::string& directory, bool assume_unlocked) {
  const std::string path = absl::StrCat(directory, "/", kFileName);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno != ENOENT) {
    if (!assume_unlocked || errno != EACCES) return ErrnoStatus(errno, path);
  }
  std::unique_ptr<DirectoryMark> mark(new DirectoryMark(fd, path));
  if (fd < 0) return mark;  // A writer makes one; without it nothing is known to be acknowledged.
  if (!assume_unlocked) {
    const absl::StatusOr<bool> locked = IsFileLocked(fd);
    if (!locked.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": whether it is in use cannot be told: ", locked.status().message()));
    }
    if (*locked) return InUse(directory);
  }
  bool usable = false;
  STRATA_RETURN_IF_ERROR(mark->Load(&usable));
  return mark;
}

DirectoryMark::~DirectoryMark() {
  if (opener_.InForkedChild() || fd_ < 0) return;
  closed_in_child_.reset();
  close(fd_);
}

absl::Status DirectoryMark::Load(bool* usable) {
  Mark mark;
  const ssize_t got = pread(fd_, mark.data(), mark.size(), 0);
  if (got < 0) return ErrnoStatus(errno, path_);
  *usable = got != 0;  // An empty file was made by somebody who died before the first write.
  if (!*usable) return absl::OkStatus();
  if (got != static_cast<ssize_t>(kMarkBytes) || std::memcmp(mark.data(), kMagic, 8) != 0) {
    return absl::DataLossError(absl::StrCat(path_, " is damaged: not a mark"));
  }
  if (LoadLe32(&mark[24]) != MarkChecksum(mark)) {
    return absl::DataLossError(absl::StrCat(path_, " is damaged: wrong checksum"));
  }
  if (LoadLe32(&mark[8]) != kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat(path_, " says format ", LoadLe32(&mark[8]),
                                                      ", this program knows ", kFormatVersion));
  }
  was_closed_cleanly_ = (LoadLe32(&mark[12]) & kClosedCleanly) != 0;
  acknowledged_at_open_ = LoadLe64(&mark[16]);
  MutexLock lock(&mutex_);
  acknowledged_ = acknowledged_at_open_;
  return absl::OkStatus();
}

absl::Status DirectoryMark::Store(bool closed_cleanly) {
  Mark mark;
  std::memcpy(mark.data(), kMagic, sizeof(kMagic));
  StoreLe32(&mark[8], kFormatVersion);
  StoreLe32(&mark[12], closed_cleanly ? kClosedCleanly : 0);
  StoreLe64(&mark[16], acknowledged_);
  StoreLe32(&mark[24], MarkChecksum(mark));
  const ssize_t put = pwrite(fd_, mark.data(), mark.size(), 0);
  if (put == static_cast<ssize_t>(kMarkBytes)) return absl::OkStatus();
  return ErrnoStatus(put < 0 ? errno : EIO, path_);
}

absl::Status DirectoryMark::BeginUse() {
  MutexLock lock(&mutex_);
  STRATA_RETURN_IF_ERROR(Store(/*closed_cleanly=*/false));
  return fdatasync(fd_) == 0 ? absl::OkStatus() : ErrnoStatus(errno, path_);
}

absl::Status DirectoryMark::Acknowledge(uint64_t sequence) {
  MutexLock lock(&mutex_);
  if (sequence <= acknowledged_) return absl::OkStatus();
  acknowledged_ = sequence;
  return Store(/*closed_cleanly=*/false);
}

absl::Status DirectoryMark::MarkClosed(uint64_t sequence) {
  MutexLock lock(&mutex_);
  acknowledged_ = sequence;
  STRATA_RETURN_IF_ERROR(Store(/*closed_cleanly=*/true));
  return fdatasync(fd_) == 0 ? absl::OkStatus() : ErrnoStatus(errno, path_);
}

}  // namespace strata::kv
