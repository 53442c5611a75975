// SPDX-License-Identifier: Apache-2.0
//
// A path for one test's file, in a folder of its own; both are removed at the end.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "strata/base/check.h"

namespace strata::block {

class TempFile {
 public:
  explicit TempFile(const std::string& parent = std::filesystem::temp_directory_path()) {
    std::string pattern = parent + "/strata-block-XXXXXX";
    STRATA_CHECK(mkdtemp(pattern.data()) != nullptr, "mkdtemp in the folder for temporary files");
    folder_ = pattern;
    path_ = pattern + "/device";
  }
  ~TempFile() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;

  const std::string& path() const { return path_; }
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
  std::string path_;
};

}  // namespace strata::block
