// SPDX-License-Identifier: Apache-2.0
//
// The device that stands between a namespace and its disk while the disk is closed and opened
// again.
#include <poll.h>

#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <thread>

#include "appliance/nvme/held_device.h"
#include "strata/block/devices.h"
#include "support/block/device_contract.h"
#include "support/block/owned_device.h"
#include "support/block/test_io.h"

namespace strata::appliance {
namespace {

using block::Buffer;
using block::Channel;
using block::Device;
using block::Lba;
using block::Op;
using block::RunIo;
using block::TestIo;
using block::Whole;

std::unique_ptr<Device> MakeMemory() {
  return block::CreateMemoryDevice({.block_count = 2048}).value();
}

std::unique_ptr<Device> MakeContinued() {
  std::shared_ptr<Device> memory = MakeMemory();
  auto held = HeldDevice::Create(memory->geometry(), "held");
  held->Continue(std::move(memory));
  // A unique owner for the contract suite, around what is shared here.
  return std::make_unique<block::OwnedDevice>(nullptr, std::move(held));
}

TEST_CASE("the block device contract, through the holding device") {
  for (const block::ContractPart& part : block::DeviceContract()) {
    DYNAMIC_SECTION(part.name) { part.run({"held", MakeContinued}); }
  }
}

TEST_CASE("held requests go to the device that comes, and wake those who sleep") {
  const auto held = HeldDevice::Create(block::Geometry{.block_count = 64}, "held");
  std::unique_ptr<Channel> channel = held->OpenChannel({.queue_depth = 4}).value();
  const int fd = channel->EventFd().value();
  Random random(1);
  Buffer buffer = block::RandomBuffer(random, 4096);
  TestIo write(Op::kWrite, Lba{7}, 1, {Whole(buffer)});
  REQUIRE(channel->Submit(&write.request).ok());
  CHECK(channel->Poll(8) == 0);
  pollfd sleeper{.fd = fd, .events = POLLIN, .revents = 0};
  CHECK(poll(&sleeper, 1, 0) == 0);
  CHECK(channel->in_flight() == 1);

  std::shared_ptr<Device> memory = MakeMemory();
  std::thread continues([&] { held->Continue(memory); });
  CHECK(poll(&sleeper, 1, -1) == 1);
  continues.join();
  while (write.done_count == 0) {
    channel->Poll(8);
    if (write.done_count == 0) poll(&sleeper, 1, -1);
  }
  CHECK(write.request.status == absl::OkStatus());
  CHECK(channel->in_flight() == 0);
  Buffer back(4096);
  std::unique_ptr<Channel> direct = memory->OpenChannel({}).value();
  REQUIRE(block::ReadBlocking(*direct, Lba{7}, back.span()).ok());
  CHECK(block::SameBytes(buffer.span(), back.span()));
  channel->Poll(8);
  CHECK(poll(&sleeper, 1, 0) == 0);  // Nobody who sleeps is woken for nothing.
}

TEST_CASE("held requests end with the error when no device comes") {
  const auto held = HeldDevice::Create(block::Geometry{.block_count = 64}, "held");
  std::unique_ptr<Channel> channel = held->OpenChannel({.queue_depth = 2}).value();
  std::deque<TestIo> ios;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(channel->Submit(&ios.emplace_back(Op::kFlush, Lba{0}, 0).request).ok());
  }
  TestIo one_more(Op::kFlush, Lba{0}, 0);
  CHECK(absl::IsResourceExhausted(channel->Submit(&one_more.request)));
  held->Continue(absl::UnavailableError("no disk"));
  Drain(*channel);
  for (const TestIo& io : ios) CHECK(absl::IsUnavailable(io.request.status));
  CHECK(absl::IsUnavailable(RunIo(*channel, one_more)));
}

TEST_CASE("a request beyond the end of a smaller successor fails alone") {
  const auto held = HeldDevice::Create(block::Geometry{.block_count = 64}, "held");
  std::unique_ptr<Channel> channel = held->OpenChannel({}).value();
  TestIo beyond(Op::kDiscard, Lba{60}, 1);
  TestIo within(Op::kWriteZeroes, Lba{0}, 1);
  REQUIRE(channel->Submit(&within.request).ok());
  std::shared_ptr<Device> small = block::CreateMemoryDevice({.block_count = 8}).value();
  Buffer buffer(4096);
  TestIo read(Op::kRead, Lba{63}, 1, {Whole(buffer)});
  REQUIRE(channel->Submit(&read.request).ok());
  held->Continue(small);
  Drain(*channel);
  CHECK(within.request.status == absl::OkStatus());
  CHECK(absl::IsOutOfRange(read.request.status));
}

}  // namespace
}  // namespace strata::appliance
