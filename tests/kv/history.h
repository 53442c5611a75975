// SPDX-License-Identifier: Apache-2.0
//
// Judges a history of committed transactions: is there one order, agreeing with real time, in which
// running them one by one gives what they read?
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace strata::kv {

inline constexpr uint64_t kHistoryKeys = 8;

struct RecordedTransaction {
  uint64_t id = 0;     // Also the value that it writes. From 1.
  uint64_t begin = 0;  // On a clock that all threads share.
  uint64_t end = 0;
  std::map<std::string, uint64_t> reads;  // Key -> who wrote what was read; 0: it was absent.
  std::set<std::string> writes;           // Each was read before.
};

// Empty: the history is strictly serializable. Else what is wrong with it.
std::string FindAnomaly(const std::vector<RecordedTransaction>& history);

}  // namespace strata::kv
