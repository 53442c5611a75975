// SPDX-License-Identifier: Apache-2.0
#include "http/uri_coding.h"

#include "http/text.h"
#include "strata/base/hex.h"

namespace strata::s3 {
namespace {

bool IsUnreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

void AppendUriEncoded(std::string& out, std::string_view text, Slash slash) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (char c : text) {
    if (IsUnreserved(c) || (c == '/' && slash == Slash::kKeep)) {
      out += c;
    } else {
      const auto value = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[value >> 4];
      out += kDigits[value & 15];
    }
  }
}

std::string UriEncode(std::string_view text, Slash slash) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  AppendUriEncoded(out, text, slash);
  return out;
}

std::optional<std::string> UriDecode(std::string_view text, Plus plus) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = HexDigitValue(text[i + 1]);
      const int low = HexDigitValue(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high << 4 | low);
      i += 2;
    } else if (text[i] == '+' && plus == Plus::kSpace) {
      out += ' ';
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<QueryParameters> ParseQuery(std::string_view query) {
  QueryParameters parameters;
  if (query.empty()) return parameters;
  for (std::string_view piece : Split(query, '&')) {
    if (piece.empty()) continue;
    const auto [raw_name, raw_value] = SplitOnce(piece, '=');
    std::optional<std::string> name = UriDecode(raw_name, Plus::kSpace);
    std::optional<std::string> value = UriDecode(raw_value, Plus::kSpace);
    if (!name || !value) return std::nullopt;
    parameters.emplace_back(*std::move(name), *std::move(value));
  }
  return parameters;
}

}  // namespace strata::s3
