// SPDX-License-Identifier: Apache-2.0
#include "strata/base/log.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

namespace strata {
namespace {

TEST_CASE("an empty sink is silence") { CHECK_NOTHROW(Log({}, LogLevel::kError, "nobody")); }

TEST_CASE("a sink gets each line with its level, in order") {
  std::vector<std::pair<LogLevel, std::string>> lines;
  const LogSink sink = [&](LogLevel level, std::string_view line) {
    lines.emplace_back(level, line);
  };
  Log(sink, LogLevel::kInfo, "opened");
  Log(sink, LogLevel::kWarning, "without O_DIRECT");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == std::pair(LogLevel::kInfo, std::string("opened")));
  CHECK(lines[1] == std::pair(LogLevel::kWarning, std::string("without O_DIRECT")));
}

TEST_CASE("what a client chose forges no line and drives no terminal") {
  std::string got;
  const LogSink sink = [&got](LogLevel /*level*/, std::string_view line) { got = line; };
  Log(sink, LogLevel::kInfo, "GET /a\n2026-01-01 error forged\r\033[2J\x7f\t");
  CHECK(got == "GET /a\\x0a2026-01-01 error forged\\x0d\\x1b[2J\\x7f\\x09");
  // UTF-8 stays; C1 controls, overlong forms and stray bytes do not.
  CHECK(LogLine("\xc3\xa4 \xe2\x82\xac \xf0\x9f\xa6\x80") ==
        "\xc3\xa4 \xe2\x82\xac \xf0\x9f\xa6\x80");
  CHECK(LogLine("\xc2\x9b") == "\\xc2\\x9b");
  CHECK(LogLine("\xc0\x8a") == "\\xc0\\x8a");
  CHECK(LogLine("\xe0\x80\x8a|\xc3") == "\\xe0\\x80\\x8a|\\xc3");
  CHECK(LogLine(std::string_view("\0", 1)) == "\\x00");
}

TEST_CASE("a very long line is cut and says so") {
  const std::string line = LogLine(std::string(1 << 20, 'a'));
  CHECK(line.size() < 10'000);
  CHECK(std::string_view(line).ends_with("aaa... (1048576 bytes)"));
}

}  // namespace
}  // namespace strata
