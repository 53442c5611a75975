// SPDX-License-Identifier: Apache-2.0
//
// Files of the command line: open ones, and new ones that get their names when they are complete.
// Used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace strata::appliance {

// An open file.
class FileHandle final {
 public:
  // NotFound; Unavailable: the system's words.
  static absl::StatusOr<FileHandle> OpenToRead(const std::string& path);

  FileHandle() = default;
  FileHandle(FileHandle&& other) noexcept;
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();

  const std::string& path() const { return path_; }
  absl::StatusOr<uint64_t> SizeBytes() const;
  // DataLoss: the file ends before the span does.
  absl::Status ReadAt(uint64_t offset_bytes, std::span<std::byte> out) const;
  absl::Status WriteAt(uint64_t offset_bytes, std::span<const std::byte> data) const;
  absl::Status SetSize(uint64_t size_bytes) const;
  // Takes the space for a file of this size, where the filesystem can. ResourceExhausted: it lacks
  // it.
  absl::Status Reserve(uint64_t size_bytes) const;
  absl::Status Sync() const;

 private:
  friend class PartFile;
  FileHandle(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_ = -1;
  std::string path_;
};

// A file that gets its name when it is complete; until then it is NAME.part, which goes away when
// the object does.
class PartFile final {
 public:
  // AlreadyExists: unless it may `replace` what has the name.
  static absl::StatusOr<std::unique_ptr<PartFile>> Create(const std::string& path, bool replace);
  ~PartFile();

  const std::string& path() const { return path_; }
  FileHandle& file() { return file_; }

  // Makes it durable and gives it its name.
  absl::Status Commit();

 private:
  PartFile(std::string path, bool replace, FileHandle file)
      : path_(std::move(path)), replace_(replace), file_(std::move(file)) {}
  const std::string path_;
  const bool replace_;
  FileHandle file_;
  bool committed_ = false;
};

}  // namespace strata::appliance
