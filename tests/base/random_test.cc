// SPDX-License-Identifier: Apache-2.0
#include "strata/base/random.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "strata/base/endian.h"
#include "support/seed.h"

namespace strata {
namespace {

// Golden values: a second implementation of SplitMix64 and xoshiro256**, itself checked against the
// authors' published sequences. Placement and simulations depend on them: they never change.
TEST_CASE("the sequence of a seed is fixed for ever") {
  Random zero(0);
  for (const uint64_t expected :
       {0x99EC5F36CB75F2B4u, 0xBF6E1F784956452Au, 0x1A5F849D4933E6E0u, 0x6AA594F1262D2D2Cu}) {
    CHECK(zero.Next64() == expected);
  }
  Random forty_two(42);
  for (const uint64_t expected :
       {0x15780B2E0C2EC716u, 0x6104D9866D113A7Eu, 0xAE17533239E499A1u, 0xECB8AD4703B360A1u}) {
    CHECK(forty_two.Next64() == expected);
  }
}

TEST_CASE("a copy goes its own way from the same place") {
  Random original(test::Seed());
  original.Next64();
  Random copy = original;
  const uint64_t next = original.Next64();
  original.Next64();
  CHECK(copy.Next64() == next);
}

TEST_CASE("Uniform stays below its bound and reaches every value evenly") {
  Random random(test::Seed());
  CHECK(random.Uniform(1) == 0);
  constexpr uint64_t kBound = 7;
  constexpr int kDraws = 70'000;
  std::array<int, kBound> counts{};
  for (int i = 0; i < kDraws; ++i) {
    const uint64_t value = random.Uniform(kBound);
    REQUIRE(value < kBound);
    ++counts[value];
  }
  for (const int count : counts) {
    CHECK(count > 9'000);  // Expected 10,000; more than ten standard deviations of room.
    CHECK(count < 11'000);
  }
}

TEST_CASE("Uniform takes bounds beyond 2^63") {
  Random random(test::Seed());
  constexpr uint64_t kBound = (uint64_t{1} << 63) + 1;
  bool upper_half = false;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t value = random.Uniform(kBound);
    REQUIRE(value < kBound);
    upper_half = upper_half || value >= kBound / 2;
  }
  CHECK(upper_half);
}

TEST_CASE("Chance is certain at the ends and near its probability between") {
  Random random(test::Seed());
  int hits = 0;
  for (int i = 0; i < 40'000; ++i) {
    REQUIRE_FALSE(random.Chance(0.0));
    REQUIRE(random.Chance(1.0));
    hits += random.Chance(0.25) ? 1 : 0;
  }
  CHECK(hits > 9'000);  // Expected 10,000; more than ten standard deviations of room.
  CHECK(hits < 11'000);
}

TEST_CASE("Fill writes the sequence's bytes, whatever the length, and nothing behind them") {
  const uint64_t seed = test::Seed();
  for (size_t size = 0; size <= 40; ++size) {
    std::vector<std::byte> expected(48);
    Random by_word(seed);
    for (size_t i = 0; i < size; i += 8) StoreLe64(expected.data() + i, by_word.Next64());
    std::fill(expected.begin() + static_cast<std::ptrdiff_t>(size), expected.end(), std::byte{0});
    std::vector<std::byte> filled(48);
    Random by_fill(seed);
    by_fill.Fill(std::span(filled).first(size));
    INFO("size " << size);
    REQUIRE(filled == expected);
    REQUIRE(by_fill.Next64() == by_word.Next64());
  }
}

TEST_CASE("secure bytes differ every time and fill large buffers to the end") {
  std::set<std::array<std::byte, 16>> seen;
  for (int i = 0; i < 100; ++i) {
    std::array<std::byte, 16> token{};
    REQUIRE(SecureRandomBytes(token).ok());
    REQUIRE(seen.insert(token).second);
  }
  std::vector<std::byte> large(1 << 20);
  REQUIRE(SecureRandomBytes(large).ok());
  const auto zeros = std::count(large.end() - 4096, large.end(), std::byte{0});
  CHECK(zeros < 200);  // Expected 16.
  CHECK(SecureRandomBytes({}).ok());
}

}  // namespace
}  // namespace strata
