// SPDX-License-Identifier: Apache-2.0
//
// Bytes as a file that has a path and leaves nothing on a disk, for functions that read files.
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "strata/base/check.h"

namespace strata::test {

class InputFile final {
 public:
  InputFile(const uint8_t* data, size_t size) : fd_(memfd_create("input", MFD_CLOEXEC)) {
    STRATA_CHECK(fd_ >= 0, "memfd_create");
    STRATA_CHECK(fchmod(fd_, 0600) == 0, "fchmod");
    STRATA_CHECK(write(fd_, data, size) == static_cast<ssize_t>(size), "write");
  }
  ~InputFile() { close(fd_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  const int fd_;
};

}  // namespace strata::test
