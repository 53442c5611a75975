// SPDX-License-Identifier: Apache-2.0
#include "command_line/part_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "strata/base/errno_status.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

absl::Status SystemError(const std::string& path, const char* what) {
  return ErrnoStatus(errno, absl::StrCat(path, ": ", what));
}

constexpr int kMaxTries = 100;

// Calls `make` with names that nobody has, until it does not say EEXIST.
absl::Status MakeUnique(const FilePlace& place, const std::function<int(const char*)>& make) {
  for (int i = 0; i < kMaxTries; ++i) {
    std::array<std::byte, 6> random{};
    STRATA_RETURN_IF_ERROR(SecureRandomBytes(random));
    std::string name = ".strata-";
    for (const std::byte byte : random) absl::StrAppend(&name, absl::Hex(byte, absl::kZeroPad2));
    name += ".part";
    if (make(name.c_str()) == 0) return absl::OkStatus();
    if (errno != EEXIST) break;
  }
  return SystemError(place.path, "cannot be made");
}

absl::Status CheckFree(const FilePlace& place, bool replace) {
  struct stat info {};
  if (!replace && fstatat(place.folder_fd, place.leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
    return absl::AlreadyExistsError(absl::StrCat(place.path, " exists already"));
  }
  return absl::OkStatus();
}

absl::Status Rename(const FilePlace& place, const std::string& part, bool replace) {
  const int fd = place.folder_fd;
  const char* const leaf = place.leaf.c_str();
  if (replace) {
    if (renameat(fd, part.c_str(), fd, leaf) == 0) return absl::OkStatus();
    return SystemError(place.path, "cannot be put in place");
  }
  if (renameat2(fd, part.c_str(), fd, leaf, RENAME_NOREPLACE) == 0) return absl::OkStatus();
  if (errno != EINVAL && errno != ENOSYS) return SystemError(place.path, "cannot be put in place");
  // A filesystem that cannot rename so.
  STRATA_RETURN_IF_ERROR(CheckFree(place, /*replace=*/false));
  return Rename(place, part, /*replace=*/true);
}

}  // namespace

absl::StatusOr<FileHandle> FileHandle::OpenToRead(const std::string& path) {
  // A pipe must not keep us waiting for its writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return SystemError(path, "cannot be opened");
  return FileHandle(fd, path);
}

absl::StatusOr<uint64_t> FileHandle::SizeBytes() const {
  struct stat info {};
  if (fstat(fd(), &info) != 0) return SystemError(path_, "cannot be examined");
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path_, " is not a regular file"));
  }
  return static_cast<uint64_t>(info.st_size);
}

absl::Status FileHandle::ReadAt(uint64_t offset_bytes, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = pread(fd(), out.data(), out.size(), static_cast<off_t>(offset_bytes));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(path_, "cannot be read");
    if (count == 0) return absl::DataLossError(absl::StrCat(path_, ": it ends too early"));
    out = out.subspan(static_cast<size_t>(count));
    offset_bytes += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::Status FileHandle::WriteAt(uint64_t offset_bytes, std::span<const std::byte> data) const {
  while (!data.empty()) {
    const ssize_t count = pwrite(fd(), data.data(), data.size(), static_cast<off_t>(offset_bytes));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(path_, "cannot be written");
    data = data.subspan(static_cast<size_t>(count));
    offset_bytes += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::Status FileHandle::SetSize(uint64_t size_bytes) const {
  return ftruncate(fd(), static_cast<off_t>(size_bytes)) == 0
             ? absl::OkStatus()
             : SystemError(path_, "cannot get its size");
}

absl::Status FileHandle::Reserve(uint64_t size_bytes) const {
  while (fallocate(fd(), 0, 0, static_cast<off_t>(size_bytes)) != 0) {
    if (errno == EOPNOTSUPP || errno == ENOSYS) break;
    if (errno != EINTR) return SystemError(path_, "cannot take its space");
  }
  return absl::OkStatus();
}

absl::Status FileHandle::Sync() const {
  return fsync(fd()) == 0 ? absl::OkStatus() : SystemError(path_, "cannot be made durable");
}

absl::StatusOr<std::unique_ptr<PartFile>> PartFile::Create(const std::string& path, bool replace) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, "cannot be made");
  const FileHandle opened(fd, folder);
  return CreateAt({fd, path.substr(slash + 1), path}, replace, 0666);
}

absl::StatusOr<std::unique_ptr<PartFile>> PartFile::CreateAt(const FilePlace& place, bool replace,
                                                             mode_t mode) {
  STRATA_RETURN_IF_ERROR(CheckFree(place, replace));
  // A descriptor that can be flushed, if the folder may be read.
  int folder_fd = openat(place.folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd < 0) folder_fd = fcntl(place.folder_fd, F_DUPFD_CLOEXEC, 0);
  if (folder_fd < 0) return SystemError(place.path, "cannot be made");
  FileHandle folder(folder_fd, place.path);
  std::string part;
  int fd = -1;
  STRATA_RETURN_IF_ERROR(MakeUnique(place, [&](const char* name) {
    part = name;
    fd = openat(folder.fd(), name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    return fd < 0 ? -1 : 0;
  }));
  return std::unique_ptr<PartFile>(
      new PartFile(std::move(folder), place, replace, part, FileHandle(fd, place.path)));
}

PartFile::~PartFile() {
  if (!committed_) unlinkat(folder_.fd(), part_.c_str(), 0);
}

absl::Status PartFile::Commit(bool durable) {
  if (durable || replace_) STRATA_RETURN_IF_ERROR(file_.Sync());
  STRATA_RETURN_IF_ERROR(Rename({folder_.fd(), leaf_, path_}, part_, replace_));
  committed_ = true;
  return durable ? folder_.Sync() : absl::OkStatus();  // The name too.
}

absl::Status MakeNode(const FilePlace& place, bool replace,
                      const std::function<int(int folder_fd, const char* name)>& make,
                      const std::function<void(int folder_fd, const char* name)>& finish) {
  STRATA_RETURN_IF_ERROR(CheckFree(place, replace));
  std::string part;
  STRATA_RETURN_IF_ERROR(MakeUnique(place, [&](const char* name) {
    part = name;
    return make(place.folder_fd, name);
  }));
  finish(place.folder_fd, part.c_str());
  const absl::Status status = Rename(place, part, replace);
  // Also where the name was that of the same file already: then nothing was renamed.
  unlinkat(place.folder_fd, part.c_str(), 0);
  return status;
}

}  // namespace strata::appliance
