// SPDX-License-Identifier: Apache-2.0
//
// A FileSystem as a mount of Linux, by FUSE.
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Mount> mount,
//                           Mount::Start(*filesystem, {.mount_point = "/srv/files"}));
//   while (!mount->WaitUntilUnmounted(100) && !terminated) {
//   }
//   STRATA_RETURN_IF_ERROR(mount->Stop());
//   STRATA_RETURN_IF_ERROR(filesystem->Close());
//
// The kernel checks who may do what (default_permissions). It may keep attributes, names and pages:
// while a filesystem is mounted nobody else may change it, except by way of this mount.
//
// A process must not map files of a mount that it serves itself (mmap(), and running programs): to
// unmap them, the kernel waits for the mount with the process' memory locked.
//
// A forked child neither serves the mount nor keeps it alive (strata/base/fork.h).
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/ofs/file_system.h"

namespace strata::ofs {

struct MountOptions {
  std::string mount_point{};  // An existing directory.
  // What tables of mounts name as the source. 1 to 255 bytes without control characters.
  std::string source = "strata";
  // Threads that serve requests, 1 to 64. One more calls Upkeep(), and one serves some seeks.
  uint32_t threads = 8;
  bool read_only = false;
  bool allow_other = false;    // Other users than the one who mounts, as their rights allow.
  bool allow_set_id = false;   // Set-user-ID programs and file capabilities count. Root alone.
  bool allow_devices = false;  // Device nodes can be opened. Root alone.
  // The kernel gathers small writes and sends them later. It then is what sets the times of files.
  bool write_back_cache = true;
  // For how long the kernel keeps what it knows without asking. 0 to 1 day.
  int64_t attribute_timeout_ms = 60'000;
  int64_t entry_timeout_ms = 60'000;  // Names, also that there is none.
  int64_t upkeep_interval_ms = 1000;  // Between calls of Upkeep(); 10 to 60,000.
  // How long Stop() waits for users who have files open; 0 to 1 hour.
  int64_t patience_ms = 2000;
  LogSink log{};
};

class STRATA_EXPORT Mount {
 public:
  // When it returns, the mount point can be used. A mount that a killed process left there is taken
  // away first. `filesystem` lives longer than the mount.
  //
  // NotFound, PermissionDenied, InvalidArgument: the mount point or an option, named.
  // FailedPrecondition: another mount is in that place. Unavailable: FUSE, with its words.
  static absl::StatusOr<std::unique_ptr<Mount>> Start(FileSystem& filesystem,
                                                      const MountOptions& options);

  virtual ~Mount() = default;  // As Stop().

  // False: it is still mounted after that time.
  virtual bool WaitUntilUnmounted(int64_t timeout_ms) = 0;

  // Unmounts. The kernel first sends what it has gathered. If files are still open after
  // `patience_ms`, what was written so far is kept, and whoever uses the mount gets ENOTCONN from
  // then on. Nothing calls the filesystem any more when it returns. Unavailable: it cannot be
  // unmounted; the mount goes on.
  virtual absl::Status Stop() = 0;
};

}  // namespace strata::ofs
