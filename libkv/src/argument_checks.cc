// SPDX-License-Identifier: Apache-2.0
#include "argument_checks.h"

#include <algorithm>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace strata::kv {

std::string PrintableKey(std::string_view key) {
  constexpr size_t kShownBytes = 64;
  const std::string_view shown = key.substr(0, kShownBytes);
  return absl::StrCat("\"", absl::CHexEscape({shown.data(), shown.size()}), "\"",
                      key.size() > kShownBytes ? "..." : "");
}

absl::Status CheckKey(std::string_view key) {
  if (key.size() <= kEmbeddedLimits.max_key_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("key ", PrintableKey(key), " has ", key.size(),
                                                 " bytes, the limit is ",
                                                 kEmbeddedLimits.max_key_bytes));
}

absl::Status CheckValue(std::string_view value) {
  if (value.size() <= kEmbeddedLimits.max_value_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a value of ", value.size(), " bytes, the limit is ", kEmbeddedLimits.max_value_bytes));
}

absl::Status CheckRange(const Range& range) {
  for (const std::string& bound : {std::cref(range.begin), std::cref(range.end)}) {
    if (bound.size() > kEmbeddedLimits.max_key_bytes + 1) {
      return absl::InvalidArgumentError(absl::StrCat("range bound ", PrintableKey(bound), " has ",
                                                     bound.size(), " bytes, the limit is ",
                                                     kEmbeddedLimits.max_key_bytes + 1));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<PageOptions> CheckPage(const PageOptions& options) {
  if (options.max_items == 0 || options.max_bytes == 0) {
    return absl::InvalidArgumentError("a page of at most 0 items or bytes");
  }
  PageOptions cut = options;
  cut.max_items = std::min(cut.max_items, kEmbeddedLimits.max_page_items);
  cut.max_bytes = std::min(cut.max_bytes, kEmbeddedLimits.max_page_bytes);
  return cut;
}

absl::Status CheckTransactionSize(std::string_view what, size_t count, size_t bytes) {
  if (count > kEmbeddedLimits.max_transaction_operations) {
    return absl::ResourceExhaustedError(absl::StrCat("a transaction of ", count, " ",
                                                     std::string(what), ", the limit is ",
                                                     kEmbeddedLimits.max_transaction_operations));
  }
  if (bytes > kEmbeddedLimits.max_transaction_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("a transaction with ", bytes, " bytes of ",
                                                     std::string(what), ", the limit is ",
                                                     kEmbeddedLimits.max_transaction_bytes));
  }
  return absl::OkStatus();
}

absl::Status CheckSpaceName(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  if (name.empty() || name.size() > 64 || !std::all_of(name.begin(), name.end(), allowed)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "space name ", PrintableKey(name), ": a name is 1 to 64 of the characters a-z 0-9 . _ -"));
  }
  return absl::OkStatus();
}

}  // namespace strata::kv
