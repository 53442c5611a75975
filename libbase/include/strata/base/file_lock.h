// SPDX-License-Identifier: Apache-2.0
//
// The lock of a file that says that a process uses what the file stands for. Who only reads can
// look at it without taking it, with a descriptor that is open for reading.
//
// Thread safety: any thread.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"

namespace strata {

// Locks the file for whoever shares this open file description; the lock ends with the last
// descriptor of it. REQUIRES: open for writing. FailedPrecondition: somebody else, in this process
// or another, holds it. Other errors: the file cannot be locked.
STRATA_EXPORT absl::Status LockFile(int fd);

// Whether somebody holds the lock of LockFile() on the file. Unavailable: this filesystem does not
// tell.
STRATA_EXPORT absl::StatusOr<bool> IsFileLocked(int fd);

}  // namespace strata
