// SPDX-License-Identifier: Apache-2.0
//
// What the delay decorator adds to the contract: no completion comes early, and kinds do not wait
// for each other.
#include <catch2/catch.hpp>
#include <deque>

#include "strata/base/clock.h"
#include "strata/block/devices.h"
#include "support/block/fault_device.h"
#include "support/block/test_io.h"

namespace strata::block {
namespace {

struct Rig {
  explicit Rig(const DelayDeviceOptions& options) : disk({.block_count = 64, .reorders = false}) {
    auto created = CreateDelayDevice(disk.Open(), options);
    REQUIRE(created.ok());
    device = *std::move(created);
    auto opened = device->OpenChannel({});
    REQUIRE(opened.ok());
    channel = *std::move(opened);
  }

  FaultDisk disk;
  std::unique_ptr<Device> device;
  std::unique_ptr<Channel> channel;
};

TEST_CASE("no completion comes before its time") {
  constexpr int64_t kRead = 3'000'000;
  constexpr int64_t kWrite = 5'000'000;
  constexpr int64_t kFlush = 7'000'000;
  Rig rig({.read_ns = kRead, .write_ns = kWrite, .flush_ns = kFlush});
  Buffer buffer(4096);
  const auto elapsed_ns = [&](Op op, uint32_t blocks, std::vector<Segment> segments) {
    TestIo io(op, Lba{0}, blocks, std::move(segments));
    const int64_t start = SystemClock().MonotonicNanos();
    CHECK(RunIo(*rig.channel, io).ok());
    return SystemClock().MonotonicNanos() - start;
  };
  CHECK(elapsed_ns(Op::kRead, 1, {Whole(buffer)}) >= kRead);
  CHECK(elapsed_ns(Op::kCompare, 1, {Whole(buffer)}) >= kRead);
  CHECK(elapsed_ns(Op::kWrite, 1, {Whole(buffer)}) >= kWrite);
  CHECK(elapsed_ns(Op::kWriteZeroes, 1, {}) >= kWrite);
  CHECK(elapsed_ns(Op::kDiscard, 1, {}) >= kWrite);
  CHECK(elapsed_ns(Op::kFlush, 0, {}) >= kFlush);
}

TEST_CASE("each kind keeps its order and waits for itself only") {
  Rig rig({.read_ns = 0, .write_ns = 50'000'000, .flush_ns = 0});
  Buffer buffer(4096);
  struct Log {
    std::vector<Request*> done;
  } log;
  std::deque<TestIo> ios;
  const auto submit = [&](Op op, uint64_t lba) {
    TestIo& io = ios.emplace_back(op, Lba{lba}, 1, std::vector{Whole(buffer)});
    io.request.context = &log;
    io.request.done = [](Request* r) { static_cast<Log*>(r->context)->done.push_back(r); };
    REQUIRE(rig.channel->Submit(&io.request).ok());
  };
  submit(Op::kWrite, 0);
  submit(Op::kWrite, 1);
  submit(Op::kRead, 2);
  submit(Op::kRead, 3);
  Drain(*rig.channel);
  REQUIRE(log.done.size() == 4);
  CHECK(log.done[0] == &ios[2].request);
  CHECK(log.done[1] == &ios[3].request);
  CHECK(log.done[2] == &ios[0].request);
  CHECK(log.done[3] == &ios[1].request);
}

TEST_CASE("errors of the base pass through") {
  Rig rig({.read_ns = 1000});
  rig.disk.Inject({.op = Op::kRead, .status = absl::UnavailableError("cable")});
  Buffer buffer(4096);
  CHECK(ReadBlocking(*rig.channel, Lba{0}, buffer.span()).code() == absl::StatusCode::kUnavailable);
  CHECK(WriteBlocking(*rig.channel, Lba{0}, buffer.span()).ok());
  CHECK(rig.channel->in_flight() == 0);
}

TEST_CASE("options are checked") {
  CHECK(CreateDelayDevice(nullptr, {}).status().code() == absl::StatusCode::kInvalidArgument);
  FaultDisk disk({.block_count = 64});
  CHECK(CreateDelayDevice(disk.Open(), {.flush_ns = ~uint64_t{0}}).status().code() ==
        absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace strata::block
