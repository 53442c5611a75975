// SPDX-License-Identifier: Apache-2.0
#include "http/body_memory.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

namespace strata::s3 {
namespace {

constexpr size_t kFull = BodyMemory::kFullBytes;
constexpr size_t kMin = BodyMemory::kMinBytes;

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
    REQUIRE(held[i].bytes().size() == kMin);
    std::memset(held[i].bytes().data(), 0xFF, kMin);
  }
  CHECK(memory.Take(10).bytes().size() == 10);
  CHECK(memory.used_bytes() == 2 * kFull + 100 * kMin);
  CHECK_FALSE(memory.TryTake(1));  // Beyond the budget there is nothing but what Take() gives.
  held.clear();
  CHECK(memory.Take(kFull).bytes().size() == kFull);
}

TEST_CASE("what is not known to be somebody's takes a quarter of the budget at most") {
  BodyMemory memory(8 * kFull);
  std::vector<BodyMemory::Buffer> held;
  while (BodyMemory::Buffer buffer = memory.TryTake(kFull, BodyMemory::Use::kUnauthenticated)) {
    held.push_back(std::move(buffer));
  }
  CHECK(held.size() == 2);
  CHECK_FALSE(memory.TryClaim(1, BodyMemory::Use::kUnauthenticated));
  CHECK(memory.TryTake(kFull));
  held.clear();
  CHECK(memory.TryClaim(kFull, BodyMemory::Use::kUnauthenticated));
  CHECK(memory.used_bytes() == 0);
}

TEST_CASE("documents take half of the budget, and one may be of any size") {
  BodyMemory memory(8 * kFull);
  using Use = BodyMemory::Use;
  {
    const BodyMemory::Claim first = memory.TryClaim(3 * kFull, Use::kDocument);
    CHECK(first);
    CHECK_FALSE(memory.TryClaim(2 * kFull, Use::kDocument));
    CHECK(memory.TryClaim(kFull, Use::kDocument));
  }
  BodyMemory::Claim large = memory.TryClaim(20 * kFull, Use::kDocument);
  CHECK(large);
  CHECK_FALSE(memory.TryClaim(1, Use::kDocument));
  CHECK_FALSE(memory.TryTake(1));
  BodyMemory::Claim moved = std::move(large);
  CHECK_FALSE(large);  // NOLINT(bugprone-use-after-move): a moved claim is an empty one.
  CHECK(memory.used_bytes() == 20 * kFull);
  moved.Release();
  CHECK(memory.used_bytes() == 0);
  const BodyMemory::Claim there = memory.ForceClaim(9 * kFull, Use::kDocument);
  CHECK(memory.used_bytes() == 9 * kFull);
}

TEST_CASE("work waits for other work, and never for what only a client can end") {
  BodyMemory memory(4 * kFull);
  const BodyMemory::Claim content = memory.TryClaim(4 * kFull, BodyMemory::Use::kContent);
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < 8; ++i) {
    workers.emplace_back([&] {
      const BodyMemory::Claim work = memory.ClaimForWork(2 * kFull);
      const int count = ++now;
      if (count > most) most = count;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      --now;
    });
  }
  for (std::thread& worker : workers) worker.join();
  CHECK(most == 1);
}

}  // namespace
}  // namespace strata::s3
