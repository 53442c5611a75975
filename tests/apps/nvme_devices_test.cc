// SPDX-License-Identifier: Apache-2.0
//
// The devices that stand between a namespace and its disk: one that counts, and one that holds
// requests while the disk is closed and opened again.
#include <poll.h>

#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <thread>

#include "appliance/nvme/counted_device.h"
#include "appliance/nvme/held_device.h"
#include "strata/block/devices.h"
#include "support/block/device_contract.h"
#include "support/block/fault_device.h"
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

// Time stands still but for Advance().
class TestClock final : public Clock {
 public:
  int64_t WallNanos() const override { return now_ns_; }
  int64_t MonotonicNanos() const override { return now_ns_; }
  void Advance(int64_t ns) { now_ns_ += ns; }

 private:
  int64_t now_ns_ = 1;
};

std::unique_ptr<Device> MakeMemory() {
  return block::CreateMemoryDevice({.block_count = 2048}).value();
}

std::unique_ptr<Device> MakeContinued() {
  std::shared_ptr<Device> memory = MakeMemory();
  // A unique owner for the contract suite, around what is shared here.
  class Owner final : public Device {
   public:
    explicit Owner(std::shared_ptr<HeldDevice> held) : held_(std::move(held)) {}
    const block::Geometry& geometry() const override { return held_->geometry(); }
    std::string name() const override { return held_->name(); }
    absl::StatusOr<std::unique_ptr<Channel>> OpenChannel(
        const block::ChannelOptions& options) override {
      return held_->OpenChannel(options);
    }

   private:
    const std::shared_ptr<HeldDevice> held_;
  };
  auto held = HeldDevice::Create(memory->geometry(), "held");
  held->Continue(std::move(memory));
  return std::make_unique<Owner>(std::move(held));
}

TEST_CASE("the block device contract, through the counting and the holding device") {
  const auto counted = [] { return CountDevice(MakeMemory(), std::make_shared<DeviceCounters>()); };
  for (const block::ContractPart& part : block::DeviceContract()) {
    DYNAMIC_SECTION("counted: " << part.name) { part.run({"counted", counted}); }
    DYNAMIC_SECTION("held: " << part.name) { part.run({"held", MakeContinued}); }
  }
}

TEST_CASE("requests are counted by kind, with bytes, errors and latencies") {
  TestClock clock;
  block::FaultDisk disk({.block_count = 64});
  auto counters = std::make_shared<DeviceCounters>();
  const std::unique_ptr<Device> device = CountDevice(disk.Open(), counters, clock);
  std::unique_ptr<Channel> channel = device->OpenChannel({}).value();
  Buffer buffer(8192);

  TestIo write(Op::kWrite, Lba{0}, 2, {Whole(buffer)});
  REQUIRE(channel->Submit(&write.request).ok());
  clock.Advance(3'000'000);
  Drain(*channel);
  TestIo read(Op::kRead, Lba{0}, 2, {Whole(buffer)});
  REQUIRE(RunIo(*channel, read).ok());
  TestIo flush(Op::kFlush, Lba{0}, 0);
  REQUIRE(RunIo(*channel, flush).ok());
  disk.Inject({.op = Op::kRead});
  TestIo failed(Op::kRead, Lba{0}, 2, {Whole(buffer)});
  REQUIRE(!RunIo(*channel, failed).ok());

  const auto check = [&counters] {
    const DeviceFigures figures = counters->Read();
    const IoFigures& writes = figures[static_cast<size_t>(IoKind::kWrite)];
    CHECK(writes.operations == 1);
    CHECK(writes.bytes == 8192);
    CHECK(writes.errors == 0);
    CHECK(writes.latency_ns == 3'000'000);
    CHECK(writes.latency[12] == 1);  // Below 2^12 us, not below 2^11.
    const IoFigures& reads = figures[static_cast<size_t>(IoKind::kRead)];
    CHECK(reads.operations == 2);
    CHECK(reads.bytes == 8192);
    CHECK(reads.errors == 1);
    CHECK(reads.latency[0] == 2);
    CHECK(figures[static_cast<size_t>(IoKind::kFlush)].operations == 1);
    CHECK(figures[static_cast<size_t>(IoKind::kOther)].operations == 0);
  };
  check();
  channel.reset();
  check();  // What a channel counted outlives it.
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
