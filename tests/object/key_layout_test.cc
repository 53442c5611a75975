// SPDX-License-Identifier: Apache-2.0
#include "records/key_layout.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "strata/base/hex.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::object {
namespace {

// Short strings over few bytes, those that escaping cares about among them.
std::string RandomKey(Random* random) {
  static constexpr char kBytes[] = {'\0', '\x01', '\x02', 'a', '\xFE', '\xFF'};
  std::string key(random->Uniform(6), '\0');
  for (char& c : key) c = kBytes[random->Uniform(sizeof(kBytes))];
  return key;
}

bool Holds(const kv::Range& range, const std::string& stored) {
  return stored >= range.begin && (range.end.empty() || stored < range.end);
}

TEST_CASE("Golden keys: docs/formats/object.md") {
  RecordId id;
  for (size_t i = 0; i < id.size(); ++i) id[i] = static_cast<char>(0xA0 + i);
  CHECK(ToHex(FormatKey()) == "46");
  CHECK(ToHex(UserKey("ada")) == "55616461");
  CHECK(ToHex(AccessKeyKey("AK")) == "4b414b");
  CHECK(ToHex(UserAccessKeyKey("ada", "AK")) == "6b61646100414b");
  CHECK(ToHex(BucketKey("b-1")) == "62622d31");
  CHECK(ToHex(BucketOfOwnerKey("ada", "b-1")) == "6f61646100622d31");
  CHECK(ToHex(CurrentKey(0x0102030405060708, std::string("a\0b", 3))) ==
        "63010203040506070861"
        "00ff"
        "62"
        "0001");
  CHECK(ToHex(OlderKey(0x0102030405060708, "a", 0x1112131415161718)) ==
        "76010203040506070861"
        "0001"
        "eeedecebeae9e8e7");
  CHECK(ToHex(ManifestKey(1, id)) == "6d0000000000000001a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
  CHECK(ToHex(UploadKey(1, "a", id)) ==
        "75000000000000000161"
        "0001"
        "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
  CHECK(ToHex(PartKey(1, id, 10000)) == "700000000000000001a0a1a2a3a4a5a6a7a8a9aaabacadaeaf2710");
  CHECK(ToHex(CompletedKey(1, id)) == "640000000000000001a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
  CHECK(ToHex(ReapKey(2, 3)) == "7200000000000000020000000000000003");
}

TEST_CASE("Stored keys keep the order of object keys, and parse back") {
  Random random(test::Seed());
  for (int round = 0; round < 20000; ++round) {
    const std::string a = RandomKey(&random), b = RandomKey(&random);
    const std::string stored_a = CurrentKey(7, a), stored_b = CurrentKey(7, b);
    INFO(ToHex(a) << " and " << ToHex(b));
    REQUIRE((a < b) == (stored_a < stored_b));
    REQUIRE((a == b) == (stored_a == stored_b));
    REQUIRE(ParseObjectKey(stored_a).value().key == a);
    REQUIRE((a.starts_with(b)) == Holds(PrefixRangeIn(Table::kCurrent, 7, b), stored_a));
    REQUIRE((a > b) == (stored_a >= BehindKey(Table::kCurrent, 7, b)));
    REQUIRE((a > b && !a.starts_with(b)) == (stored_a >= BehindPrefix(Table::kCurrent, 7, b)));
  }
}

TEST_CASE("Older versions lie behind one another, newest first, inside of their key's range") {
  Random random(test::Seed());
  for (int round = 0; round < 5000; ++round) {
    const std::string a = RandomKey(&random), b = RandomKey(&random);
    const uint64_t first = random.Next64() >> random.Uniform(60);
    const uint64_t second = random.Next64() >> random.Uniform(60);
    INFO(ToHex(a) << " and " << ToHex(b) << ", " << first << " and " << second);
    REQUIRE((first > second) == (OlderKey(7, a, first) < OlderKey(7, a, second)));
    REQUIRE(Holds(OlderRange(7, a), OlderKey(7, b, first)) == (a == b));
    if (a < b) REQUIRE(OlderKey(7, a, first) < OlderKey(7, b, second));
    const ParsedObjectKey parsed = ParseObjectKey(OlderKey(7, a, first)).value();
    REQUIRE(parsed.key == a);
    REQUIRE(SequenceOfSuffix(parsed.suffix) == first);
  }
}

TEST_CASE("Names end at the last zero byte; numbers come back") {
  CHECK(NameInKey(BucketKey("photos")) == "photos");
  CHECK(NameInKey(BucketOfOwnerKey("ada", "photos")) == "photos");
  CHECK(NameInKey(BucketOfOwnerKey("", "photos")) == "photos");
  CHECK(NameInKey(UserAccessKeyKey("ada", "KEY")) == "KEY");
  CHECK(PartNumberInKey(PartKey(1, RecordId{}, 9999)) == 9999);
  CHECK(DueTimeInKey(ReapKey(123456789, 5)) == 123456789);
  CHECK_FALSE(PartNumberInKey("p").has_value());
  CHECK_FALSE(DueTimeInKey("r").has_value());
}

TEST_CASE("Malformed stored keys are refused") {
  const std::string good = CurrentKey(7, "key");
  for (size_t size = 0; size < good.size(); ++size) {
    INFO("cut to " << size << " bytes");
    CHECK_FALSE(ParseObjectKey(std::string_view(good).substr(0, size)).has_value());
  }
  std::string bad = good;
  bad[bad.size() - 1] = '\x02';
  CHECK_FALSE(ParseObjectKey(bad).has_value());
}

TEST_CASE("Tables and buckets do not overlap") {
  CHECK_FALSE(Holds(BucketRange(Table::kCurrent, 1), CurrentKey(2, "")));
  CHECK(Holds(BucketRange(Table::kCurrent, 1), CurrentKey(1, "\xFF\xFF")));
  CHECK_FALSE(Holds(TableRange(Table::kBucket), CurrentKey(1, "a")));
  CHECK_FALSE(Holds(BucketOfOwnerRange("ad"), BucketOfOwnerKey("ada", "b")));
}

}  // namespace
}  // namespace strata::object
