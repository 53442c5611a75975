// SPDX-License-Identifier: Apache-2.0
#include "strata/block/buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace strata::block {
namespace {

bool IsAligned(const Buffer& buffer, size_t alignment_bytes) {
  return reinterpret_cast<uintptr_t>(buffer.data()) % alignment_bytes == 0;
}

TEST_CASE("buffers of every size are aligned, zero-filled, and hold what is written to them") {
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{4095}, size_t{4096}, size_t{1} << 20, (size_t{2} << 20) - 1,
        size_t{2} << 20, (size_t{2} << 20) + 1, size_t{9} << 20}) {
    for (const size_t alignment : {size_t{512}, size_t{4096}, size_t{4} << 20}) {
      INFO(size << " bytes, aligned to " << alignment);
      Buffer buffer(size, alignment);
      REQUIRE(buffer.size() == size);
      REQUIRE(buffer.span().size() == size);
      if (size == 0) continue;
      REQUIRE(IsAligned(buffer, alignment));
      REQUIRE(std::ranges::all_of(buffer.span(), [](std::byte b) { return b == std::byte{0}; }));
      std::memset(buffer.data(), 7, size);
      const Buffer moved = std::move(buffer);
      REQUIRE(moved.span().back() == std::byte{7});
    }
  }
}

TEST_CASE("a large buffer goes back to the system as it is freed") {
  for (const size_t bytes : {size_t{256} << 10, size_t{8} << 20}) {
    void* at = nullptr;
    {
      const Buffer buffer(bytes);
      CHECK(IsAligned(buffer, bytes >= 2u << 20 ? 2u << 20 : 4096));
      at = buffer.data();
      CHECK(msync(at, bytes, MS_ASYNC) == 0);
    }
    CHECK(msync(at, bytes, MS_ASYNC) != 0);
    CHECK(errno == ENOMEM);
  }
}

}  // namespace
}  // namespace strata::block
