// SPDX-License-Identifier: Apache-2.0
//
// What I/O commands did: how many, how much, and how long each took.
//
//   const NamespaceStatistics done = *subsystem->StatisticsOf(nsid);
//   const IoStatistics& reads = done[IoKind::kRead];
//   Print(reads.commands, reads.bytes, reads.latency.PercentileNs(0.99));
//
// Thread safety: values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "strata/base/export.h"

namespace strata::nvme {

// Latencies: bucket i counts those below 2^(i+1) nanoseconds, the last one all others.
struct LatencyHistogram {
  std::array<uint64_t, 40> buckets{};
  uint64_t count = 0;

  STRATA_EXPORT void Add(const LatencyHistogram& other);
  // An upper bound of the latency that `share` (0 to 1) of the commands kept; 0 without commands.
  STRATA_EXPORT uint64_t PercentileNs(double share) const;
};

// kOther: Compare, Write Zeroes, Dataset Management, Verify.
enum class IoKind : uint8_t { kRead, kWrite, kFlush, kOther };
inline constexpr size_t kIoKinds = 4;
STRATA_EXPORT const char* NameOf(IoKind kind);  // "read", "write", "flush", "other".

struct IoStatistics {
  uint64_t commands = 0;  // That ended, with or without an error.
  uint64_t bytes = 0;     // Of the blocks that the successful ones named.
  // Without comparisons that found a difference: these did what they were asked for.
  uint64_t errors = 0;
  uint64_t latency_ns = 0;  // The sum of what `latency` counts.
  // From when the namespace's device was given the command. Waiting for a limit does not count.
  LatencyHistogram latency{};

  STRATA_EXPORT void Add(const IoStatistics& other);
};

// The commands that reached a namespace's device; what is refused before is in none of these.
struct NamespaceStatistics {
  std::array<IoStatistics, kIoKinds> by_kind{};
  uint64_t media_errors = 0;  // Of the errors, those of SCT 2h.

  IoStatistics& operator[](IoKind kind) { return by_kind[static_cast<size_t>(kind)]; }
  const IoStatistics& operator[](IoKind kind) const { return by_kind[static_cast<size_t>(kind)]; }
  STRATA_EXPORT void Add(const NamespaceStatistics& other);
};

}  // namespace strata::nvme
