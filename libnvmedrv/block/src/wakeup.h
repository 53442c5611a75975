// SPDX-License-Identifier: Apache-2.0
//
// The eventfd of a channel whose completions do not come from the kernel: made when first asked
// for, signalled by the channel itself, free of cost until then.
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

  // Makes the descriptor readable; does nothing while nobody asked for it.
  void Signal() {
    if (fd_ >= 0) SignalNow();
  }

 private:
  void SignalNow();

  int fd_ = -1;
};

}  // namespace strata::block
