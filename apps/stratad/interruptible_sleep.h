// SPDX-License-Identifier: Apache-2.0
//
// How a thread that works at intervals sleeps between them, so that its owner can end it at once.
// Thread-safe.
#pragma once

#include <cstdint>

#include "strata/base/mutex.h"

namespace strata::appliance {

class InterruptibleSleep final {
 public:
  // False: End() was called, before the call or during it.
  bool Sleep(uint64_t duration_ns);

  // From here on nobody sleeps.
  void End();

 private:
  Mutex mutex_;
  CondVar wake_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace strata::appliance
