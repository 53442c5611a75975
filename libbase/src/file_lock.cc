// SPDX-License-Identifier: Apache-2.0
//
// Two locks make one. flock() works on every filesystem, but cannot be looked at. A lock of the
// open file description can; a filesystem that has none of them only keeps readers from looking.
#include "strata/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_format.h"
#include "strata/base/errno_status.h"

namespace strata {
namespace {

struct flock WholeFile() {
  struct flock whole = {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return whole;
}

absl::Status Held() { return absl::FailedPreconditionError("somebody else holds the lock"); }

}  // namespace

absl::Status LockFile(int fd) {
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? Held() : ErrnoStatus(errno, "cannot lock");
  }
  struct flock whole = WholeFile();
  if (fcntl(fd, F_OFD_SETLK, &whole) != 0 && (errno == EAGAIN || errno == EACCES)) return Held();
  return absl::OkStatus();
}

absl::StatusOr<bool> IsFileLocked(int fd) {
  struct flock whole = WholeFile();
  if (fcntl(fd, F_OFD_GETLK, &whole) == 0) return whole.l_type != F_UNLCK;
  return absl::UnavailableError(
      absl::StrFormat("this filesystem does not show locks: %s", std::strerror(errno)));
}

}  // namespace strata
