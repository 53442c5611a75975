// SPDX-License-Identifier: Apache-2.0
#include "reading/read_buffers.h"

#include <catch2/catch.hpp>
#include <utility>
#include <vector>

namespace strata::dedup {

constexpr size_t kKiB = 1024;

TEST_CASE("a buffer that was given back serves the next read of about its size") {
  ReadBuffers buffers(4096);
  block::Buffer first = buffers.Take(300 * kKiB);
  CHECK(first.size() >= 300 * kKiB);
  const std::byte* const at = first.data();
  buffers.GiveBack(std::move(first));
  CHECK(buffers.idle_bytes() == 512 * kKiB);
  const block::Buffer larger = buffers.Take(600 * kKiB);
  CHECK(larger.size() >= 600 * kKiB);
  const block::Buffer small = buffers.Take(4 * kKiB);
  CHECK(small.size() == 4 * kKiB);
  const block::Buffer much_smaller = buffers.Take(256 * kKiB);
  CHECK(much_smaller.data() != at);
  const block::Buffer again = buffers.Take(512 * kKiB);
  CHECK(again.data() == at);
  CHECK(buffers.idle_bytes() == 0);
}

TEST_CASE("idle read buffers take a bounded room") {
  ReadBuffers buffers(4096);
  std::vector<block::Buffer> taken;
  for (size_t i = 0; i < 64; ++i) taken.push_back(buffers.Take((256 + 32 * i) * kKiB));
  for (block::Buffer& buffer : taken) {
    buffers.GiveBack(std::move(buffer));
    CHECK(buffers.idle_bytes() <= ReadBuffers::kMaxIdleBytes);
  }
  CHECK(buffers.idle_bytes() > ReadBuffers::kMaxIdleBytes / 2);
  const size_t before = buffers.idle_bytes();
  buffers.GiveBack(buffers.Take(4 * kKiB));
  buffers.GiveBack(buffers.Take(32u << 20));
  CHECK(buffers.idle_bytes() == before);
}

}  // namespace strata::dedup
