// SPDX-License-Identifier: Apache-2.0
//
// What a channel did. Its thread writes, any thread reads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "strata/nvme/controller.h"

namespace strata::nvme {

class ChannelCounters {
 public:
  enum Kind {
    kReads,
    kWrites,
    kReadBytes,
    kWrittenBytes,
    kOthers,
    kErrors,
    kTimeouts,
    kReplays,
    kKindCount
  };

  void Add(Kind kind, uint64_t count) { Bump(counters_[kind], count); }

  void AddLatency(int64_t latency_ns) {
    const uint64_t ns = static_cast<uint64_t>(std::max<int64_t>(latency_ns, 1));
    const size_t bucket = static_cast<size_t>(std::bit_width(ns) - 1);
    Bump(buckets_[std::min(bucket, buckets_.size() - 1)], 1);
  }

  void AddTo(ControllerStatistics& sum) const {
    const auto get = [this](Kind kind) { return counters_[kind].load(std::memory_order_relaxed); };
    sum.reads += get(kReads);
    sum.writes += get(kWrites);
    sum.read_bytes += get(kReadBytes);
    sum.written_bytes += get(kWrittenBytes);
    sum.other_commands += get(kOthers);
    sum.errors += get(kErrors);
    sum.timeouts += get(kTimeouts);
    sum.replays += get(kReplays);
    for (size_t i = 0; i < buckets_.size(); ++i) {
      const uint64_t count = buckets_[i].load(std::memory_order_relaxed);
      sum.latency.buckets[i] += count;
      sum.latency.count += count;
    }
  }

 private:
  static void Bump(std::atomic<uint64_t>& counter, uint64_t count) {
    counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }

  std::array<std::atomic<uint64_t>, kKindCount> counters_{};
  std::array<std::atomic<uint64_t>, 40> buckets_{};
};

}  // namespace strata::nvme
