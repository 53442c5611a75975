// SPDX-License-Identifier: Apache-2.0
#include "strata/base/utf8.h"

#include <catch2/catch.hpp>

namespace strata {

TEST_CASE("characters are counted, whatever their length") {
  CHECK(CountUtf8("") == 0u);
  CHECK(CountUtf8("abc") == 3u);
  CHECK(CountUtf8("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80") == 3u);
  CHECK(CountUtf8("\xF4\x8F\xBF\xBF") == 1u);          // U+10FFFF, the last one.
  CHECK(CountUtf8("\xED\x9F\xBF\xEE\x80\x80") == 2u);  // On both sides of the surrogates.
}

TEST_CASE("overlong forms, surrogates, pieces and what lies past the end are not UTF-8") {
  for (const char* const text :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xC3(", "a\x80"}) {
    CHECK_FALSE(IsUtf8(text));
  }
}

}  // namespace strata
