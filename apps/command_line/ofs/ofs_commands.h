// SPDX-License-Identifier: Apache-2.0
//
// The commands of `strata ofs`. Used by one thread.
//
//   command     answer
//   ofs.format  {directory, protection, disks: [uri], total_bytes}
//   ofs.mount   {directory, mount_point, unmounted_by: "signal" or "user"}
//   ofs.df      {directory, mount_point (absent: not mounted), total_bytes, used_bytes, free_bytes}
//   ofs.check   {directory, findings: [{kind, text, warning}], counts: {kind: count},
//               lost: [{inode, path, offset, bytes}], inodes, names, extents, groups, stripes,
//               bytes_read, unended_sessions, unsealed_groups, damaged: whether anything but
//               warnings was found}. FailedPrecondition: another process uses the filesystem
//   others      those of disk_commands.h, with "directory"; where the filesystem is mounted, the
//               process that mounted it runs them. "damaged" is true of a healing that left
//               something undone, and of a scrub that found something lost
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "appliance/json_fwd.h"
#include "command_line/ofs/ofs_request.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

// `mounted` is called when the mount point can be used: {directory, mount_point, process}. A mount
// ends when `progress` returns false.
//
// NotFound: the folder holds no filesystem. FailedPrecondition: another process uses it, or a
// device holds something else. InvalidArgument: an option. Otherwise what libofs says.
absl::StatusOr<Json> RunOfsCommand(const std::string& command, const OfsRequest& request,
                                   const std::function<void(const Json&)>& mounted,
                                   const dedup::ProgressCallback& progress);

}  // namespace strata::appliance
