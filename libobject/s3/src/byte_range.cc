// SPDX-License-Identifier: Apache-2.0
#include "byte_range.h"

#include <algorithm>

#include "text.h"

namespace strata::s3 {
namespace {

constexpr std::string_view kUnit = "bytes=";

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
    const std::optional<uint64_t> suffix = ParseDecimal(last_text);
    if (!suffix) return whole;
    if (*suffix == 0 || object_size_bytes == 0) return unsatisfiable;
    const uint64_t size = std::min(*suffix, object_size_bytes);
    return {ByteRange::Kind::kPart, object_size_bytes - size, size};
  }
  const std::optional<uint64_t> first = ParseDecimal(first_text);
  if (!first) return whole;
  uint64_t last = UINT64_MAX;
  if (!last_text.empty()) {
    const std::optional<uint64_t> given = ParseDecimal(last_text);
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
  const std::optional<uint64_t> first = ParseDecimal(first_text);
  const std::optional<uint64_t> last = ParseDecimal(last_text);
  if (!first || !last || *last < *first || *last == UINT64_MAX) return std::nullopt;
  return std::pair(*first, *last - *first + 1);
}

}  // namespace strata::s3
