// SPDX-License-Identifier: Apache-2.0
#include "http/encoding.h"

#include "absl/strings/escaping.h"

namespace strata::s3 {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::string_view Abseil(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

std::string HexEncode(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (char c : bytes) {
    const auto value = static_cast<unsigned char>(c);
    text += kDigits[value >> 4];
    text += kDigits[value & 15];
  }
  return text;
}

std::optional<std::string> HexDecode(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexValue(text[i]);
    const int low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string Base64Encode(std::string_view bytes) { return absl::Base64Escape(Abseil(bytes)); }

std::optional<std::string> Base64Decode(std::string_view text) {
  // Abseil forgives white space, missing padding and stray low bits; encoding again does not.
  std::string bytes;
  if (!absl::Base64Unescape(Abseil(text), &bytes)) return std::nullopt;
  if (Base64Encode(bytes) != text) return std::nullopt;
  return bytes;
}

std::string WebSafeBase64Encode(std::string_view bytes) {
  return absl::WebSafeBase64Escape(Abseil(bytes));
}

std::optional<std::string> WebSafeBase64Decode(std::string_view text) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(Abseil(text), &bytes)) return std::nullopt;
  if (WebSafeBase64Encode(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace strata::s3
