// SPDX-License-Identifier: Apache-2.0
//
// The eventfd of a channel: made when first asked for, readable between Signal() and Clear(), free
// of cost until then.
//
// Thread safety: none; it belongs to one channel.
#pragma once

#include "absl/status/statusor.h"

namespace strata::block {

class Wakeup {
 public:
  Wakeup() = default;
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  // The descriptor, created by the first call. Unavailable when the process has none left.
  absl::StatusOr<int> Fd();

  bool wanted() const { return fd_ >= 0; }

  // Makes the descriptor readable; does nothing before Fd() was called.
  void Signal() {
    if (fd_ >= 0 && !signalled_) SignalNow();
  }

  // Undoes Signal().
  void Clear() {
    if (signalled_) Drain();
  }

  // As Clear(), for a descriptor that the kernel makes readable too. Costs a system call.
  void Drain();

 private:
  void SignalNow();

  int fd_ = -1;
  bool signalled_ = false;
};

}  // namespace strata::block
