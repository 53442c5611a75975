// SPDX-License-Identifier: Apache-2.0
#include "command_line/answers.h"
#include "appliance/json.h"

#include <catch2/catch.hpp>

#include "command_line/ofs/ofs_answers.h"
#include "command_line/progress_line.h"

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

TEST_CASE("a check of a filesystem names what is wrong, and says how much more there is") {
  Json answer = {{"inodes", 3},
                 {"names", 2},
                 {"findings",
                  {{{"kind", "row"}, {"text", "group 1: bad"}, {"warning", false}},
                   {{"kind", "degraded"}, {"text", "group 2"}, {"warning", true}}}},
                 {"counts", {{"row", 1}, {"degraded", 5}}},
                 {"unended_sessions", 1},
                 {"unsealed_groups", 2},
                 {"damaged", true}};
  CHECK(FormatOfsAnswer("ofs.check", answer) ==
        "3 inodes, 2 names, 0 extents, 0 groups, 0 stripes, 0 B read\n"
        "row: group 1: bad\n"
        "warning: degraded: group 2\n"
        "and 4 more\n"
        "a session did not end: it left 2 groups open, which the next one closes\n"
        "something is wrong\n");
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
  CHECK(FormatProgress({"marking", 1, 2}) ==
        "[###############               ]  50 %  marking  1 of 2");
  CHECK_THAT(FormatProgress({"reading", 3, 2}), Catch::Contains("100 %"));
  CHECK_THAT(FormatProgress({"ingesting", 1u << 30, uint64_t{3} << 30}, 2),
             Catch::EndsWith("ingesting  1.0 GiB of 3.0 GiB  512.0 MiB/s  4 s left"));
  CHECK_THAT(FormatProgress({"sweep", 10, 1010}, 60),
             Catch::EndsWith("10 of 1010  1 h 40 min left"));
  CHECK_THAT(FormatProgress({"sweep", 1010, 1010}, 60), Catch::EndsWith("1010 of 1010"));
  CHECK(FormatProgress({"ingesting", 4u << 20, 0}, 4) == "ingesting  4.0 MiB  1.0 MiB/s");
}

}  // namespace
}  // namespace strata::appliance
