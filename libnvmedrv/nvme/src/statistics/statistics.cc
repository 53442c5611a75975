// SPDX-License-Identifier: Apache-2.0
#include "strata/nvme/statistics.h"

#include <cmath>

namespace strata::nvme {

void LatencyHistogram::Add(const LatencyHistogram& other) {
  for (size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
  count += other.count;
}

uint64_t LatencyHistogram::PercentileNs(double share) const {
  const double wanted = std::ceil(share * static_cast<double>(count));
  uint64_t below = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    below += buckets[i];
    if (count > 0 && static_cast<double>(below) >= wanted) return uint64_t{2} << i;
  }
  return 0;
}

const char* NameOf(IoKind kind) {
  switch (kind) {
    case IoKind::kRead:
      return "read";
    case IoKind::kWrite:
      return "write";
    case IoKind::kFlush:
      return "flush";
    case IoKind::kOther:
      return "other";
  }
  return "";
}

void IoStatistics::Add(const IoStatistics& other) {
  commands += other.commands;
  bytes += other.bytes;
  errors += other.errors;
  latency_ns += other.latency_ns;
  latency.Add(other.latency);
}

void NamespaceStatistics::Add(const NamespaceStatistics& other) {
  for (size_t kind = 0; kind < kIoKinds; ++kind) by_kind[kind].Add(other.by_kind[kind]);
  media_errors += other.media_errors;
}

}  // namespace strata::nvme
