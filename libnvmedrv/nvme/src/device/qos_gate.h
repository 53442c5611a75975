// SPDX-License-Identifier: Apache-2.0
//
// Lets commands through at a rate (the generic cell rate algorithm): a virtual clock runs ahead of
// the real one by what each command costs, and a command passes when it is not too far ahead.
//
// Thread safety: any thread; lanes share the gate of a namespace.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "strata/nvme/subsystem.h"

namespace strata::nvme {

class QosGate {
 public:
  static bool Limits(const QosLimits& qos) { return qos.iops != 0 || qos.bytes_per_second != 0; }

  // Returns 0 and takes a command's share, or takes nothing and returns when to try again.
  int64_t TryPass(const QosLimits& qos, uint64_t bytes, int64_t now_ns) {
    // A cost is bounded, so that no sum of costs overflows.
    constexpr uint64_t kMostNs = uint64_t{366} * 86'400 * 1'000'000'000;
    const uint64_t operation_ns = qos.iops == 0 ? 0 : kSecondNs / qos.iops;
    const uint64_t bytes_ns =
        qos.bytes_per_second == 0 || bytes == 0
            ? 0
            : static_cast<uint64_t>(
                  std::min<double>(static_cast<double>(bytes) * static_cast<double>(kSecondNs) /
                                       static_cast<double>(qos.bytes_per_second),
                                   static_cast<double>(kMostNs)));
    const int64_t burst_ns =
        static_cast<int64_t>(std::min<uint64_t>(qos.burst_ms, 3'600'000) * 1'000'000);
    const int64_t operations_at = operations_.load(std::memory_order_relaxed);
    const int64_t bytes_at = bytes_.load(std::memory_order_relaxed);
    const int64_t earliest = std::max(operation_ns == 0 ? 0 : operations_at - burst_ns,
                                      bytes_ns == 0 ? 0 : bytes_at - burst_ns);
    if (now_ns < earliest) return earliest;
    Advance(operations_, operation_ns, now_ns);
    Advance(bytes_, bytes_ns, now_ns);
    return 0;
  }

  // Forgets what was taken: the limits have changed.
  void Reset() {
    operations_.store(0, std::memory_order_relaxed);
    bytes_.store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr uint64_t kSecondNs = 1'000'000'000;

  // Two lanes may pass at once when one had room: the next command of either pays for it.
  static void Advance(std::atomic<int64_t>& at, uint64_t cost_ns, int64_t now_ns) {
    if (cost_ns == 0) return;
    int64_t seen = at.load(std::memory_order_relaxed);
    while (!at.compare_exchange_weak(seen, std::max(seen, now_ns) + static_cast<int64_t>(cost_ns),
                                     std::memory_order_relaxed)) {
    }
  }

  std::atomic<int64_t> operations_{0};
  std::atomic<int64_t> bytes_{0};
};

}  // namespace strata::nvme
