// SPDX-License-Identifier: Apache-2.0
#include "strata/base/hex.h"

namespace strata {

std::string ToHex(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    text += kHexDigits[static_cast<unsigned char>(byte) >> 4];
    text += kHexDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::optional<std::string> FromHex(std::string_view text, HexLetters letters) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  int high = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const int value = HexDigitValue(text[i]);
    if (value < 0 || (letters == HexLetters::kLower && text[i] >= 'A' && text[i] <= 'F')) {
      return std::nullopt;
    }
    if (i % 2 == 0) {
      high = value;
    } else {
      bytes += static_cast<char>(high << 4 | value);
    }
  }
  return bytes;
}

}  // namespace strata
