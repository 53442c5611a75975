// SPDX-License-Identifier: Apache-2.0
#include "shard_file_set.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "strata/base/crc32c.h"
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

constexpr size_t kSuffixBytes = 7;  // ".ec.NNN"

bool HasSuffix(const std::string& path) {
  if (path.size() <= kSuffixBytes) return false;
  const std::string suffix = path.substr(path.size() - kSuffixBytes);
  return suffix.starts_with(".ec.") &&
         std::all_of(suffix.begin() + 4, suffix.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Opens the checksums, which make the units worth reading.
absl::Status ReadTrailer(const ec::ShardHeader& header, ShardFileSet::Shard* shard) {
  STRATA_ASSIGN_OR_RETURN(const uint64_t size, shard->file.SizeBytes());
  if (size != header.layout.shard_file_bytes()) {
    return absl::DataLossError(
        absl::StrCat("it has ", size, " bytes instead of ", header.layout.shard_file_bytes()));
  }
  std::vector<std::byte> bytes(ec::ShardTrailerBytes(header.layout));
  STRATA_RETURN_IF_ERROR(shard->file.ReadAt(size - bytes.size(), bytes));
  STRATA_ASSIGN_OR_RETURN(shard->trailer, ec::DecodeShardTrailer(header, bytes));
  return absl::OkStatus();
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

absl::Status FileHandle::ReadAt(uint64_t offset_bytes, ec::Bytes out) const {
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

absl::Status FileHandle::WriteAt(uint64_t offset_bytes, ec::ConstBytes data) const {
  while (!data.empty()) {
    const ssize_t count = pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset_bytes));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(path_, "cannot be written");
    data = data.subspan(static_cast<size_t>(count));
    offset_bytes += static_cast<uint64_t>(count);
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

absl::StatusOr<std::vector<ShardFileSet>> ShardFileSet::Open(const std::vector<std::string>& paths,
                                                             std::vector<std::string>* strays) {
  std::vector<ShardFileSet> sets;
  for (const std::string& path : paths) {
    STRATA_ASSIGN_OR_RETURN(FileHandle file, FileHandle::OpenToRead(path));
    std::array<std::byte, ec::kShardHeaderBytes> bytes;
    if (const absl::Status read = file.ReadAt(0, bytes); !read.ok()) {
      strays->push_back(std::string(read.message()));
      continue;
    }
    const absl::StatusOr<ec::ShardHeader> header = ec::DecodeShardHeader(bytes);
    if (!header.ok()) {
      strays->push_back(absl::StrCat(path, ": ", std::string(header.status().message())));
      continue;
    }
    auto set = std::find_if(sets.begin(), sets.end(), [&](const ShardFileSet& known) {
      return known.set_id_ == header->set_id && known.layout_ == header->layout;
    });
    if (set == sets.end()) {
      set = sets.emplace(sets.end());
      set->layout_ = header->layout;
      set->set_id_ = header->set_id;
      STRATA_ASSIGN_OR_RETURN(set->code_, ec::CreateCode(header->layout));
      set->shards_.resize(static_cast<size_t>(set->code_->total_shards()));
    }
    Shard shard;
    shard.path = path;
    shard.file = std::move(file);
    shard.is_there = true;
    if (const absl::Status status = ReadTrailer(*header, &shard); !status.ok()) {
      shard.damage = std::string(status.message());
    }
    Shard& place = set->shards_[static_cast<size_t>(header->shard)];
    if (place.is_there && place.damage.empty()) {
      strays->push_back(absl::StrCat(path, ": is the same shard as ", place.path));
      continue;
    }
    place = std::move(shard);
  }
  return sets;
}

std::string ShardFileSet::FileName() const {
  for (const Shard& shard : shards_) {
    if (shard.is_there && HasSuffix(shard.path)) {
      return shard.path.substr(0, shard.path.size() - kSuffixBytes);
    }
  }
  return "";
}

bool ShardFileSet::HasWholeShard() const {
  return std::ranges::any_of(
      shards_, [](const Shard& shard) { return shard.is_there && shard.damage.empty(); });
}

absl::StatusOr<uint32_t> ShardFileSet::FileCrc() const {
  const Shard* first = nullptr;
  for (const Shard& shard : shards_) {
    if (!shard.is_there || !shard.damage.empty()) continue;
    if (first == nullptr) {
      first = &shard;
    } else if (shard.trailer.file_crc != first->trailer.file_crc) {
      return absl::DataLossError(
          absl::StrCat(first->path, " and ", shard.path, " disagree about the file's checksum"));
    }
  }
  if (first == nullptr) return absl::DataLossError("no shard is whole");
  return first->trailer.file_crc;
}

ec::ShardSet ShardFileSet::ReadUnits(uint64_t stripe, const ec::ShardSet& wanted,
                                     const std::vector<ec::Bytes>& units) {
  ec::ShardSet good;
  for (size_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    if (!wanted[i] || !shard.is_there || !shard.damage.empty()) continue;
    const absl::Status read = shard.file.ReadAt(layout_.UnitOffset(stripe), units[i]);
    if (read.ok() && Crc32c(units[i]) == shard.trailer.unit_crcs[stripe]) {
      good.set(i);
      continue;
    }
    if (shard.damaged_units++ == 0) shard.first_damaged = stripe;
  }
  return good;
}

}  // namespace strata::appliance
