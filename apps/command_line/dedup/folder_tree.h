// SPDX-License-Identifier: Apache-2.0
//
// A folder whose files are reached step by step from its own descriptor, so that no symbolic link
// below it is ever followed, no matter which user made it. Used by one thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "command_line/part_file.h"

namespace strata::appliance {

class FolderTree final {
 public:
  // The path itself may be a symbolic link: the user named it. NotFound; Unavailable: the system's
  // words.
  static absl::StatusOr<FolderTree> Open(const std::string& path);

  const std::string& path() const { return path_; }

  // Where `relative` is; the folder stays open until the next call. `make`: folders on the way that
  // are not there are made, for their owner alone. InvalidArgument: it leads out of the folder, or
  // is too deep.
  absl::StatusOr<FilePlace> Find(std::string_view relative, bool make);

  // Opens the folder `relative` itself (empty: the top) to be read. `make` as above.
  absl::StatusOr<FileHandle> OpenFolder(std::string_view relative, bool make);

  // The folders that were made, relative to this one.
  const std::set<std::string>& made() const { return made_; }

 private:
  struct Step {
    std::string name;
    FileHandle folder;
  };
  FolderTree(std::string path, FileHandle top) : path_(std::move(path)), top_(std::move(top)) {}

  int current_fd() const { return steps_.empty() ? top_.fd() : steps_.back().folder.fd(); }

  std::string path_;
  FileHandle top_;
  std::vector<Step> steps_;  // The way to the folder that was found last.
  std::set<std::string> made_;
};

}  // namespace strata::appliance
