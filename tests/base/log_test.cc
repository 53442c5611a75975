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

}  // namespace
}  // namespace strata
