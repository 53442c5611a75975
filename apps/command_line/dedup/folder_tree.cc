// SPDX-License-Identifier: Apache-2.0
#include "command_line/dedup/folder_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr size_t kMaxDepth = 400;  // Each level keeps a descriptor open.
constexpr int kStepFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

}  // namespace

absl::StatusOr<FolderTree> FolderTree::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, path);
  return FolderTree(path, FileHandle(fd, path));
}

absl::StatusOr<FilePlace> FolderTree::Find(std::string_view relative, bool make) {
  std::vector<std::string> names =
      absl::StrSplit(absl::string_view(relative.data(), relative.size()), '/');
  for (const std::string& name : names) {
    if (!name.empty() && name != "." && name != "..") continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "'", std::string(relative), "' leads out of the folder: restore it by its name alone"));
  }
  if (names.size() > kMaxDepth) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, "/", std::string(relative), ": more than 400 folders deep"));
  }
  FilePlace place{.folder_fd = -1, .leaf = names.back(), .path = {}};
  names.pop_back();
  size_t common = 0;
  while (common < names.size() && common < steps_.size() && steps_[common].name == names[common]) {
    ++common;
  }
  steps_.resize(common);
  std::string walked =
      absl::StrJoin(names.begin(), names.begin() + static_cast<ptrdiff_t>(common), "/");
  for (size_t i = common; i < names.size(); ++i) {
    absl::StrAppend(&walked, walked.empty() ? "" : "/", names[i]);
    const std::string shown = absl::StrCat(path_, "/", walked);
    int fd = openat(current_fd(), names[i].c_str(), kStepFlags);
    if (fd < 0 && errno == ENOENT && make) {
      if (mkdirat(current_fd(), names[i].c_str(), 0700) != 0) return ErrnoStatus(errno, shown);
      made_.insert(walked);
      fd = openat(current_fd(), names[i].c_str(), kStepFlags);
    }
    if (fd < 0 && errno == ENOTDIR) {
      return absl::FailedPreconditionError(
          absl::StrCat(shown, " is no folder; symbolic links are not followed"));
    }
    if (fd < 0) return ErrnoStatus(errno, shown);
    steps_.push_back({names[i], FileHandle(fd, shown)});
  }
  place.folder_fd = current_fd();
  place.path = absl::StrCat(path_, path_.ends_with('/') ? "" : "/", std::string(relative));
  return place;
}

absl::StatusOr<FileHandle> FolderTree::OpenFolder(std::string_view relative, bool make) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  if (relative.empty()) {
    const int fd = openat(top_.fd(), ".", kFlags);
    if (fd < 0) return ErrnoStatus(errno, path_);
    return FileHandle(fd, path_);
  }
  STRATA_ASSIGN_OR_RETURN(const FilePlace place, Find(relative, make));
  if (make) {
    if (mkdirat(place.folder_fd, place.leaf.c_str(), 0700) == 0) {
      made_.insert(std::string(relative));
    } else if (errno != EEXIST) {
      return ErrnoStatus(errno, place.path);
    }
  }
  const int fd = openat(place.folder_fd, place.leaf.c_str(), kFlags);
  if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
    return absl::FailedPreconditionError(
        absl::StrCat(place.path, " is no folder; symbolic links are not followed"));
  }
  if (fd < 0) return ErrnoStatus(errno, place.path);
  return FileHandle(fd, place.path);
}

}  // namespace strata::appliance
