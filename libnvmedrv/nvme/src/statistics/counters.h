// SPDX-License-Identifier: Apache-2.0
//
// Counters that one thread writes and any thread reads, without a locked instruction.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "strata/nvme/statistics.h"

namespace strata::nvme {

class Counter {
 public:
  void Add(uint64_t count) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class LatencyCounters {
 public:
  void Add(int64_t latency_ns) {
    const uint64_t ns = static_cast<uint64_t>(std::max<int64_t>(latency_ns, 1));
    const size_t bucket = static_cast<size_t>(std::bit_width(ns) - 1);
    buckets_[std::min(bucket, buckets_.size() - 1)].Add(1);
  }

  void AddTo(LatencyHistogram* sum) const {
    for (size_t i = 0; i < buckets_.size(); ++i) {
      const uint64_t count = buckets_[i].value();
      sum->buckets[i] += count;
      sum->count += count;
    }
  }

 private:
  std::array<Counter, std::tuple_size_v<decltype(LatencyHistogram::buckets)>> buckets_;
};

}  // namespace strata::nvme
