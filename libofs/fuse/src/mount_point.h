// SPDX-License-Identifier: Apache-2.0
//
// The directory on which a filesystem is mounted: looked at before, and taken back after.
//
// Thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace strata::ofs {

// What tables of mounts name as the type.
inline constexpr char kMountType[] = "fuse.strata";

// The absolute path of a directory on which a filesystem can be mounted. Takes away a mount there
// whose process is gone. NotFound, InvalidArgument, PermissionDenied, FailedPrecondition name it.
absl::StatusOr<std::string> PrepareMountPoint(const std::string& path);

enum class UnmountMode {
  kWhenUnused,  // FailedPrecondition: files are open.
  kDetach,      // Out of sight at once; those who use it go on.
};

// As root, or by fusermount3 as the user who mounted it.
absl::Status Unmount(const std::string& mount_point, UnmountMode mode);

// Whether the process of a mount there is gone.
bool IsAbandoned(const std::string& path);

// Sends what the kernel has gathered for the mount.
absl::Status SyncMount(const std::string& mount_point);

}  // namespace strata::ofs
