// SPDX-License-Identifier: Apache-2.0
//
// A clock that a test moves.
//
//   ManualClock clock;
//   clock.now_ns += 5'000'000;
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "strata/base/clock.h"

namespace strata::nvme {

class ManualClock final : public Clock {
 public:
  int64_t WallNanos() const override { return now_ns.load(); }
  int64_t MonotonicNanos() const override { return now_ns.load(); }
  std::atomic<int64_t> now_ns{1'000'000'000'000};
};

}  // namespace strata::nvme
