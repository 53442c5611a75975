// SPDX-License-Identifier: Apache-2.0
//
// The data path allocates nothing: every operator new of this process is counted.
#include <catch2/catch.hpp>

#include "strata/block/devices.h"
#include "support/block/temp_file.h"
#include "support/block/test_io.h"
#include "support/counted_allocations.h"
#include "support/seed.h"

namespace strata::block {
namespace {

// Runs `count` requests of every kind, 16 in flight, and returns how many allocations they took.
uint64_t AllocationsOf(Device& device, int count) {
  auto channel = device.OpenChannel({.queue_depth = 32});
  REQUIRE(channel.ok());
  const uint32_t block_bytes = device.geometry().block_size_bytes;
  Buffer pool(64 * block_bytes);
  [[maybe_unused]] const absl::Status registered = (*channel)->RegisterMemory(pool.span());
  REQUIRE((*channel)->EventFd().ok());
  Random random(test::Seed());
  const Op ops[] = {Op::kRead,    Op::kWrite,       Op::kFlush,
                    Op::kDiscard, Op::kWriteZeroes, Op::kCompare};
  Segment segments[16][2];
  Request requests[16];
  int failed = 0;
  const auto run = [&](int batches) {
    for (int batch = 0; batch < batches; ++batch) {
      for (int i = 0; i < 16; ++i) {
        const size_t at = static_cast<size_t>(i) * 4 * block_bytes;
        segments[i][0] = Piece(pool, at, block_bytes);
        segments[i][1] = Piece(pool, at + block_bytes, 2 * block_bytes);
        Request& request = requests[i];
        request = Request{};
        // Blocks 512 and up are zero, like the pool: compares of them succeed.
        request.op = ops[static_cast<size_t>(i) % std::size(ops)];
        request.context = &failed;
        request.done = [](Request* r) { *static_cast<int*>(r->context) += r->status.ok() ? 0 : 1; };
        if (request.op != Op::kFlush) {
          const bool has_data =
              request.op == Op::kRead || request.op == Op::kWrite || request.op == Op::kCompare;
          request.lba = Lba{(request.op == Op::kCompare ? 512 : 0) + random.Uniform(500)};
          request.block_count = 3;
          if (has_data) request.segments = segments[i];
        }
        if (!(*channel)->Submit(&request).ok()) ++failed;
      }
      Drain(**channel);
    }
  };
  run(1);  // The first compare makes its scratch memory.
  const uint64_t before = allocation_count.load();
  run(count / 16);
  const uint64_t after = allocation_count.load();
  CHECK(failed == 0);
  return after - before;
}

TEST_CASE("the counter counts") {
  const uint64_t before = allocation_count.load();
  delete new int(1);
  CHECK(allocation_count.load() > before);
}

TEST_CASE("requests allocate nothing") {
  SECTION("memory") {
    auto device = CreateMemoryDevice({.block_count = 2048});
    REQUIRE(device.ok());
    CHECK(AllocationsOf(**device, 10'000) == 0);
  }
  SECTION("null") {
    auto device = CreateNullDevice({.block_count = 2048});
    REQUIRE(device.ok());
    CHECK(AllocationsOf(**device, 10'000) == 0);
  }
  SECTION("file") {
    for (const bool direct : {true, false}) {
      for (const bool use_io_uring : {true, false}) {
        INFO("direct " << direct << ", io_uring " << use_io_uring);
        TempFile file;
        auto device = OpenFileDevice({.path = file.path(),
                                      .size_bytes = 8 << 20,
                                      .create = true,
                                      .direct = direct,
                                      .use_io_uring = use_io_uring});
        REQUIRE(device.ok());
        CHECK(AllocationsOf(**device, 1600) == 0);
      }
    }
  }
  SECTION("delay") {
    auto base = CreateMemoryDevice({.block_count = 2048});
    REQUIRE(base.ok());
    auto device = CreateDelayDevice(*std::move(base), {.read_ns = 1000, .write_ns = 2000});
    REQUIRE(device.ok());
    CHECK(AllocationsOf(**device, 10'000) == 0);
  }
}

}  // namespace
}  // namespace strata::block
