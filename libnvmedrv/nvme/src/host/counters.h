// SPDX-License-Identifier: Apache-2.0
//
// What a channel did. Its thread writes, any thread reads.
#pragma once

#include <array>
#include <cstdint>

#include "statistics/counters.h"
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

  void Add(Kind kind, uint64_t count) { counters_[kind].Add(count); }
  void AddLatency(int64_t latency_ns) { latency_.Add(latency_ns); }

  void AddTo(ControllerStatistics& sum) const {
    sum.reads += counters_[kReads].value();
    sum.writes += counters_[kWrites].value();
    sum.read_bytes += counters_[kReadBytes].value();
    sum.written_bytes += counters_[kWrittenBytes].value();
    sum.other_commands += counters_[kOthers].value();
    sum.errors += counters_[kErrors].value();
    sum.timeouts += counters_[kTimeouts].value();
    sum.replays += counters_[kReplays].value();
    latency_.AddTo(&sum.latency);
  }

 private:
  std::array<Counter, kKindCount> counters_;
  LatencyCounters latency_;
};

}  // namespace strata::nvme
