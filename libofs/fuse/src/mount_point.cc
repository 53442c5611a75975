// SPDX-License-Identifier: Apache-2.0
#include "mount_point.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "strata/base/errno_status.h"
#include "strata/base/file_descriptor.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

// Of the table of mounts: blanks in names are \040 and the like.
std::string Unescaped(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                        (text[i + 3] - '0')));
      i += 3;
    } else {
      plain.push_back(text[i]);
    }
  }
  return plain;
}

// The type of the topmost filesystem that is mounted exactly there; empty: none.
std::string MountedType(const std::string& path) {
  std::ifstream table("/proc/self/mountinfo");
  std::string type;
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string field;
    std::string place;
    for (int i = 0; i < 5 && fields >> field; ++i) place = field;
    if (Unescaped(place) != path) continue;
    while (fields >> field && field != "-") {
    }
    fields >> type;
  }
  return type;
}

// realpath() asks the filesystem at the end, whose process may be gone.
absl::StatusOr<std::string> AbsolutePath(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const bool is_whole = name.empty() || name == "." || name == "..";
  char* const found = realpath((is_whole ? path : folder).c_str(), nullptr);
  if (found == nullptr) return ErrnoStatus(errno, absl::StrCat("mount point ", path));
  std::string absolute = found;
  free(found);
  if (is_whole) return absolute;
  return absl::StrCat(absolute == "/" ? "" : absolute, "/", name);
}

absl::Status RunFusermount(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  const int error = posix_spawnp(&child, "fusermount3", nullptr, nullptr, pointers.data(), environ);
  if (error != 0) return ErrnoStatus(error, "fusermount3");
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("fusermount3 could not unmount ", arguments.back()));
}

}  // namespace

bool IsAbandoned(const std::string& path) {
  // What the kernel has cached of a root outlives the process that served it.
  struct statx status;
  return statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_TYPE, &status) != 0 &&
         errno == ENOTCONN;
}

absl::StatusOr<std::string> PrepareMountPoint(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("no mount point");
  STRATA_ASSIGN_OR_RETURN(std::string absolute, AbsolutePath(path));
  while (IsAbandoned(absolute)) {
    const std::string type = MountedType(absolute);
    if (type != kMountType) {
      return absl::FailedPreconditionError(
          absl::StrCat("mount point ", path, ": a mount of type ", type.empty() ? "?" : type,
                       " is there whose process is gone; unmount it first"));
    }
    STRATA_RETURN_IF_ERROR(Unmount(absolute, UnmountMode::kDetach));
  }
  struct stat status;
  if (stat(absolute.c_str(), &status) != 0) {
    return ErrnoStatus(errno, absl::StrCat("mount point ", path));
  }
  if (!S_ISDIR(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("mount point ", path, " is not a directory"));
  }
  // Now that it answers, links at the end of the path can be followed.
  STRATA_ASSIGN_OR_RETURN(absolute, AbsolutePath(absolute + "/."));
  if (MountedType(absolute) == kMountType) {
    return absl::FailedPreconditionError(
        absl::StrCat("mount point ", path, ": a filesystem of this kind is mounted there"));
  }
  return absolute;
}

absl::Status Unmount(const std::string& mount_point, UnmountMode mode) {
  int flags = UMOUNT_NOFOLLOW;
  if (mode != UnmountMode::kWhenUnused) flags |= MNT_DETACH;
  if (umount2(mount_point.c_str(), flags) == 0) return absl::OkStatus();
  const int error = errno;
  if (error == EBUSY) {
    return absl::FailedPreconditionError(absl::StrCat(mount_point, " is in use"));
  }
  if (error != EPERM) return ErrnoStatus(error, absl::StrCat("cannot unmount ", mount_point));
  std::vector<std::string> command = {"fusermount3", "-u", "-q"};
  if (mode != UnmountMode::kWhenUnused) command.emplace_back("-z");
  command.emplace_back("--");
  command.push_back(mount_point);
  return RunFusermount(std::move(command));
}

absl::Status SyncMount(const std::string& mount_point) {
  const FileDescriptor folder(open(mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open() || syncfs(folder.get()) != 0) return ErrnoStatus(errno, mount_point);
  return absl::OkStatus();
}

}  // namespace strata::ofs
