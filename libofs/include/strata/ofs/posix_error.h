// SPDX-License-Identifier: Apache-2.0
//
// Errors of a filesystem keep the number that POSIX gives them.
//
//   const absl::Status status = filesystem->Unlink(parent, name);
//   if (!status.ok()) return -ErrnoOf(status);
//
// Thread-safe.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "strata/base/export.h"

namespace strata::ofs {

// A status with the code and the words of strata::ErrnoStatus(), from which ErrnoOf() gives back
// `error`.
STRATA_EXPORT absl::Status PosixError(int error, std::string_view what);

// The number of a status that PosixError() made, also after Annotate(). Of others: NotFound ENOENT,
// AlreadyExists EEXIST, ResourceExhausted ENOSPC, PermissionDenied EPERM, InvalidArgument EINVAL,
// Unimplemented ENOTSUP, Cancelled EINTR, all else EIO. 0: OK.
STRATA_EXPORT int ErrnoOf(const absl::Status& status);

}  // namespace strata::ofs
