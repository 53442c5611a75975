// SPDX-License-Identifier: Apache-2.0
//
// A decorator that counts what goes through a block device: requests, bytes, errors and how long
// each took, by kind. No counter is shared by two threads: each channel has its own.
//
//   auto counters = std::make_shared<DeviceCounters>();
//   auto device = CountDevice(std::move(base), counters);
//
// Thread safety: the counters are read by any thread; otherwise as block/device.h says.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "strata/base/clock.h"
#include "strata/base/mutex.h"
#include "strata/block/device.h"

namespace strata::appliance {

enum class IoKind : uint8_t { kRead, kWrite, kFlush, kOther };  // kOther: discard, zeroes, compare.
inline constexpr size_t kIoKinds = 4;
const char* NameOf(IoKind kind);

// Bucket i counts latencies below 2^i microseconds, the last one all others.
inline constexpr size_t kLatencyBuckets = 25;

struct IoFigures {
  uint64_t operations = 0;  // That ended.
  uint64_t bytes = 0;       // Of the blocks named, for those that succeeded.
  uint64_t errors = 0;
  uint64_t latency_ns = 0;  // Sum.
  std::array<uint64_t, kLatencyBuckets> latency{};

  void Add(const IoFigures& other);
};

using DeviceFigures = std::array<IoFigures, kIoKinds>;

class CountedChannel;

class DeviceCounters final {
 public:
  // Never less than an earlier call gave.
  DeviceFigures Read() const;

 private:
  friend class CountedChannel;

  void Register(const CountedChannel* channel);
  void Retire(const CountedChannel* channel);

  mutable Mutex mutex_;
  std::vector<const CountedChannel*> channels_ ABSL_GUARDED_BY(mutex_);
  DeviceFigures retired_ ABSL_GUARDED_BY(mutex_);
};

// `clock` outlives the device.
std::unique_ptr<block::Device> CountDevice(std::unique_ptr<block::Device> base,
                                           std::shared_ptr<DeviceCounters> counters,
                                           const Clock& clock = SystemClock());

}  // namespace strata::appliance
