// SPDX-License-Identifier: Apache-2.0
#include "part_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

absl::Status SystemError(const std::string& path, const char* what) {
  const int error = errno;
  const std::string message = absl::StrCat(path, ": ", what, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace

absl::StatusOr<FileHandle> FileHandle::OpenToRead(const std::string& path) {
  // A pipe must not keep us waiting for its writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return SystemError(path, "cannot be opened");
  return FileHandle(fd, path);
}

FileHandle::FileHandle(FileHandle&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

FileHandle::~FileHandle() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<uint64_t> FileHandle::SizeBytes() const {
  struct stat info {};
  if (fstat(fd_, &info) != 0) return SystemError(path_, "cannot be examined");
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path_, " is not a regular file"));
  }
  return static_cast<uint64_t>(info.st_size);
}

absl::Status FileHandle::ReadAt(uint64_t offset_bytes, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = pread(fd_, out.data(), out.size(), static_cast<off_t>(offset_bytes));
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
    const ssize_t count = pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset_bytes));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(path_, "cannot be written");
    data = data.subspan(static_cast<size_t>(count));
    offset_bytes += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::Status FileHandle::SetSize(uint64_t size_bytes) const {
  return ftruncate(fd_, static_cast<off_t>(size_bytes)) == 0
             ? absl::OkStatus()
             : SystemError(path_, "cannot get its size");
}

absl::Status FileHandle::Reserve(uint64_t size_bytes) const {
  while (fallocate(fd_, 0, 0, static_cast<off_t>(size_bytes)) != 0) {
    if (errno == EOPNOTSUPP || errno == ENOSYS) break;
    if (errno != EINTR) return SystemError(path_, "cannot take its space");
  }
  return absl::OkStatus();
}

absl::Status FileHandle::Sync() const {
  return fsync(fd_) == 0 ? absl::OkStatus() : SystemError(path_, "cannot be made durable");
}

absl::StatusOr<std::unique_ptr<PartFile>> PartFile::Create(const std::string& path, bool replace) {
  if (!replace && access(path.c_str(), F_OK) == 0) {
    return absl::AlreadyExistsError(absl::StrCat(path, " exists already"));
  }
  const std::string part = path + ".part";
  const int fd = open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0 && errno == EEXIST) {
    return absl::AlreadyExistsError(absl::StrCat(
        part, " exists already: a run is at work on it, or was killed and it can be removed"));
  }
  if (fd < 0) return SystemError(part, "cannot be made");
  return std::unique_ptr<PartFile>(new PartFile(path, replace, FileHandle(fd, part)));
}

PartFile::~PartFile() {
  if (!committed_) unlink((path_ + ".part").c_str());
}

absl::Status PartFile::Commit() {
  STRATA_RETURN_IF_ERROR(file_.Sync());
  const std::string part = path_ + ".part";
  if (renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, path_.c_str(), replace_ ? 0 : RENAME_NOREPLACE) !=
      0) {
    return SystemError(path_, "cannot be put in place");
  }
  committed_ = true;
  const size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  STRATA_ASSIGN_OR_RETURN(const FileHandle directory, FileHandle::OpenToRead(folder));
  return directory.Sync();  // The name too.
}

}  // namespace strata::appliance
