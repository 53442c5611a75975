// SPDX-License-Identifier: Apache-2.0
#include "operations/operation_counters.h"

namespace strata::s3 {
namespace {

void Add(std::atomic<uint64_t>& counter, uint64_t amount) {
  counter.fetch_add(amount, std::memory_order_relaxed);
}

uint64_t Get(const std::atomic<uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}

}  // namespace

void OperationCounters::Begun(const Operation* operation) {
  Add(rows_[operation == nullptr ? kUnknown : operation->index].in_flight, 1);
}

void OperationCounters::Ended(const Operation* operation, const Outcome& outcome) {
  Row& row = rows_[operation == nullptr ? kUnknown : operation->index];
  row.in_flight.fetch_sub(1, std::memory_order_relaxed);
  Add(row.requests, 1);
  if (outcome.aborted) {
    Add(row.aborted, 1);
  } else if (outcome.http_status >= 500 || outcome.cut_off) {
    Add(row.server_errors, 1);
  } else if (outcome.http_status >= 400) {
    Add(row.client_errors, 1);
  }
  Add(row.bytes_in, outcome.bytes_in);
  Add(row.bytes_out, outcome.bytes_out);
  Add(row.latency_sum_ns, outcome.latency_ns);
}

std::vector<OperationStats> OperationCounters::Snapshot() const {
  std::vector<OperationStats> stats;
  for (size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    const Operation* operation = OperationAt(i);
    if (operation == nullptr && i != kUnknown) continue;
    stats.push_back({.operation = operation == nullptr ? "Unknown" : operation->name,
                     .requests = Get(row.requests),
                     .client_errors = Get(row.client_errors),
                     .server_errors = Get(row.server_errors),
                     .aborted = Get(row.aborted),
                     .bytes_in = Get(row.bytes_in),
                     .bytes_out = Get(row.bytes_out),
                     .in_flight = Get(row.in_flight),
                     .latency_sum_ns = Get(row.latency_sum_ns)});
  }
  return stats;
}

}  // namespace strata::s3
