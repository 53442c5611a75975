// SPDX-License-Identifier: Apache-2.0
//
// A folder of a test's own, removed with everything in it at the end of the scope.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>

namespace strata::test {

class ScratchFolder final {
 public:
  ScratchFolder() : ScratchFolder(std::filesystem::temp_directory_path()) {}

  explicit ScratchFolder(const std::filesystem::path& parent) {
    std::string pattern = (parent / "strata-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make " + pattern);
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  // Where a busy disk does not slow down a test that is not about the disk.
  static std::filesystem::path MemoryBacked() {
    const std::filesystem::path memory = "/dev/shm";
    return access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
  }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace strata::test
