// SPDX-License-Identifier: Apache-2.0
#include "body_memory.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <utility>
#include <vector>

namespace strata::s3 {
namespace {

constexpr size_t kFull = BodyMemory::kFullBytes;
constexpr size_t kLeast = BodyMemory::kLeastBytes;

TEST_CASE("buffers come out of the budget and go back into it") {
  BodyMemory memory(2 * kFull);
  BodyMemory::Buffer first = memory.TryTake(kFull);
  BodyMemory::Buffer second = memory.TryTake(100);
  CHECK(first.bytes().size() == kFull);
  CHECK(second.bytes().size() == 100);
  CHECK(memory.used_bytes() == kFull + 100);
  CHECK_FALSE(memory.TryTake(kFull));
  second = {};
  CHECK(memory.TryTake(kFull));
  BodyMemory::Buffer moved = std::move(first);
  CHECK_FALSE(first);  // NOLINT(bugprone-use-after-move): a moved buffer is an empty one.
  CHECK(memory.used_bytes() == kFull);
  moved = {};
  CHECK(memory.used_bytes() == 0);
}

TEST_CASE("a used-up budget leaves everybody a small buffer") {
  BodyMemory memory(2 * kFull);
  std::vector<BodyMemory::Buffer> held;
  held.push_back(memory.Take(kFull));
  held.push_back(memory.Take(kFull));
  for (int connection = 0; connection < 100; ++connection) held.push_back(memory.Take(kFull));
  for (size_t i = 2; i < held.size(); ++i) {
    REQUIRE(held[i].bytes().size() == kLeast);
    std::memset(held[i].bytes().data(), 0xFF, kLeast);
  }
  CHECK(memory.Take(10).bytes().size() == 10);
  CHECK(memory.used_bytes() == 2 * kFull + 100 * kLeast);
  CHECK_FALSE(memory.TryTake(1));  // Beyond the budget there is nothing but what Take() gives.
  held.clear();
  CHECK(memory.Take(kFull).bytes().size() == kFull);
}

}  // namespace
}  // namespace strata::s3
