// SPDX-License-Identifier: Apache-2.0
//
// A path for one test's file, in a folder of its own; both are removed at the end.
#pragma once

#include <filesystem>
#include <string>

#include "support/scratch_folder.h"

namespace strata::block {

class TempFile {
 public:
  explicit TempFile(const std::string& parent = std::filesystem::temp_directory_path())
      : folder_(parent) {}

  const std::string& path() const { return path_; }
  const std::string& folder() const { return folder_.path(); }

 private:
  const test::ScratchFolder folder_;
  const std::string path_ = folder_ / "device";
};

}  // namespace strata::block
