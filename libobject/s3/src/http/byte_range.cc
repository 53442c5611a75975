// SPDX-License-Identifier: Apache-2.0
#include "http/byte_range.h"

#include <algorithm>

#include "http/text.h"

namespace strata::s3 {
namespace {

constexpr std::string_view kUnit = "bytes=";

// Digits alone; a number that no 64 bits hold lies behind every object's end, as the largest does.
std::optional<uint64_t> ParsePosition(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  return ParseDecimal(text).value_or(UINT64_MAX);
}

}  // namespace

ByteRange ParseByteRange(std::string_view header, uint64_t object_size_bytes) {
  const ByteRange whole{.offset_bytes = 0, .size_bytes = object_size_bytes};
  const ByteRange unsatisfiable{.kind = ByteRange::Kind::kUnsatisfiable};
  header = Trim(header);
  if (!EqualsIgnoreCase(header.substr(0, kUnit.size()), kUnit)) return whole;
  const std::string_view range = Trim(header.substr(kUnit.size()));
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) return whole;
  const std::string_view first_text = Trim(range.substr(0, dash));
  const std::string_view last_text = Trim(range.substr(dash + 1));

  if (first_text.empty()) {
    const std::optional<uint64_t> suffix = ParsePosition(last_text);
    if (!suffix) return whole;
    if (*suffix == 0 || object_size_bytes == 0) return unsatisfiable;
    const uint64_t size = std::min(*suffix, object_size_bytes);
    return {ByteRange::Kind::kPart, object_size_bytes - size, size};
  }
  const std::optional<uint64_t> first = ParsePosition(first_text);
  if (!first) return whole;
  uint64_t last = UINT64_MAX;
  if (!last_text.empty()) {
    const std::optional<uint64_t> given = ParsePosition(last_text);
    if (!given || *given < *first) return whole;
    last = *given;
  }
  if (*first >= object_size_bytes) return unsatisfiable;
  last = std::min(last, object_size_bytes - 1);
  return {ByteRange::Kind::kPart, *first, last - *first + 1};
}

std::optional<std::pair<uint64_t, uint64_t>> ParseCopyRange(std::string_view header) {
  if (header.substr(0, kUnit.size()) != kUnit) return std::nullopt;
  const auto [first_text, last_text] = SplitOnce(header.substr(kUnit.size()), '-');
  const std::optional<uint64_t> first = ParsePosition(first_text);
  const std::optional<uint64_t> last = ParsePosition(last_text);
  if (!first || !last || *last < *first) return std::nullopt;
  const uint64_t size = *last - *first;
  return std::pair(*first, size == UINT64_MAX ? size : size + 1);
}

}  // namespace strata::s3
