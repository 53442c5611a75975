// SPDX-License-Identifier: Apache-2.0
//
// How often something was done, and how long its callers spent in it.
//
// Thread safety: any thread; a timer belongs to one.
#pragma once

#include <atomic>
#include <cstdint>

#include "strata/base/clock.h"

namespace strata::dedup {

struct OperationCounter {
  std::atomic<uint64_t> count{0};
  std::atomic<uint64_t> time_ns{0};
};

// Adds its lifetime.
class OperationTimer final {
 public:
  explicit OperationTimer(OperationCounter* counter, uint64_t count = 1)
      : counter_(*counter), begin_ns_(SystemClock().MonotonicNanos()) {
    counter_.count.fetch_add(count, std::memory_order_relaxed);
  }
  ~OperationTimer() {
    const int64_t time_ns = SystemClock().MonotonicNanos() - begin_ns_;
    counter_.time_ns.fetch_add(static_cast<uint64_t>(time_ns), std::memory_order_relaxed);
  }
  OperationTimer(const OperationTimer&) = delete;
  OperationTimer& operator=(const OperationTimer&) = delete;

 private:
  OperationCounter& counter_;
  const int64_t begin_ns_;
};

}  // namespace strata::dedup
