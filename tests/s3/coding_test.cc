// SPDX-License-Identifier: Apache-2.0
//
// Text, Base64, URIs, dates, ranges and encoded words: tables of what is and what is not.
#include <catch2/catch.hpp>

#include "http/byte_range.h"
#include "http/encoding.h"
#include "http/hash.h"
#include "http/header_text.h"
#include "http/http_date.h"
#include "http/text.h"
#include "http/uri_coding.h"
#include "strata/base/hex.h"
#include "strata/base/random.h"
#include "strata/base/utf8.h"
#include "support/seed.h"

namespace strata::s3 {
namespace {

using namespace std::string_literals;

std::string RandomText(Random& random) {
  std::string text(random.Uniform(40), '\0');
  random.Fill(std::as_writable_bytes(std::span(text)));
  return text;
}

TEST_CASE("hexadecimal and Base64") {
  CHECK(ToHex("\x00\x7f\xff"s) == "007fff");
  CHECK(FromHex("007FfF", HexLetters::kAny) == "\x00\x7f\xff"s);
  CHECK_FALSE(FromHex("0", HexLetters::kAny).has_value());
  CHECK_FALSE(FromHex("0g", HexLetters::kAny).has_value());
  // RFC 4648, section 10.
  CHECK(Base64Encode("foobar") == "Zm9vYmFy");
  CHECK(Base64Encode("foob") == "Zm9vYg==");
  CHECK(Base64Decode("Zm9vYg==") == "foob");
  for (std::string_view wrong : {"Zm9vYg", "Zm9vYg=", "Zm9v Yg==", "Zm9vYh==", "Zm9vYg==\n", "*"}) {
    INFO(wrong);
    CHECK_FALSE(Base64Decode(wrong).has_value());
  }
}

TEST_CASE("what is encoded decodes to itself") {
  Random random(test::Seed());
  for (int i = 0; i < 1000; ++i) {
    const std::string text = RandomText(random);
    INFO(ToHex(text));
    REQUIRE(FromHex(ToHex(text), HexLetters::kAny) == text);
    REQUIRE(Base64Decode(Base64Encode(text)) == text);
    REQUIRE(WebSafeBase64Decode(WebSafeBase64Encode(text)) == text);
    REQUIRE(UriDecode(UriEncode(text, Slash::kEncode), Plus::kPlus) == text);
    REQUIRE(UriDecode(UriEncode(text, Slash::kKeep), Plus::kSpace) == text);
    if (IsUtf8(text)) REQUIRE(DecodeHeaderText(EncodeHeaderText(text)) == text);
  }
}

TEST_CASE("digests") {
  CHECK(ToHex(Sha256Of("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(ToHex(Md5Of("abc")) == "900150983cd24fb0d6963f7d28e17f72");
  // RFC 4231, test case 2.
  CHECK(ToHex(HmacSha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  Sha256 digest;
  digest.Update("a");
  digest.Update("bc");
  CHECK(digest.Finish() == Sha256Of("abc"));
  CHECK(digest.Finish() == Sha256Of(""));
}

TEST_CASE("URIs") {
  CHECK(UriEncode("a/b c+d~\xC3\xA4", Slash::kKeep) == "a/b%20c%2Bd~%C3%A4");
  CHECK(UriEncode("a/b", Slash::kEncode) == "a%2Fb");
  CHECK(UriDecode("a+b%2B", Plus::kPlus) == "a+b+");
  CHECK(UriDecode("a+b%2b", Plus::kSpace) == "a b+");
  for (std::string_view wrong : {"%", "%1", "%zz", "a%2"}) {
    INFO(wrong);
    CHECK_FALSE(UriDecode(wrong, Plus::kPlus).has_value());
    CHECK_FALSE(ParseQuery(wrong).has_value());
  }
  CHECK(ParseQuery("a=1&b&&c=%20&a=x=y") ==
        QueryParameters{{"a", "1"}, {"b", ""}, {"c", " "}, {"a", "x=y"}});
}

TEST_CASE("decimal numbers") {
  CHECK(ParseDecimal("18446744073709551615") == UINT64_MAX);
  for (std::string_view wrong : {"", "18446744073709551616", "-1", "+1", " 1", "1x"}) {
    INFO(wrong);
    CHECK_FALSE(ParseDecimal(wrong).has_value());
  }
}

TEST_CASE("UTF-8") {
  for (std::string_view good : {"", "a", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    CHECK(IsUtf8(good));
  }
  for (std::string_view wrong : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80",
                                 "\xF5\x80\x80\x80", "\xF0\x80\x80\x80", "\xE2\x82"}) {
    INFO(ToHex(wrong));
    CHECK_FALSE(IsUtf8(wrong));
  }
}

TEST_CASE("HTTP dates in their three forms") {
  constexpr uint64_t kTime = 784111777ull * 1'000'000'000;  // RFC 9110, section 5.6.7.
  CHECK(FormatHttpDate(kTime) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(ParseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT") == kTime);
  CHECK(ParseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT") == kTime);
  CHECK(ParseHttpDate("Sun Nov  6 08:49:37 1994") == kTime);
  CHECK(FormatIsoDate(kTime + 45'600'000) == "1994-11-06T08:49:37.045Z");
  CHECK(FormatBasicDate(kTime) == "19941106T084937Z");
  CHECK(ParseBasicDate("19941106T084937Z") == kTime);
  // Clients that say another weekday, the day with two digits, or a leap second are understood.
  CHECK(ParseHttpDate("Mon, 06 Nov 1994 08:49:37 GMT") == kTime);
  CHECK(ParseHttpDate("Sun Nov 06 08:49:37 1994") == kTime);
  CHECK(ParseHttpDate("Sat, 31 Dec 2016 23:59:60 GMT") == 1'483'228'800'000'000'000);
  // The zone as mails have it, which botocore and Amazon's own examples write in Date.
  CHECK(ParseHttpDate("Sun, 06 Nov 1994 08:49:37 +0000") == kTime);
  CHECK(ParseHttpDate("Sun, 06 Nov 1994 08:49:37 -0000") == kTime);
  CHECK(ParseBasicDate("20161231T235960Z") == 1'483'228'800'000'000'000);
  for (std::string_view wrong :
       {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1960 08:49:37 GMT", "yesterday",
        "Sun, 06 Nov 1994 08:49:37 +0100", "Sun, 06 Nov 1994 08:49:37 GMT +0000",
        "Sun, 06 Nov 1994 08:49:37+0000", " +0000"}) {
    INFO(wrong);
    CHECK_FALSE(ParseHttpDate(wrong).has_value());
  }
  for (std::string_view wrong : {"", "19941106", "19941306T084937Z", "19941106T084937Zx"}) {
    INFO(wrong);
    CHECK_FALSE(ParseBasicDate(wrong).has_value());
  }
}

TEST_CASE("dates are formatted and parsed alike over the years") {
  Random random(test::Seed());
  for (int i = 0; i < 1000; ++i) {
    const uint64_t time_ns = random.Uniform(4'000'000'000) * 1'000'000'000;
    INFO(time_ns);
    REQUIRE(ParseHttpDate(FormatHttpDate(time_ns)) == time_ns);
    REQUIRE(ParseBasicDate(FormatBasicDate(time_ns)) == time_ns);
  }
}

TEST_CASE("ranges") {
  using Kind = ByteRange::Kind;
  struct Row {
    std::string_view header;
    Kind kind;
    uint64_t offset, size;
  };
  for (const Row& row : std::vector<Row>{
           {"bytes=0-9", Kind::kPart, 0, 10},
           {"bytes=10-19", Kind::kPart, 10, 10},
           {"bytes=90-", Kind::kPart, 90, 10},
           {"bytes=90-500", Kind::kPart, 90, 10},
           {"bytes=-5", Kind::kPart, 95, 5},
           {"bytes=-500", Kind::kPart, 0, 100},
           {"BYTES=0-0", Kind::kPart, 0, 1},
           {"bytes=99-99", Kind::kPart, 99, 1},
           {"bytes=100-", Kind::kUnsatisfiable, 0, 0},
           {"bytes=-0", Kind::kUnsatisfiable, 0, 0},
           {"bytes=18446744073709551615-", Kind::kUnsatisfiable, 0, 0},
           {"", Kind::kWhole, 0, 100},
           {"bytes=", Kind::kWhole, 0, 100},
           {"bytes=-", Kind::kWhole, 0, 100},
           {"bytes=9-1", Kind::kWhole, 0, 100},
           {"bytes=a-b", Kind::kWhole, 0, 100},
           {"bytes=0-1,4-5", Kind::kWhole, 0, 100},
           {"items=0-1", Kind::kWhole, 0, 100},
           {"bytes=0-18446744073709551616", Kind::kPart, 0, 100},
       }) {
    INFO(row.header);
    const ByteRange range = ParseByteRange(row.header, 100);
    CHECK(range.kind == row.kind);
    if (row.kind != Kind::kUnsatisfiable) {
      CHECK(range.offset_bytes == row.offset);
      CHECK(range.size_bytes == row.size);
    }
  }
  CHECK(ParseByteRange("bytes=0-", 0).kind == Kind::kUnsatisfiable);
  CHECK(ParseByteRange("bytes=-1", 0).kind == Kind::kUnsatisfiable);
  // No object is that long: the store finds that out.
  CHECK(ParseCopyRange("bytes=0-18446744073709551615")->second == UINT64_MAX);
  CHECK(ParseCopyRange("bytes=9-99999999999999999999")->second == UINT64_MAX - 8);
  CHECK(ParseByteRange("bytes=1-99999999999999999999", 100).size_bytes == 99);
  CHECK(ParseByteRange("bytes=99999999999999999999-", 100).kind == Kind::kUnsatisfiable);
  CHECK(ParseByteRange("bytes=-99999999999999999999", 100).size_bytes == 100);
  CHECK(ParseCopyRange("bytes=5-9") == std::pair<uint64_t, uint64_t>(5, 5));
  for (std::string_view wrong : {"", "bytes=5-", "bytes=-5", "bytes=9-5", "5-9"}) {
    INFO(wrong);
    CHECK_FALSE(ParseCopyRange(wrong).has_value());
  }
}

TEST_CASE("encoded words in headers") {
  CHECK(EncodeHeaderText("plain text") == "plain text");
  CHECK(EncodeHeaderText("gr\xC3\xBC\xC3\x9F") == "=?UTF-8?B?Z3LDvMOf?=");
  CHECK(EncodeHeaderText("a\r\nb: c") == "=?UTF-8?B?YQ0KYjogYw==?=");
  CHECK(DecodeHeaderText("=?utf-8?b?Z3LDvMOf?=") == "gr\xC3\xBC\xC3\x9F");
  CHECK(DecodeHeaderText("=?UTF-8?Q?gr=C3=BC=C3=9F_an?=") == "gr\xC3\xBC\xC3\x9F an");
  CHECK(DecodeHeaderText("=?UTF-8?B?Z3I=?=  =?UTF-8?B?w7w=?= x") == "gr\xC3\xBC x");
  for (std::string_view kept :
       {"=?", "=?UTF-8?", "=?UTF-8?B?Z3I=", "=?ISO-8859-1?Q?a?=", "=?UTF-8?X?a?=", "=?UTF-8?B?*?=",
        "=?UTF-8?Q?=zz?=", "=?UTF-8?B?/w==?=", "a=b?"}) {
    INFO(kept);
    CHECK(DecodeHeaderText(kept) == kept);
  }
}

}  // namespace
}  // namespace strata::s3
