// SPDX-License-Identifier: Apache-2.0
//
// What lies under the paths given on the command line, and its content from the front. A file that
// cannot be looked at does not end the others. Used by one thread.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "command_line/dedup/folder_tree.h"
#include "command_line/part_file.h"
#include "strata/dedup/catalogue.h"

namespace strata::appliance {

struct InputFile {
  std::string path;      // "-": standard input.
  std::string relative;  // Below the folder that was given; empty: the path itself was.
  struct stat info {};   // As it was when it was found. Standard input: nothing.

  bool has_content() const { return !S_ISDIR(info.st_mode) && !special(); }
  bool special() const {
    return !relative.empty() && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
  }
};

// The files of one path. Symbolic links below it are not followed.
class InputTree final {
 public:
  using FolderId = std::pair<dev_t, ino_t>;

  // `left_out`: folders that are not gone into. NotFound, Unavailable: the path itself; what lies
  // below it and cannot be looked at is in failures().
  static absl::StatusOr<InputTree> Open(const std::string& path,
                                        const std::set<FolderId>& left_out = {});

  // In order of name, a folder before what is in it.
  const std::vector<InputFile>& files() const { return files_; }
  const std::vector<absl::Status>& failures() const { return failures_; }
  const std::vector<std::string>& left_out() const { return left_out_; }

  // Opens the file, which must be what it was when it was found, or the folder, to be read.
  absl::StatusOr<FileHandle> OpenToRead(const InputFile& file);
  absl::StatusOr<std::string> ReadLink(const InputFile& file);

 private:
  absl::Status Walk(const std::string& relative, const std::set<FolderId>& left_out);

  std::optional<FolderTree> tree_;  // The path is a folder.
  std::vector<InputFile> files_;
  std::vector<absl::Status> failures_;
  std::vector<std::string> left_out_;
};

// What reading a file found.
struct ContentRead {
  uint64_t size_bytes = 0;  // Holes included.
  std::vector<dedup::Hole> holes;
  bool changed = false;  // While it was read.
};

// Hands over the content of an open file in pieces, without the holes of a sparse one; where a pipe
// keeps it waiting, nothing, now and then. Unavailable: the system's words; otherwise what `take`
// says.
absl::StatusOr<ContentRead> ReadContent(
    const FileHandle& file, const std::function<absl::Status(std::span<const std::byte>)>& take);

}  // namespace strata::appliance
