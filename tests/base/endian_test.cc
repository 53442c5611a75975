// SPDX-License-Identifier: Apache-2.0
#include "strata/base/endian.h"

#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "strata/base/random.h"
#include "support/seed.h"

namespace strata {
namespace {

constexpr size_t kOffset = 3;  // Nothing here may rely on alignment.

std::vector<int> Bytes(const std::array<std::byte, 16>& memory, size_t count) {
  std::vector<int> out;
  for (size_t i = 0; i < count; ++i) out.push_back(std::to_integer<int>(memory[kOffset + i]));
  return out;
}

TEST_CASE("stores put the bytes in the stated order") {
  std::array<std::byte, 16> memory{};
  std::byte* at = memory.data() + kOffset;
  StoreLe16(at, 0x0102);
  CHECK(Bytes(memory, 2) == std::vector<int>{2, 1});
  StoreBe16(at, 0x0102);
  CHECK(Bytes(memory, 2) == std::vector<int>{1, 2});
  StoreLe32(at, 0x01020304);
  CHECK(Bytes(memory, 4) == std::vector<int>{4, 3, 2, 1});
  StoreBe32(at, 0x01020304);
  CHECK(Bytes(memory, 4) == std::vector<int>{1, 2, 3, 4});
  StoreLe64(at, 0x0102030405060708);
  CHECK(Bytes(memory, 8) == std::vector<int>{8, 7, 6, 5, 4, 3, 2, 1});
  StoreBe64(at, 0x0102030405060708);
  CHECK(Bytes(memory, 8) == std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_CASE("loads read the bytes in the stated order") {
  std::array<std::byte, 16> memory{};
  for (size_t i = 0; i < 8; ++i) memory[kOffset + i] = static_cast<std::byte>(0xF0 + i);
  const std::byte* at = memory.data() + kOffset;
  CHECK(LoadLe16(at) == 0xF1F0u);
  CHECK(LoadBe16(at) == 0xF0F1u);
  CHECK(LoadLe32(at) == 0xF3F2F1F0u);
  CHECK(LoadBe32(at) == 0xF0F1F2F3u);
  CHECK(LoadLe64(at) == 0xF7F6F5F4F3F2F1F0u);
  CHECK(LoadBe64(at) == 0xF0F1F2F3F4F5F6F7u);
}

TEST_CASE("a load gives back what was stored, and no other byte changes") {
  Random random(test::Seed());
  for (int round = 0; round < 1000; ++round) {
    std::array<std::byte, 16> memory{};
    std::byte* at = memory.data() + kOffset;
    const uint64_t value = random.Next64();
    StoreLe64(at, value);
    REQUIRE(LoadLe64(at) == value);
    StoreBe32(at, static_cast<uint32_t>(value));
    REQUIRE(LoadBe32(at) == static_cast<uint32_t>(value));
    StoreLe16(at, static_cast<uint16_t>(value));
    REQUIRE(LoadLe16(at) == static_cast<uint16_t>(value));
    for (size_t i = 0; i < memory.size(); ++i) {
      if (i < kOffset || i >= kOffset + 8) REQUIRE(memory[i] == std::byte{0});
    }
  }
}

}  // namespace
}  // namespace strata
