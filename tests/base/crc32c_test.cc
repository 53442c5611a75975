// SPDX-License-Identifier: Apache-2.0
#include "strata/base/crc32c.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string_view>
#include <vector>

#include "strata/base/random.h"
#include "support/seed.h"

namespace strata {
namespace {

std::vector<std::byte> Repeat(size_t count, uint8_t value) {
  return std::vector<std::byte>(count, std::byte{value});
}

// One bit at a time, straight from the polynomial.
uint32_t SlowCrc32c(std::span<const std::byte> data) {
  uint32_t crc = ~uint32_t{0};
  for (const std::byte byte : data) {
    crc ^= std::to_integer<uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
  }
  return ~crc;
}

TEST_CASE("the check value of the nine digits") {
  CHECK(Crc32c(std::as_bytes(std::span(std::string_view("123456789")))) == 0xE3069283u);
}

TEST_CASE("the checksum of nothing is zero") { CHECK(Crc32c({}) == 0u); }

TEST_CASE("the vectors of RFC 3720, B.4") {
  CHECK(Crc32c(Repeat(32, 0x00)) == 0x8A9136AAu);
  CHECK(Crc32c(Repeat(32, 0xFF)) == 0x62A8AB43u);
  std::vector<std::byte> counted(32);
  for (size_t i = 0; i < counted.size(); ++i) counted[i] = static_cast<std::byte>(i);
  CHECK(Crc32c(counted) == 0x46DD794Eu);
  for (size_t i = 0; i < counted.size(); ++i) counted[i] = static_cast<std::byte>(31 - i);
  CHECK(Crc32c(counted) == 0x113FDB5Cu);
}

TEST_CASE("every length and alignment agrees with the bitwise reference") {
  Random random(test::Seed());
  std::vector<std::byte> bytes(1100);
  random.Fill(bytes);
  for (size_t offset = 0; offset < 16; ++offset) {
    for (size_t size = 0; size <= 1024; size += 1 + size / 64) {
      const auto data = std::span(bytes).subspan(offset, size);
      INFO("offset " << offset << ", size " << size);
      REQUIRE(Crc32c(data) == SlowCrc32c(data));
    }
  }
}

TEST_CASE("extending over any split gives the checksum of the whole") {
  Random random(test::Seed());
  std::vector<std::byte> bytes(777);
  random.Fill(bytes);
  const uint32_t whole = Crc32c(bytes);
  for (size_t split = 0; split <= bytes.size(); ++split) {
    INFO("split at " << split);
    REQUIRE(ExtendCrc32c(Crc32c(std::span(bytes).first(split)), std::span(bytes).subspan(split)) ==
            whole);
  }
}

}  // namespace
}  // namespace strata
