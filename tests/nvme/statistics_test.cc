// SPDX-License-Identifier: Apache-2.0
//
// What the device model counts for each namespace: commands, bytes, errors and latencies by kind.
#include <atomic>
#include <catch2/catch.hpp>
#include <deque>
#include <thread>
#include <vector>

#include "support/block/fault_device.h"
#include "support/manual_clock.h"
#include "support/nvme/device_rig.h"

namespace strata::nvme {
namespace {

using Code = StatusCode;

constexpr uint32_t kBlockBytes = 4096;

SubsystemOptions WithClock(const Clock& clock) {
  SubsystemOptions options = DeviceRig::Options();
  options.clock = &clock;
  return options;
}

NamespaceStatistics Of(const DeviceRig& rig, uint32_t nsid) {
  const auto statistics = rig.subsystem->StatisticsOf(nsid);
  REQUIRE(statistics.ok());
  return *statistics;
}

std::vector<std::byte> Blocks(uint32_t count) {
  return std::vector<std::byte>(size_t{count} * kBlockBytes);
}

TEST_CASE("commands are counted by kind, with bytes, errors and latencies") {
  test::ManualClock clock;
  DeviceRig rig(WithClock(clock));
  block::FaultDisk disk({.block_count = 64});
  rig.Add(disk.Open());
  rig.AddMemory(64);

  TestCommand write(BlocksEntry(IoOpcode::kWrite, 1, 0, 2), 2 * kBlockBytes);
  rig.io->Start(&write.command);
  clock.now_ns += 3'000'000;
  while (write.done_count == 0) rig.lane->Poll(8);
  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 3)).status.ok());
  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kWriteZeroes, 1, 8, 8)).status.ok());
  std::vector<std::byte> other = Blocks(1);
  other[0] = std::byte{1};
  CHECK(rig.Io(BlocksEntry(IoOpcode::kCompare, 1, 8, 1), other).status.code() ==
        Code::kCompareFailure);
  SubmissionEntry flush;
  flush.Set(SubmissionEntry::kNamespaceId, kAllNamespaces);
  REQUIRE(rig.Io(flush).status.ok());
  disk.Inject({.op = block::Op::kRead});
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 1)).status.code() == Code::kUnrecoveredReadError);

  const NamespaceStatistics first = Of(rig, 1);
  const IoStatistics& writes = first[IoKind::kWrite];
  CHECK(writes.commands == 1);
  CHECK(writes.bytes == 2 * kBlockBytes);
  CHECK(writes.errors == 0);
  CHECK(writes.latency_ns == 3'000'000);
  CHECK(writes.latency.count == 1);
  CHECK(writes.latency.buckets[21] == 1);  // Below 2^22 ns, not below 2^21.
  const IoStatistics& reads = first[IoKind::kRead];
  CHECK(reads.commands == 2);
  CHECK(reads.bytes == 3 * kBlockBytes);
  CHECK(reads.errors == 1);
  CHECK(reads.latency_ns == 0);
  CHECK(reads.latency.buckets[0] == 2);
  CHECK(first[IoKind::kFlush].commands == 1);
  CHECK(first[IoKind::kOther].commands == 2);
  CHECK(first[IoKind::kOther].bytes == 9 * kBlockBytes);
  CHECK(first[IoKind::kOther].errors == 0);  // The comparison did what it was asked for.
  CHECK(first.media_errors == 1);

  const NamespaceStatistics second = Of(rig, 2);
  CHECK(second[IoKind::kFlush].commands == 1);  // The flush was of all namespaces.
  CHECK(second[IoKind::kRead].commands == 0);
  CHECK(absl::IsNotFound(rig.subsystem->StatisticsOf(3).status()));
  CHECK(rig.subsystem->statistics()[IoKind::kFlush].commands == 2);
}

TEST_CASE("a command that waits for a limit is measured from when its device had it") {
  test::ManualClock clock;
  DeviceRig rig(WithClock(clock));
  rig.AddMemory(64, kBlockBytes, {.qos = {.iops = 10, .burst_ms = 0}});
  std::deque<TestCommand> reads;
  for (int i = 0; i < 3; ++i) {
    rig.io->Start(&reads.emplace_back(BlocksEntry(IoOpcode::kRead, 1, 0, 1), kBlockBytes).command);
  }
  while (rig.io->in_flight() > 0) {
    clock.now_ns += 100'000'000;
    rig.lane->Poll(8);
  }
  const IoStatistics statistics = Of(rig, 1)[IoKind::kRead];
  CHECK(statistics.commands == 3);
  // Two of them waited for 100 ms or more; a round of the lane is all that the devices had.
  CHECK(statistics.latency_ns <= 300'000'000);
  CHECK(statistics.latency.count == 3);
}

TEST_CASE("a command that ended with its controller is in no figure") {
  test::ManualClock clock;
  DeviceRig rig(WithClock(clock));
  rig.AddMemory(64, kBlockBytes, {.qos = {.iops = 10, .burst_ms = 0}});
  TestCommand first(BlocksEntry(IoOpcode::kRead, 1, 0, 1), kBlockBytes);
  TestCommand second(BlocksEntry(IoOpcode::kRead, 1, 0, 1), kBlockBytes);
  rig.io->Start(&first.command);
  rig.io->Start(&second.command);
  while (first.done_count == 0) rig.lane->Poll(8);
  rig.Shut(rig.admin);
  while (second.done_count == 0) {
    clock.now_ns += 100'000'000;
    rig.lane->Poll(8);
  }
  CHECK(second.command.status.code() == Code::kAbortedQueueDeleted);
  CHECK(Of(rig, 1)[IoKind::kRead].commands == 1);
  CHECK(Of(rig, 1)[IoKind::kRead].errors == 0);
}

TEST_CASE("what was counted stays when devices, queues and namespaces go") {
  DeviceRig rig;
  rig.AddMemory(64);
  const auto read = [&rig] { REQUIRE(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 1)).status.ok()); };
  read();
  REQUIRE(rig.subsystem->ReplaceDevice(1, *block::CreateMemoryDevice({.block_count = 128})).ok());
  read();
  CHECK(Of(rig, 1)[IoKind::kRead].commands == 2);
  {
    // Another lane counts for itself.
    auto lane = rig.OpenLane();
    rig.Shut(rig.io);
    rig.lane.swap(lane);
    rig.io = rig.Connect(
        {.host_nqn = kTestHost, .controller_id = rig.admin->controller_id(), .queue_id = 1});
    read();
    CHECK(Of(rig, 1)[IoKind::kRead].commands == 3);
    rig.Shut(rig.io);
    rig.lane.swap(lane);
  }
  CHECK(Of(rig, 1)[IoKind::kRead].commands == 3);
  rig.io = rig.Connect(
      {.host_nqn = kTestHost, .controller_id = rig.admin->controller_id(), .queue_id = 1});
  for (uint64_t round = 1; round <= 3; ++round) {
    REQUIRE(rig.subsystem->RemoveNamespace(1).ok());
    CHECK(absl::IsNotFound(rig.subsystem->StatisticsOf(1).status()));
    CHECK(rig.subsystem->statistics()[IoKind::kRead].commands == 2 + round);
    rig.AddMemory(64, kBlockBytes, {.nsid = 1});
    CHECK(Of(rig, 1)[IoKind::kRead].commands == 0);
    read();
    CHECK(Of(rig, 1)[IoKind::kRead].commands == 1);
    CHECK(rig.subsystem->statistics()[IoKind::kRead].commands == 3 + round);
  }
}

TEST_CASE("the health log is the controller's, or a namespace's") {
  DeviceRig rig;
  rig.AddMemory(64);
  rig.AddMemory(64);
  rig.AddMemory(64, kBlockBytes, {.hosts = {"nqn.2026-11.org.example:other"}});
  for (uint32_t i = 0; i < 200; ++i) {
    REQUIRE(rig.Io(BlocksEntry(IoOpcode::kWrite, 1, 0, 1), Blocks(1)).status.ok());
  }
  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kRead, 2, 0, 1)).status.ok());
  const auto health = [&rig](uint32_t nsid) {
    SubmissionEntry entry = LogEntry(LogPage::kHealth, 512);
    entry.Set(SubmissionEntry::kNamespaceId, nsid);
    return rig.Admin(entry);
  };
  const auto controller = health(kAllNamespaces).As<HealthLog>();
  CHECK(controller.Get(HealthLog::kWriteCommands) == 200);
  CHECK(controller.Get(HealthLog::kReadCommands) == 1);
  const auto first = health(1).As<HealthLog>();
  CHECK(first.Get(HealthLog::kWriteCommands) == 200);
  CHECK(first.Get(HealthLog::kDataUnitsWritten) == 2);  // 819,200 bytes, in units of 512,000.
  CHECK(first.Get(HealthLog::kReadCommands) == 0);
  CHECK(health(2).As<HealthLog>().Get(HealthLog::kReadCommands) == 1);
  CHECK(health(3).status.code() == Code::kInvalidNamespace);  // Another host's.
  CHECK(health(4).status.code() == Code::kInvalidNamespace);
  const auto identify = rig.Admin(IdentifyEntry(Cns::kController)).As<IdentifyController>();
  CHECK((identify.Get(IdentifyController::kLogPages) & 0x01) != 0);
}

TEST_CASE("figures are read while several lanes write them") {
  constexpr int kThreads = 3;
  constexpr int kReads = 2000;
  DeviceRig rig;
  rig.AddMemory(64);
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&rig, &running] {
      {
        auto lane = *rig.subsystem->OpenLane({});
        auto admin = std::move(rig.subsystem->Connect(*lane, {.host_nqn = kTestHost}).queue);
        const bool enabled = admin->WriteProperty(0x14, 4, kEnabled).ok();
        auto io = std::move(rig.subsystem
                                ->Connect(*lane, {.host_nqn = kTestHost,
                                                  .controller_id = admin->controller_id(),
                                                  .queue_id = 1})
                                .queue);
        TestCommand read(BlocksEntry(IoOpcode::kRead, 1, 0, 1), kBlockBytes);
        for (int i = 0; enabled && i < kReads; ++i) {
          io->Start(&read.command);
          while (io->in_flight() > 0) lane->Poll(8);
        }
        io->Close();
        admin->Close();
      }
      running.fetch_sub(1);
    });
  }
  uint64_t seen = 0;
  bool went_back = false;
  while (running.load() > 0) {
    const uint64_t now = rig.subsystem->statistics()[IoKind::kRead].commands;
    went_back = went_back || now < seen;
    seen = now;
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(!went_back);
  CHECK(Of(rig, 1)[IoKind::kRead].commands == kThreads * kReads);
  CHECK(Of(rig, 1)[IoKind::kRead].latency.count == kThreads * kReads);
}

}  // namespace
}  // namespace strata::nvme
