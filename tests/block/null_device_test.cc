// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cstring>
#include <deque>

#include "strata/block/blocking.h"
#include "strata/block/devices.h"
#include "support/block/test_io.h"

namespace strata::block {
namespace {

TEST_CASE("the null device completes everything and touches nothing") {
  auto created = CreateNullDevice({.block_count = 1024});
  REQUIRE(created.ok());
  auto opened = (*created)->OpenChannel({.queue_depth = 4});
  REQUIRE(opened.ok());
  Channel& channel = **opened;
  Buffer buffer(4096);
  std::memset(buffer.data(), 0x5a, buffer.size());
  for (const Op op : {Op::kRead, Op::kWrite, Op::kCompare}) {
    TestIo io(op, Lba{1023}, 1, {Whole(buffer)});
    CHECK(RunIo(channel, io).ok());
    CHECK(io.done_count == 1);
  }
  CHECK(buffer.data()[0] == std::byte{0x5a});
  CHECK(buffer.data()[4095] == std::byte{0x5a});
  CHECK(FlushBlocking(channel).ok());
  CHECK(DiscardBlocking(channel, Lba{0}, 1024).ok());
  CHECK(WriteZeroesBlocking(channel, Lba{0}, 1024).ok());
  CHECK(ReadBlocking(channel, Lba{1024}, buffer.span()).code() == absl::StatusCode::kOutOfRange);

  std::deque<TestIo> ios;
  for (uint32_t i = 0; i < 5; ++i) {
    ios.emplace_back(Op::kRead, Lba{i}, 1, std::vector{Whole(buffer)});
  }
  for (int i = 0; i < 4; ++i) REQUIRE(channel.Submit(&ios[i].request).ok());
  CHECK(channel.Submit(&ios[4].request).code() == absl::StatusCode::kResourceExhausted);
  Drain(channel);
  CHECK(ios[4].done_count == 0);
}

TEST_CASE("the null device checks its options") {
  using Code = absl::StatusCode;
  CHECK(CreateNullDevice({}).status().code() == Code::kInvalidArgument);
  CHECK(CreateNullDevice({.block_count = 1, .block_size_bytes = 1000}).status().code() ==
        Code::kInvalidArgument);
  CHECK(CreateNullDevice({.block_count = ~uint64_t{0}}).status().code() == Code::kInvalidArgument);
  CHECK((*CreateNullDevice({.block_count = 1}))->OpenChannel({.queue_depth = 0}).status().code() ==
        Code::kInvalidArgument);
}

}  // namespace
}  // namespace strata::block
