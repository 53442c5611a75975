// SPDX-License-Identifier: Apache-2.0
//
// Bytes as hexadecimal text and back.
//
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "strata/base/export.h"

namespace strata {

inline constexpr std::string_view kHexDigits = "0123456789abcdef";

// The value of a digit of either case; -1: it is none.
constexpr int HexDigitValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

// Lower case.
STRATA_EXPORT std::string ToHex(std::string_view bytes);

// kLower gives a value one spelling, which identifiers need.
enum class HexLetters : uint8_t { kLower, kAny };

// nullopt: an odd length, or a character that is no such digit.
STRATA_EXPORT std::optional<std::string> FromHex(std::string_view text, HexLetters letters);

}  // namespace strata
