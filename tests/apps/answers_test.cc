// SPDX-License-Identifier: Apache-2.0
#include "strata/answers.h"

#include <catch2/catch.hpp>

#include "strata/progress_line.h"

namespace strata::appliance {
namespace {

TEST_CASE("sizes in the unit that fits") {
  CHECK(FormatSize(0) == "0 B");
  CHECK(FormatSize(1023) == "1023 B");
  CHECK(FormatSize(1024) == "1.0 KiB");
  CHECK(FormatSize(1536u << 10) == "1.5 MiB");
  CHECK(FormatSize(~uint64_t{0}) == "16.0 EiB");
}

TEST_CASE("tables are aligned, numbers to the right") {
  const Json usage = {{"buckets",
                       {{{"name", "a"}, {"objects", 1}, {"versions", 20}, {"logical_bytes", 1024}},
                        {{"name", "long-name"}, {"objects", 300}, {"versions", 4}}}}};
  CHECK(FormatAnswer("bucket.usage", usage) ==
        "BUCKET     OBJECTS  VERSIONS  LOGICAL  NEW  STORED\n"
        "a                1        20  1.0 KiB  0 B     0 B\n"
        "long-name      300         4      0 B  0 B     0 B\n");
}

TEST_CASE("a verification names what is lost") {
  Json report = {{"damaged", false}, {"streams_checked", 3}};
  CHECK_THAT(FormatAnswer("verify", report), Catch::EndsWith("no damage\n"));
  report["damaged"] = true;
  report["container_damage"] = {"container 7, region at 4096: checksum"};
  report["streams"] = Json::array();
  report["objects"] = {{{"bucket", "b"}, {"key", "k"}, {"version_id", "null"}, {"size_bytes", 5}}};
  CHECK_THAT(FormatAnswer("verify", report),
             Catch::Contains("container 7, region at 4096: checksum") &&
                 Catch::Contains("b/k, version null") && !Catch::Contains("no damage"));
}

TEST_CASE("progress") {
  CHECK(FormatProgress({"marking", 5, 0}) == "marking  5");
  CHECK(FormatProgress({"reading", 1, 2}) ==
        "[###############               ]  50 %  reading  1 of 2");
  CHECK_THAT(FormatProgress({"reading", 3, 2}), Catch::Contains("100 %"));
}

}  // namespace
}  // namespace strata::appliance
