// SPDX-License-Identifier: Apache-2.0
//
// Both ends in one process: the host driver over the loop on the device model.
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>

#include "host/host_controller.h"
#include "strata/block/devices.h"
#include "strata/nvme/controller.h"
#include "strata/nvme/loop.h"
#include "strata/nvme/wire/log_pages.h"
#include "support/block/device_contract.h"
#include "support/block/fault_device.h"
#include "support/block/owned_device.h"
#include "support/block/test_io.h"
#include "support/manual_clock.h"
#include "support/seed.h"

namespace strata::nvme {
namespace {

using block::Buffer;
using block::Device;
using block::Lba;
using block::Op;
using block::TestIo;

std::shared_ptr<Subsystem> MakeSubsystem(const Clock* clock = nullptr) {
  auto created = CreateSubsystem(
      {.nqn = "nqn.2026-11.org.example:loop", .allow_any_host = true, .clock = clock});
  REQUIRE(created.ok());
  return *std::move(created);
}

std::unique_ptr<Controller> Open(std::shared_ptr<Subsystem> subsystem,
                                 const ControllerOptions& options = {}) {
  auto transport = OpenLoop(std::move(subsystem), {});
  REQUIRE(transport.ok());
  auto controller = Controller::Open(*std::move(transport), options);
  INFO(controller.status());
  REQUIRE(controller.ok());
  return *std::move(controller);
}

// A namespace of a subsystem of its own, through the loop.
std::unique_ptr<Device> ThroughLoop(std::unique_ptr<Device> base, bool read_only = false) {
  struct BothEnds {
    std::shared_ptr<Subsystem> subsystem;
    std::unique_ptr<Controller> controller;
  };
  auto ends = std::make_shared<BothEnds>();
  ends->subsystem = MakeSubsystem();
  auto nsid = ends->subsystem->AddNamespace(std::move(base), {.read_only = read_only});
  INFO(nsid.status());
  REQUIRE(nsid.ok());
  ends->controller = Open(ends->subsystem);
  auto device = ends->controller->OpenNamespace(*nsid);
  INFO(device.status());
  REQUIRE(device.ok());
  return std::make_unique<block::OwnedDevice>(std::move(ends), *std::move(device));
}

std::unique_ptr<Device> Memory(uint32_t block_size_bytes = 4096, uint64_t block_count = 4096) {
  auto device =
      block::CreateMemoryDevice({.block_count = block_count, .block_size_bytes = block_size_bytes});
  REQUIRE(device.ok());
  return *std::move(device);
}

std::unique_ptr<Device> File(bool use_io_uring) {
  std::string path = "/tmp/strata-nvme-loop-XXXXXX";
  const int fd = mkstemp(path.data());
  REQUIRE(fd >= 0);
  close(fd);
  auto device =
      block::OpenFileDevice({.path = path, .size_bytes = 16 << 20, .use_io_uring = use_io_uring});
  unlink(path.c_str());
  REQUIRE(device.ok());
  return *std::move(device);
}

TEST_CASE("the block device contract holds over the loop") {
  const block::ContractSubject subjects[] = {
      {"memory, 512-byte blocks", [] { return ThroughLoop(Memory(512)); },
       [] { return ThroughLoop(Memory(512), true); }},
      {"memory, 4096-byte blocks", [] { return ThroughLoop(Memory()); },
       [] { return ThroughLoop(Memory(), true); }},
      {"file, io_uring", [] { return ThroughLoop(File(true)); }, {}},
      {"file, system calls", [] { return ThroughLoop(File(false)); }, {}},
  };
  for (const block::ContractSubject& subject : subjects) {
    for (const block::ContractPart& part : block::DeviceContract()) {
      DYNAMIC_SECTION(subject.name << ": " << part.name) { part.run(subject); }
    }
  }
}

TEST_CASE("a controller tells what it is") {
  auto subsystem = MakeSubsystem();
  REQUIRE(subsystem->AddNamespace(Memory(512, 100), {}).ok());
  REQUIRE(subsystem->AddNamespace(Memory(4096, 64), {.nsid = 9}).ok());
  const auto controller = Open(subsystem);
  CHECK(controller->name() == "loop:nqn.2026-11.org.example:loop");
  CHECK(controller->Namespaces() == std::vector<uint32_t>{1, 9});
  CHECK(controller->identify().GetText(IdentifyController::kModelNumber) == "Strata");
  CHECK(controller->health().ok());
  auto device = controller->OpenNamespace(1);
  REQUIRE(device.ok());
  CHECK((*device)->geometry().block_size_bytes == 512);
  CHECK((*device)->geometry().block_count == 100);
  CHECK((*device)->geometry().max_transfer_bytes == 1u << 20);
  CHECK((*device)->name() == "loop:nqn.2026-11.org.example:loop?nsid=1");
  for (const uint32_t nsid : {0u, 2u, 1025u, 0xffffffffu}) {
    CHECK(absl::IsNotFound(controller->OpenNamespace(nsid).status()));
  }
  // Any command passes.
  SubmissionEntry entry;
  entry.Set(SubmissionEntry::kOpcode, static_cast<uint8_t>(AdminOpcode::kGetFeatures));
  entry.Set(SubmissionEntry::kDword10, static_cast<uint32_t>(Feature::kVolatileWriteCache));
  auto feature = controller->Admin(entry, DataDirection::kNone, {});
  REQUIRE(feature.ok());
  CHECK(feature->result == 1);
  entry.Set(SubmissionEntry::kOpcode, 0xc0);
  CHECK(controller->Admin(entry, DataDirection::kNone, {})->status.code() ==
        StatusCode::kInvalidOpcode);
  CHECK(absl::IsInvalidArgument(controller->Admin(entry, DataDirection::kToHost, {}).status()));
}

TEST_CASE("options and hosts are checked") {
  auto subsystem = MakeSubsystem();
  const auto code = [&](const ControllerOptions& options) {
    return Controller::Open(*OpenLoop(subsystem, {}), options).status().code();
  };
  using Code = absl::StatusCode;
  CHECK(code({}) == Code::kOk);
  CHECK(code({.admin_queue_entries = 4}) == Code::kInvalidArgument);
  CHECK(code({.max_io_queues = 0}) == Code::kInvalidArgument);
  CHECK(code({.io_queue_entries = 1}) == Code::kInvalidArgument);
  CHECK(code({.command_timeout_ms = 0}) == Code::kInvalidArgument);
  CHECK(OpenLoop(nullptr, {}).status().code() == Code::kInvalidArgument);
  auto closed = *CreateSubsystem({.nqn = "nqn.2026-11.org.example:closed"});
  CHECK(Controller::Open(*OpenLoop(closed, {}), {}).status().code() == Code::kPermissionDenied);
  CHECK(subsystem->Controllers().empty());  // All are gone with their hosts.
}

TEST_CASE("a channel owns a queue, and the controller grants only so many") {
  auto subsystem = MakeSubsystem();
  REQUIRE(subsystem->AddNamespace(Memory(), {}).ok());
  const auto controller = Open(subsystem, {.max_io_queues = 2});
  auto device = *controller->OpenNamespace(1);
  auto first = device->OpenChannel({});
  auto second = device->OpenChannel({});
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(subsystem->Controllers()[0].queue_count == 3);
  CHECK(absl::IsResourceExhausted(device->OpenChannel({}).status()));
  first->reset();
  CHECK(device->OpenChannel({}).ok());
}

TEST_CASE("namespaces that come and go are noticed") {
  auto subsystem = MakeSubsystem();
  REQUIRE(subsystem->AddNamespace(Memory(), {}).ok());
  const auto controller = Open(subsystem);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  const uint64_t generation = controller->namespace_generation();
  for (int round = 0; round < 5; ++round) {
    REQUIRE(subsystem->AddNamespace(Memory(), {.nsid = 5}).ok());
    for (int i = 0; i < 4; ++i) controller->Poll();
    CHECK(controller->Namespaces() == std::vector<uint32_t>{1, 5});
    REQUIRE(subsystem->RemoveNamespace(5).ok());
    for (int i = 0; i < 4; ++i) controller->Poll();
    CHECK(controller->Namespaces() == std::vector<uint32_t>{1});
  }
  CHECK(controller->namespace_generation() == generation + 10);
  REQUIRE(subsystem->RemoveNamespace(1).ok());
  Buffer buffer(4096);
  CHECK(absl::IsUnavailable(ReadBlocking(*channel, Lba{0}, buffer.span())));
}

TEST_CASE("statistics count and measure") {
  auto subsystem = MakeSubsystem();
  REQUIRE(subsystem->AddNamespace(Memory(), {}).ok());
  const auto controller = Open(subsystem);
  {
    auto device = *controller->OpenNamespace(1);
    auto channel = *device->OpenChannel({});
    Buffer buffer(8192);
    REQUIRE(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
    REQUIRE(ReadBlocking(*channel, Lba{0}, buffer.span()).ok());
    REQUIRE(ReadBlocking(*channel, Lba{0}, buffer.span()).ok());
    REQUIRE(FlushBlocking(*channel).ok());
    buffer.data()[0] ^= std::byte{1};
    TestIo compare(Op::kCompare, Lba{0}, 2, {Whole(buffer)});
    CHECK(absl::IsAborted(RunIo(*channel, compare)));
    CHECK(controller->statistics().reads == 2);
  }
  const ControllerStatistics statistics = controller->statistics();
  CHECK(statistics.reads == 2);
  CHECK(statistics.read_bytes == 16384);
  CHECK(statistics.writes == 1);
  CHECK(statistics.other_commands == 1);
  CHECK(statistics.errors == 1);
  CHECK(statistics.latency.count == 5);
  CHECK(statistics.latency.PercentileNs(0.5) > 0);
  CHECK(statistics.latency.PercentileNs(1.0) >= statistics.latency.PercentileNs(0.5));
  CHECK(LatencyHistogram{}.PercentileNs(0.99) == 0);
}

TEST_CASE("errors of the device reach the host as what they are") {
  auto subsystem = MakeSubsystem();
  block::FaultDisk disk({.block_count = 256});
  REQUIRE(subsystem->AddNamespace(disk.Open(), {}).ok());
  const auto controller = Open(subsystem);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  Buffer buffer(4096);
  for (const absl::Status& failure :
       {absl::DataLossError("x"), absl::UnavailableError("x"), absl::ResourceExhaustedError("x")}) {
    disk.ClearFaults();
    disk.Inject({.status = failure});
    CHECK(ReadBlocking(*channel, Lba{0}, buffer.span()).code() == failure.code());
    CHECK(WriteBlocking(*channel, Lba{0}, buffer.span()).code() == failure.code());
  }
  disk.ClearFaults();
  CHECK(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
}

TEST_CASE("a reset sends again what was in flight, writes among it") {
  // Its clock stands: what exceeds the limit waits at the device for ever.
  test::ManualClock device_clock;
  auto subsystem = MakeSubsystem(&device_clock);
  REQUIRE(subsystem->AddNamespace(Memory(), {.qos = {.iops = 1, .burst_ms = 0}}).ok());
  const auto controller = Open(subsystem);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  Buffer buffer(16 * 4096);
  std::deque<TestIo> ios;
  // The limit keeps them waiting at the device.
  for (uint32_t i = 0; i < 8; ++i) {
    ios.emplace_back(i % 2 == 0 ? Op::kRead : Op::kWrite, Lba{i}, 1,
                     std::vector{Piece(buffer, i * 4096, 4096)});
    REQUIRE(channel->Submit(&ios[i].request).ok());
  }
  channel->Poll(1);
  REQUIRE(subsystem->SetQos(1, {}).ok());
  controller->RequestReset("a test");
  controller->Poll();
  CHECK(controller->health().ok());
  while (channel->in_flight() > 0) channel->Poll(8);
  for (const TestIo& io : ios) {
    CHECK(io.done_count == 1);
    CHECK(io.request.status.ok());
  }
  CHECK(controller->statistics().resets == 1);
  CHECK(controller->statistics().replays >= 7);
  CHECK(subsystem->Controllers().size() == 1);
  CHECK(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
}

TEST_CASE("a channel that is late to ask for a reset does not reset the next controller") {
  auto subsystem = MakeSubsystem();
  const auto controller = Open(subsystem);
  auto& host = static_cast<HostController&>(*controller);
  const uint64_t epoch = host.epoch();
  host.RequestResetOf(epoch, "a queue broke");
  controller->Poll();
  CHECK(controller->statistics().resets == 1);
  host.RequestResetOf(epoch, "another queue broke");
  controller->Poll();
  CHECK(controller->statistics().resets == 1);
  host.RequestResetOf(host.epoch(), "a queue broke again");
  controller->Poll();
  CHECK(controller->statistics().resets == 2);
}

TEST_CASE("a sleeper is woken by the reset that its request lived through") {
  // Its clock stands: what exceeds the limit waits at the device for ever.
  test::ManualClock device_clock;
  auto subsystem = MakeSubsystem(&device_clock);
  REQUIRE(subsystem->AddNamespace(Memory(), {.qos = {.iops = 1, .burst_ms = 0}}).ok());
  const auto controller = Open(subsystem, {.has_thread = true, .thread_poll_ms = 1});
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  Buffer buffer(4096);
  REQUIRE(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());  // Takes the first token.
  TestIo write(Op::kWrite, Lba{0}, 1, {Whole(buffer)});
  REQUIRE(channel->Submit(&write.request).ok());
  REQUIRE(subsystem->SetQos(1, {}).ok());
  controller->RequestReset("a test");
  while (write.done_count == 0) PollOrSleep(*channel);
  CHECK(write.request.status.ok());
}

TEST_CASE("a poll that runs nothing leaves no piece of a long Write Zeroes held back") {
  auto subsystem = MakeSubsystem();
  REQUIRE(subsystem->AddNamespace(Memory(512, 150'000), {}).ok());
  const auto controller = Open(subsystem);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  TestIo zeroes(Op::kWriteZeroes, Lba{0}, 150'000, {});
  REQUIRE(channel->Submit(&zeroes.request).ok());
  // Memory ends a command in the poll after it was sent, so that all three pieces fit in one.
  CHECK(channel->Poll(8) == 1);
  while (zeroes.done_count == 0) channel->Poll(8);
  CHECK(zeroes.request.status.ok());
}

TEST_CASE("a sleeper is woken by the deadline of its request") {
  // The device's clock stands, and the limit has it look again in an hour.
  test::ManualClock device_clock;
  auto subsystem = MakeSubsystem(&device_clock);
  REQUIRE(subsystem->AddNamespace(Memory(), {.qos = {.bytes_per_second = 1, .burst_ms = 0}}).ok());
  const auto controller =
      Open(subsystem, {.command_timeout_ms = 20, .has_thread = true, .thread_poll_ms = 1});
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  Buffer buffer(4096);
  REQUIRE(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());  // Takes the first token.
  TestIo stuck(Op::kWrite, Lba{0}, 1, {Whole(buffer)});
  REQUIRE(channel->Submit(&stuck.request).ok());
  const int waiter = *channel->EventFd();
  while (stuck.done_count == 0) {
    if (channel->Poll(8) > 0) continue;
    pollfd readable{.fd = waiter, .events = POLLIN, .revents = 0};
    REQUIRE(poll(&readable, 1, 20'000) == 1);
  }
  CHECK(absl::IsUnavailable(stuck.request.status));
  CHECK(controller->statistics().timeouts >= 2);
}

TEST_CASE("a command that outlives its deadline is aborted, and then the controller is reset") {
  test::ManualClock clock;
  test::ManualClock device_clock;
  auto subsystem = MakeSubsystem(&device_clock);
  REQUIRE(subsystem->AddNamespace(Memory(), {.qos = {.iops = 1, .burst_ms = 0}}).ok());
  const auto controller = Open(subsystem, {.command_timeout_ms = 1000, .clock = &clock});
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  Buffer buffer(4096);
  REQUIRE(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
  TestIo stuck(Op::kWrite, Lba{0}, 1, {Whole(buffer)});
  REQUIRE(channel->Submit(&stuck.request).ok());
  const auto pass = [&](int64_t ms) {
    clock.now_ns += ms * 1'000'000;
    channel->Poll(8);
    controller->Poll();
    controller->Poll();
  };
  pass(999);
  CHECK(controller->statistics().timeouts == 0);
  pass(2);
  CHECK(controller->statistics().timeouts == 1);
  CHECK(controller->statistics().resets == 0);
  // The queues of a loop live in lanes of their own, so that the abort finds nothing to end.
  pass(1001);
  CHECK(controller->statistics().timeouts == 2);
  CHECK(controller->statistics().resets == 1);
  // It was sent again, and the limit lets it pass now.
  device_clock.now_ns += 2'000'000'000;
  while (stuck.done_count == 0) channel->Poll(8);
  CHECK(stuck.request.status.ok());
  device_clock.now_ns += 2'000'000'000;
  CHECK(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
}

}  // namespace
}  // namespace strata::nvme
