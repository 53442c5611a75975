// SPDX-License-Identifier: Apache-2.0
#include "records/names.h"

#include <catch2/catch.hpp>
#include <string>

#include "strata/object/error.h"

namespace strata::object {
namespace {

TEST_CASE("Bucket names") {
  for (const char* good :
       {"abc", "a-b", "a.b", "my-bucket.2024", "123", "1.2.3", "1.2.3.4a", "xn-a",
        "a234567890123456789012345678901234567890123456789012345678901bc"}) {
    INFO(good);
    CHECK(CheckBucketName(good).ok());
  }
  for (const char* bad : {"",
                          "ab",
                          "Abc",
                          "a_b",
                          "-abc",
                          "abc-",
                          ".abc",
                          "abc.",
                          "a..b",
                          "a.-b",
                          "a-.b",
                          "192.168.5.4",
                          "xn--abc",
                          "sthree-abc",
                          "abc-s3alias",
                          "abc--ol-s3",
                          "a b",
                          "a/b",
                          "ab\xC3\xA9",
                          "a2345678901234567890123456789012345678901234567890123456789012bc"}) {
    INFO(bad);
    CHECK(ReasonOf(CheckBucketName(bad)) == Reason::kInvalidBucketName);
  }
}

TEST_CASE("Object keys are UTF-8 of 1 to 1024 bytes") {
  for (const std::string& good :
       {std::string("a"), std::string(1024, 'k'), std::string("\0", 1), std::string("/"),
        std::string("\xC3\xA9"), std::string("\xE2\x82\xAC"), std::string("\xF0\x9F\x98\x80"),
        std::string("\xED\x9F\xBF"), std::string("\xF4\x8F\xBF\xBF")}) {
    CHECK(CheckObjectKey(good).ok());
  }
  for (const std::string& bad :
       {std::string(""), std::string("\x80"), std::string("\xC0\x80"), std::string("\xE0\x80\x80"),
        std::string("\xED\xA0\x80"), std::string("\xF4\x90\x80\x80"),
        std::string("\xF5\x80\x80\x80"), std::string("a\xC3"), std::string("\xFF"),
        std::string("\xE2\x82")}) {
    CHECK(ReasonOf(CheckObjectKey(bad)) == Reason::kInvalidArgument);
  }
  CHECK(ReasonOf(CheckObjectKey(std::string(1025, 'k'))) == Reason::kKeyTooLong);
}

TEST_CASE("User ids and access keys") {
  CHECK(CheckUserId("ada.lovelace_1@example-x").ok());
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a/b"),
                                 std::string("a\0b", 3), std::string(65, 'u')}) {
    CHECK(ReasonOf(CheckUserId(bad)) == Reason::kInvalidArgument);
  }
  CHECK(CheckOwner("").ok());
  CHECK(CheckAccessKey({"AKIA1", "secret-of-8", "ada"}).ok());
  CHECK_FALSE(CheckAccessKey({"AK", "secret-of-8", "ada"}).ok());
  CHECK_FALSE(CheckAccessKey({"AKIA/1", "secret-of-8", "ada"}).ok());
  CHECK_FALSE(CheckAccessKey({"AKIA1", "short", "ada"}).ok());
  CHECK_FALSE(CheckAccessKey({"AKIA1", "secret-of-8", ""}).ok());
}

TEST_CASE("Metadata has limits, and holds nothing that would break a header") {
  Metadata metadata;
  metadata.user = {{"name", std::string(2044, 'v')}};
  CHECK(CheckMetadata(metadata).ok());
  metadata.user = {{"name", std::string(2045, 'v')}};
  CHECK(ReasonOf(CheckMetadata(metadata)) == Reason::kMetadataTooLarge);
  metadata.user.clear();
  metadata.cache_control = std::string(8193, 'c');
  CHECK(ReasonOf(CheckMetadata(metadata)) == Reason::kMetadataTooLarge);
  metadata.cache_control = "no-cache\r\nx-evil: 1";
  CHECK(ReasonOf(CheckMetadata(metadata)) == Reason::kInvalidArgument);
  metadata.cache_control.clear();
  metadata.user = {{"a", "b\nc"}};
  CHECK(ReasonOf(CheckMetadata(metadata)) == Reason::kInvalidArgument);
  metadata.user = {{"", "b"}};
  CHECK(ReasonOf(CheckMetadata(metadata)) == Reason::kInvalidArgument);
  metadata.user.clear();

  for (int i = 0; i < 10; ++i) metadata.tags["tag" + std::to_string(i)] = "v";
  CHECK(CheckMetadata(metadata).ok());
  metadata.tags["tag10"] = "v";
  CHECK(ReasonOf(CheckMetadata(metadata)) == Reason::kInvalidArgument);
  metadata.tags = {{std::string(129, 'k'), ""}};
  CHECK(ReasonOf(CheckMetadata(metadata)) == Reason::kInvalidArgument);
  metadata.tags = {{"k", std::string(257, 'v')}};
  CHECK(ReasonOf(CheckMetadata(metadata)) == Reason::kInvalidArgument);
}

}  // namespace
}  // namespace strata::object
