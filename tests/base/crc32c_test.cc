// SPDX-License-Identifier: Apache-2.0
#include "strata/base/crc32c.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string_view>
#include <vector>

#include "crc32c_kernels.h"
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

TEST_CASE("every kernel of this CPU agrees with the bitwise reference, from any register") {
  Random random(test::Seed());
  std::vector<std::byte> bytes(70000);
  random.Fill(bytes);
  for (const NamedCrc32cKernel* row = SupportedCrc32cKernels(); row->kernel != nullptr; ++row) {
    std::vector<size_t> sizes = {4096, 12288, 12289, 24576, 65535, 65536, 69000};
    for (size_t size = 0; size <= 1100; ++size) sizes.push_back(size);
    for (const size_t size : sizes) {
      const size_t offset = random.Uniform(64);
      const auto crc = static_cast<uint32_t>(random.Next64());
      const auto data = std::span(bytes).subspan(offset, size);
      uint32_t expected = crc;
      for (const std::byte byte : data) {
        expected ^= std::to_integer<uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit) {
          expected = (expected >> 1) ^ ((expected & 1) != 0 ? 0x82F63B78u : 0u);
        }
      }
      INFO("kernel " << row->name << ", offset " << offset << ", size " << size);
      REQUIRE(row->kernel(crc, reinterpret_cast<const uint8_t*>(data.data()), size) == expected);
    }
  }
}

TEST_CASE("combining the checksums of two parts gives that of the whole") {
  Random random(test::Seed());
  std::vector<std::byte> bytes(5000);
  random.Fill(bytes);
  const uint32_t whole = Crc32c(bytes);
  for (size_t split = 0; split <= bytes.size(); split += 1 + split / 16) {
    INFO("split at " << split);
    const auto second = std::span(bytes).subspan(split);
    REQUIRE(CombineCrc32c(Crc32c(std::span(bytes).first(split)), Crc32c(second), second.size()) ==
            whole);
  }
}

TEST_CASE("combining works for lengths that nobody has memory for") {
  // Zeros as the second part: halves of any length are combined from halves of halves.
  uint32_t zeros = Crc32c(Repeat(1, 0));  // Of 2^0 zeros.
  uint32_t all = Crc32c(Repeat(3, 0x5A));
  uint32_t step_by_step = all;
  for (int i = 0; i < 63; ++i) {
    step_by_step = CombineCrc32c(step_by_step, zeros, uint64_t{1} << i);
    zeros = CombineCrc32c(zeros, zeros, uint64_t{1} << i);
    INFO("2^" << i + 1 << " - 1 zeros");
    // `zeros` is now of 2^(i + 1); the sum of what was appended is 2^(i + 1) - 1.
    REQUIRE(CombineCrc32c(step_by_step, Crc32c(Repeat(1, 0)), 1) ==
            CombineCrc32c(all, zeros, uint64_t{1} << (i + 1)));
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
