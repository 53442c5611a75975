// SPDX-License-Identifier: Apache-2.0
#include "strata/base/hex.h"

#include <catch2/catch.hpp>

namespace strata {

using std::string_literals::operator""s;

TEST_CASE("bytes become lower-case hexadecimal text and come back") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  CHECK(ToHex("\x00\x7f\xff"s) == "007fff");
  CHECK(FromHex(ToHex(all), HexLetters::kLower) == all);
  CHECK(FromHex("", HexLetters::kLower) == "");
}

TEST_CASE("an identifier has one spelling: capital letters are refused unless they are asked for") {
  CHECK(FromHex("007FfF", HexLetters::kAny) == "\x00\x7f\xff"s);
  CHECK_FALSE(FromHex("007FfF", HexLetters::kLower).has_value());
}

TEST_CASE("what is not hexadecimal is refused, wherever it is") {
  for (const HexLetters letters : {HexLetters::kLower, HexLetters::kAny}) {
    for (const char* const text : {"0", "000", "0g", "g0", "00 0", "0x00", "-1", "00\n0"}) {
      INFO(text);
      CHECK_FALSE(FromHex(text, letters).has_value());
    }
  }
}

}  // namespace strata
