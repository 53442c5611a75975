// SPDX-License-Identifier: Apache-2.0
#include "strata/base/clock.h"

#include <chrono>

namespace strata {
namespace {

template <typename StdClock>
int64_t NanosOf() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(StdClock::now().time_since_epoch())
      .count();
}

class MachineClock final : public Clock {
 public:
  int64_t WallNanos() const override { return NanosOf<std::chrono::system_clock>(); }
  int64_t MonotonicNanos() const override { return NanosOf<std::chrono::steady_clock>(); }
};

}  // namespace

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

}  // namespace strata
