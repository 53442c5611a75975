// SPDX-License-Identifier: Apache-2.0
//
// The limits of the embedded store and the checks that every call makes before it reaches the
// engine. Pure functions, safe from any thread.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/kv/store.h"

namespace strata::kv {

// Why these: libkv/README.md, "Limits".
inline constexpr Limits kEmbeddedLimits = {
    .max_key_bytes = 8u << 10,
    .max_value_bytes = 8u << 20,
    .max_transaction_operations = 100'000,
    .max_transaction_bytes = 64u << 20,
    .max_page_items = 10'000,
    .max_page_bytes = 8u << 20,
};

// A key for messages: unprintable bytes escaped, cut after 64 bytes.
std::string PrintableKey(std::string_view key);

absl::Status CheckKey(std::string_view key);
absl::Status CheckValue(std::string_view value);

// A bound may be one byte longer than a key: the successor of the longest key is one.
absl::Status CheckRange(const Range& range);

// The options with both maxima cut to the limits. InvalidArgument: a maximum is 0.
absl::StatusOr<PageOptions> CheckPage(const PageOptions& options);

// Whether a transaction may hold this many writes (or reads: `what` says which) of so many bytes.
absl::Status CheckTransactionSize(std::string_view what, size_t count, size_t bytes);

// What an operation counts for in max_transaction_bytes.
inline size_t OperationBytes(std::string_view key, std::string_view value) {
  return key.size() + value.size();
}

// InvalidArgument: not 1..64 of [a-z0-9._-].
absl::Status CheckSpaceName(std::string_view name);

// No key lies in the range.
inline bool IsEmptyRange(const Range& range) {
  return !range.end.empty() && range.begin >= range.end;
}

inline bool InRange(const Range& range, std::string_view key) {
  return key >= range.begin && (range.end.empty() || key < range.end);
}

inline bool RangesOverlap(const Range& a, const Range& b) {
  return !IsEmptyRange(a) && !IsEmptyRange(b) && (a.end.empty() || b.begin < a.end) &&
         (b.end.empty() || a.begin < b.end);
}

// The smallest key larger than `key`.
inline std::string Successor(std::string_view key) {
  std::string next(key);
  next.push_back('\0');
  return next;
}

}  // namespace strata::kv
