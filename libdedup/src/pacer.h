// SPDX-License-Identifier: Apache-2.0
//
// Sleeps as much as keeps the bytes per second under a limit.
//
// Thread safety: one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

#include "strata/base/clock.h"

namespace strata::dedup {

class Pacer final {
 public:
  explicit Pacer(uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}  // 0: none.

  void Spend(uint64_t bytes) {
    if (bytes_per_second_ == 0) return;
    spent_bytes_ += bytes;
    const double due_ns =
        static_cast<double>(spent_bytes_) * 1e9 / static_cast<double>(bytes_per_second_);
    const double ahead_ns =
        due_ns - static_cast<double>(SystemClock().MonotonicNanos() - begin_ns_);
    if (ahead_ns > 0)
      std::this_thread::sleep_for(std::chrono::nanoseconds(static_cast<int64_t>(ahead_ns)));
  }

 private:
  const uint64_t bytes_per_second_;
  const int64_t begin_ns_ = SystemClock().MonotonicNanos();
  uint64_t spent_bytes_ = 0;
};

}  // namespace strata::dedup
