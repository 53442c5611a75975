// SPDX-License-Identifier: Apache-2.0
//
// A clock that stands still until the test moves it.
//
//   ManualClock clock;
//   options.clock = &clock;
//   clock.now_ns += 1'000'000'000;
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "strata/base/clock.h"

namespace strata::test {

class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t start_ns = 1'000'000'000'000) : now_ns(start_ns) {}

  int64_t WallNanos() const override { return now_ns.load(); }
  int64_t MonotonicNanos() const override { return now_ns.load(); }

  std::atomic<int64_t> now_ns;
};

}  // namespace strata::test
