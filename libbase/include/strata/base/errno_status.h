// SPDX-License-Identifier: Apache-2.0
//
// What the system says went wrong, as a Status: one meaning and one wording everywhere.
//
//   if (fd < 0) return ErrnoStatus(errno, path);  // "/srv/data: Permission denied"
//
// Thread-safe.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "strata/base/export.h"

namespace strata {

// The message is `what`, then the system's words. NotFound, AlreadyExists; PermissionDenied:
// EACCES, EPERM, EROFS; ResourceExhausted: the disk or a quota is full; InvalidArgument: a path
// that cannot be one (ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP); Unavailable: all else.
STRATA_EXPORT absl::Status ErrnoStatus(int error, std::string_view what);

// The same status with `what` and a colon before its message. An OK status stays as it is.
STRATA_EXPORT absl::Status Annotate(const absl::Status& status, std::string_view what);

}  // namespace strata
