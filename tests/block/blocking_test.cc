// SPDX-License-Identifier: Apache-2.0
//
// The calls that wait: transfers longer than a request, errors in the middle, a channel that others
// use too.
#include "strata/block/blocking.h"

#include <catch2/catch.hpp>
#include <deque>

#include "strata/block/devices.h"
#include "support/block/fault_device.h"
#include "support/block/test_io.h"
#include "support/seed.h"

namespace strata::block {
namespace {

std::unique_ptr<Channel> OpenChannel(Device& device, uint32_t queue_depth) {
  auto channel = device.OpenChannel({.queue_depth = queue_depth});
  REQUIRE(channel.ok());
  return *std::move(channel);
}

TEST_CASE("long transfers are cut into requests") {
  Random random(test::Seed());
  for (const uint32_t queue_depth : {1u, 3u, 64u}) {
    FaultDisk disk({.block_count = 1024, .max_transfer_bytes = 16384, .seed = random.Next64()});
    const auto device = disk.Open();
    const auto channel = OpenChannel(*device, queue_depth);
    const Buffer data = RandomBuffer(random, 101 * 4096);
    REQUIRE(WriteBlocking(*channel, Lba{7}, data.span()).ok());
    CHECK(disk.counts().writes == 26);
    Buffer read(data.size());
    REQUIRE(ReadBlocking(*channel, Lba{7}, read.span()).ok());
    CHECK(SameBytes(read.span(), data.span()));
  }
}

TEST_CASE("the first error ends a transfer and nothing stays in flight") {
  for (uint64_t nth = 1; nth <= 26; ++nth) {
    FaultDisk disk({.block_count = 1024, .max_transfer_bytes = 16384, .seed = test::Seed()});
    disk.Inject({.op = Op::kWrite, .nth = nth, .status = absl::ResourceExhaustedError("full")});
    const auto device = disk.Open();
    const auto channel = OpenChannel(*device, 8);
    Buffer data(101 * 4096);
    CHECK(WriteBlocking(*channel, Lba{0}, data.span()).code() ==
          absl::StatusCode::kResourceExhausted);
    CHECK(channel->in_flight() == 0);
    CHECK(disk.faults_fired() == 1);
  }
}

TEST_CASE("bad ranges are refused") {
  auto device = CreateMemoryDevice({.block_count = 64});
  REQUIRE(device.ok());
  const auto channel = OpenChannel(**device, 8);
  Buffer data(65 * 4096);
  CHECK(ReadBlocking(*channel, Lba{0}, data.span()).code() == absl::StatusCode::kOutOfRange);
  CHECK(ReadBlocking(*channel, Lba{0}, data.span().first(100)).code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(DiscardBlocking(*channel, Lba{1}, 64).code() == absl::StatusCode::kOutOfRange);
  CHECK(DiscardBlocking(*channel, Lba{0}, uint64_t{1} << 40).code() ==
        absl::StatusCode::kOutOfRange);
  CHECK(ReadBlocking(*channel, Lba{0}, {}).ok());
  CHECK(DiscardBlocking(*channel, Lba{0}, 0).ok());
  CHECK(channel->in_flight() == 0);
}

TEST_CASE("a queue filled by others is waited for") {
  auto device = CreateMemoryDevice({.block_count = 64});
  REQUIRE(device.ok());
  const auto channel = OpenChannel(**device, 2);
  Buffer data(4096);
  std::deque<TestIo> others;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 2; ++i) {
      TestIo& io = others.emplace_back(Op::kRead, Lba{0}, 1, std::vector{Whole(data)});
      REQUIRE(channel->Submit(&io.request).ok());
    }
    if (round == 0) {
      CHECK(FlushBlocking(*channel).ok());
    } else {
      CHECK(WriteBlocking(*channel, Lba{1}, data.span()).ok());
    }
  }
  Drain(*channel);
  for (const TestIo& io : others) CHECK(io.done_count == 1);
}

TEST_CASE("buffers are aligned and zero") {
  for (const size_t alignment : {512, 4096, 65536}) {
    const Buffer buffer(10'000, alignment);
    CHECK(reinterpret_cast<uintptr_t>(buffer.data()) % alignment == 0);
    CHECK(buffer.size() == 10'000);
    CHECK(AllZero(buffer.span()));
  }
  CHECK(Buffer().size() == 0);
  CHECK(Buffer(0).span().empty());
}

}  // namespace
}  // namespace strata::block
