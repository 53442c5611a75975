// SPDX-License-Identifier: Apache-2.0
//
// An open file descriptor, closed when its owner goes, and the flush of a folder.
//
// Thread safety: a FileDescriptor is used by one thread at a time.
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "strata/base/export.h"

namespace strata {

class STRATA_EXPORT FileDescriptor final {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}  // Takes it over. Negative: none.
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

  // The caller closes it.
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// Makes the names in a folder durable. Errors: as ErrnoStatus().
STRATA_EXPORT absl::Status SyncFolder(const std::string& path);

}  // namespace strata
