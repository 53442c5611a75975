// SPDX-License-Identifier: Apache-2.0
//
// Counts what the server did, by operation. Thread-safe; counting takes no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "operations/operations.h"
#include "strata/s3/server.h"

namespace strata::s3 {

class OperationCounters final {
 public:
  struct Outcome {
    int http_status = 0;   // 0: there was no answer.
    bool aborted = false;  // By the client, before its request or the answer was complete.
    bool cut_off = false;  // The answer did not come to its end for the server's own reason.
    uint64_t bytes_in = 0;
    uint64_t bytes_out = 0;
    uint64_t latency_ns = 0;
  };

  // `operation`: nullptr for requests that have none. Begun() and Ended() come in pairs.
  void Begun(const Operation* operation);
  void Ended(const Operation* operation, const Outcome& outcome);

  std::vector<OperationStats> Snapshot() const;

 private:
  struct Row {
    std::atomic<uint64_t> requests{0}, client_errors{0}, server_errors{0}, aborted{0};
    std::atomic<uint64_t> bytes_in{0}, bytes_out{0}, in_flight{0}, latency_sum_ns{0};
  };
  static constexpr size_t kUnknown = kMaxOperations;

  std::array<Row, kMaxOperations + 1> rows_;
};

}  // namespace strata::s3
