// SPDX-License-Identifier: Apache-2.0
#include "stratad/interruptible_sleep.h"

#include "strata/base/clock.h"

namespace strata::appliance {

bool InterruptibleSleep::Sleep(uint64_t duration_ns) {
  const uint64_t until = static_cast<uint64_t>(SystemClock().MonotonicNanos()) + duration_ns;
  MutexLock lock(&mutex_);
  while (!ending_) {
    const auto now = static_cast<uint64_t>(SystemClock().MonotonicNanos());
    if (now >= until) return true;
    wake_.WaitForNanos(&mutex_, static_cast<int64_t>(until - now));
  }
  return false;
}

void InterruptibleSleep::End() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  wake_.NotifyAll();
}

}  // namespace strata::appliance
