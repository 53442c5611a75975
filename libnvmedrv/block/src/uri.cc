// SPDX-License-Identifier: Apache-2.0
//
// The text form of device names.
#include <limits>

#include "absl/strings/str_cat.h"
#include "strata/block/registry.h"

namespace strata::block {
namespace {

constexpr size_t kMaxUriBytes = 8192;

absl::Status Bad(std::string_view text, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("device URI '", absl::string_view(text.data(), text.size()),
                   "': ", absl::string_view(what.data(), what.size())));
}

// The length of the scheme that `text` starts with, its ':' not counted; 0 when it starts with
// none.
size_t SchemeLength(std::string_view text) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_later = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '_';
  };
  if (text.empty() || !is_letter(text[0])) return 0;
  size_t length = 1;
  while (length < text.size() && is_later(text[length])) ++length;
  return length < text.size() && text[length] == ':' ? length : 0;
}

absl::Status ParseOptions(std::string_view text, std::string_view list, Uri* uri) {
  while (!list.empty()) {
    const size_t end = list.find('&');
    const std::string_view pair = list.substr(0, end);
    const size_t equals = pair.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      return Bad(text, "an option is not of the form key=value");
    }
    const auto [it, is_new] = uri->options.emplace(std::string(pair.substr(0, equals)),
                                                   std::string(pair.substr(equals + 1)));
    if (!is_new) return Bad(text, absl::StrCat("option '", it->first, "' is given twice"));
    if (end == std::string_view::npos) break;
    list.remove_prefix(end + 1);
    if (list.empty()) return Bad(text, "an option is not of the form key=value");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Uri> ParseUri(std::string_view text) {
  if (text.size() > kMaxUriBytes) return Bad(text.substr(0, 64), "longer than 8192 bytes");
  if (text.find('\0') != std::string_view::npos) return Bad(text, "holds a zero byte");
  const size_t scheme_length = SchemeLength(text);
  if (scheme_length == 0) return Bad(text, "does not start with a scheme such as 'file:'");
  Uri uri;
  uri.scheme = std::string(text.substr(0, scheme_length));
  const std::string_view rest = text.substr(scheme_length + 1);
  const bool is_decorator = SchemeLength(rest) > 0;
  const size_t mark = is_decorator ? rest.rfind(';') : rest.find('?');
  uri.target = std::string(rest.substr(0, mark));
  if (mark != std::string_view::npos) {
    if (absl::Status status = ParseOptions(text, rest.substr(mark + 1), &uri); !status.ok()) {
      return status;
    }
  }
  return uri;
}

absl::StatusOr<uint64_t> ParseSizeBytes(std::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError(
      absl::StrCat("'", absl::string_view(text.data(), text.size()),
                   "' is not a size: digits, then K, M, G or T or nothing"));
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  uint64_t value = 0;
  size_t position = 0;
  while (position < text.size() && text[position] >= '0' && text[position] <= '9') {
    const uint64_t digit = static_cast<uint64_t>(text[position] - '0');
    if (value > (kMax - digit) / 10) return bad;
    value = value * 10 + digit;
    ++position;
  }
  if (position == 0) return bad;
  if (position == text.size()) return value;
  const size_t power = std::string_view("KMGT").find(text[position]);
  if (power == std::string_view::npos || position + 1 != text.size()) return bad;
  const int shift = 10 * (static_cast<int>(power) + 1);
  if (value > (kMax >> shift)) return bad;
  return value << shift;
}

}  // namespace strata::block
