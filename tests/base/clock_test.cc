// SPDX-License-Identifier: Apache-2.0
#include "strata/base/clock.h"

#include <catch2/catch.hpp>
#include <ctime>

namespace strata {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

TEST_CASE("the wall clock counts from 1970") {
  const int64_t before = static_cast<int64_t>(std::time(nullptr)) - 1;
  const int64_t wall = SystemClock().WallNanos() / kNanosPerSecond;
  const int64_t after = static_cast<int64_t>(std::time(nullptr)) + 1;
  CHECK(wall >= before);
  CHECK(wall <= after);
}

TEST_CASE("the monotonic clock never goes back, and goes on") {
  const Clock& clock = SystemClock();
  const int64_t start = clock.MonotonicNanos();
  int64_t last = start;
  while (last == start) last = clock.MonotonicNanos();
  for (int i = 0; i < 10'000; ++i) {
    const int64_t now = clock.MonotonicNanos();
    REQUIRE(now >= last);
    last = now;
  }
}

TEST_CASE("there is one system clock") { CHECK(&SystemClock() == &SystemClock()); }

}  // namespace
}  // namespace strata
