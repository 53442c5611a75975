// SPDX-License-Identifier: Apache-2.0
#include "wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/status/status.h"
#include "strata/base/check.h"

namespace strata::block {

Wakeup::~Wakeup() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<int> Wakeup::Fd() {
  if (fd_ < 0) {
    fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd_ < 0) return absl::UnavailableError("eventfd: no file descriptor left");
  }
  return fd_;
}

void Wakeup::Drain() {
  signalled_ = false;
  if (fd_ < 0) return;
  uint64_t count;
  ssize_t got;
  do {
    got = read(fd_, &count, sizeof(count));
  } while (got < 0 && errno == EINTR);
  // EAGAIN: it was not readable.
  STRATA_CHECK(got == sizeof(count) || errno == EAGAIN, "read of a channel's eventfd");
}

void Wakeup::SignalNow() {
  signalled_ = true;
  const uint64_t one = 1;
  ssize_t written;
  do {
    written = write(fd_, &one, sizeof(one));
  } while (written < 0 && errno == EINTR);
  // EAGAIN: the count stands at its maximum, so the descriptor is readable already.
  STRATA_CHECK(written == sizeof(one) || errno == EAGAIN, "write to a channel's eventfd");
}

}  // namespace strata::block
