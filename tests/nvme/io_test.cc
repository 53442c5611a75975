// SPDX-License-Identifier: Apache-2.0
//
// I/O commands of the device model: what each does, what each is refused for, and namespaces that
// change under them.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <thread>

#include "strata/base/random.h"
#include "support/block/fault_device.h"
#include "support/block/test_io.h"
#include "support/manual_clock.h"
#include "support/nvme/device_rig.h"
#include "support/seed.h"

namespace strata::nvme {
namespace {

using Code = StatusCode;

std::vector<std::byte> RandomBytes(size_t size) {
  Random random(test::Seed());
  std::vector<std::byte> bytes(size);
  random.Fill(bytes);
  return bytes;
}

SubmissionEntry DsmEntry(uint32_t nsid, uint32_t ranges, uint32_t attributes = kDsmDeallocate) {
  SubmissionEntry entry;
  entry.Set(SubmissionEntry::kOpcode, static_cast<uint8_t>(IoOpcode::kDatasetManagement));
  entry.Set(SubmissionEntry::kNamespaceId, nsid);
  entry.Set(SubmissionEntry::kDword10, ranges - 1);
  entry.Set(SubmissionEntry::kDword11, attributes);
  return entry;
}

std::vector<std::byte> Ranges(const std::vector<std::pair<uint64_t, uint32_t>>& ranges) {
  std::vector<std::byte> bytes;
  for (const auto& [lba, blocks] : ranges) {
    DsmRange range;
    range.Set(DsmRange::kStartLba, lba);
    range.Set(DsmRange::kBlockCount, blocks);
    bytes.insert(bytes.end(), range.bytes.begin(), range.bytes.end());
  }
  return bytes;
}

SubmissionEntry FlushEntry(uint32_t nsid) {
  SubmissionEntry entry;
  entry.Set(SubmissionEntry::kNamespaceId, nsid);
  return entry;
}

TEST_CASE("what is written is read, compared, verified, zeroed and deallocated") {
  DeviceRig rig;
  rig.AddMemory(1024, 512);
  const std::vector<std::byte> data = RandomBytes(16 * 512);
  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kWrite, 1, 100, 16), data).status.ok());
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 100, 16)).data == data);
  CHECK(rig.Io(BlocksEntry(IoOpcode::kCompare, 1, 100, 16), data).status.ok());
  std::vector<std::byte> other = data;
  other.back() ^= std::byte{1};
  CHECK(rig.Io(BlocksEntry(IoOpcode::kCompare, 1, 100, 16), other).status.code() ==
        Code::kCompareFailure);
  CHECK(rig.Io(BlocksEntry(IoOpcode::kVerify, 1, 0, 1024)).status.ok());
  CHECK(rig.Io(FlushEntry(1)).status.ok());
  CHECK(rig.Io(FlushEntry(kAllNamespaces)).status.ok());

  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kWriteZeroes, 1, 102, 2)).status.ok());
  std::vector<std::byte> wanted = data;
  std::fill_n(wanted.begin() + 2 * 512, 2 * 512, std::byte{0});
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 100, 16)).data == wanted);
  // Empty ranges are no ranges.
  REQUIRE(rig.Io(DsmEntry(1, 4), Ranges({{104, 1}, {0, 0}, {110, 3}, {9999, 0}})).status.ok());
  std::fill_n(wanted.begin() + 4 * 512, 512, std::byte{0});
  std::fill_n(wanted.begin() + 10 * 512, 3 * 512, std::byte{0});
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 100, 16)).data == wanted);
  // Without the attribute the ranges are hints; one bad range stops all of them.
  REQUIRE(rig.Io(DsmEntry(1, 1, 0), Ranges({{100, 16}})).status.ok());
  CHECK(rig.Io(DsmEntry(1, 2), Ranges({{100, 1}, {1020, 5}})).status ==
        Status(Code::kLbaOutOfRange).DoNotRetry());
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 100, 16)).data == wanted);
  std::vector<std::pair<uint64_t, uint32_t>> many;
  for (uint32_t i = 0; i < 256; ++i) many.emplace_back(2 * i, 1);
  REQUIRE(rig.Io(DsmEntry(1, 256), Ranges(many)).status.ok());
  SubmissionEntry zeroes = BlocksEntry(IoOpcode::kWriteZeroes, 1, 0, 1024);
  zeroes.Set(SubmissionEntry::kIoFlags, kIoDeallocate);
  REQUIRE(rig.Io(zeroes).status.ok());
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 100, 16)).data == std::vector<std::byte>(16 * 512));
}

TEST_CASE("a wrong I/O command is refused before it moves anything") {
  DeviceRig rig;
  rig.AddMemory(1024);
  rig.AddMemory(64, 4096, {.read_only = true});
  const auto refused = [&](SubmissionEntry entry, Code code) {
    const Plan plan = rig.io->Examine(entry);
    CHECK(plan.status == Status(code).DoNotRetry());
    CHECK(plan.data_bytes == 0);
    CHECK(rig.io->in_flight() == 0);
  };
  const auto with = [](SubmissionEntry entry, auto field, uint64_t value) {
    entry.Set(field, static_cast<decltype(entry.Get(field))>(value));
    return entry;
  };
  const SubmissionEntry read = BlocksEntry(IoOpcode::kRead, 1, 0, 1);
  const SubmissionEntry write = BlocksEntry(IoOpcode::kWrite, 1, 0, 1);
  using S = SubmissionEntry;
  refused(with(read, S::kOpcode, 0x04), Code::kInvalidOpcode);
  refused(with(read, S::kOpcode, 0x7f), Code::kInvalidOpcode);
  refused(with(read, S::kFlags, 1), Code::kInvalidField);
  refused(with(read, S::kFlags, 2), Code::kInvalidField);
  for (const uint32_t nsid : {0u, 3u, 1025u, kAllNamespaces}) {
    refused(with(read, S::kNamespaceId, nsid), Code::kInvalidNamespace);
  }
  refused(with(FlushEntry(1), S::kNamespaceId, 0), Code::kInvalidNamespace);
  refused(with(DsmEntry(1, 1), S::kNamespaceId, kAllNamespaces), Code::kInvalidNamespace);
  refused(with(read, S::kStartLba, 1024), Code::kLbaOutOfRange);
  refused(with(read, S::kStartLba, ~uint64_t{0}), Code::kLbaOutOfRange);
  refused(with(with(read, S::kStartLba, 1023), S::kBlocks0based, 1), Code::kLbaOutOfRange);
  refused(with(BlocksEntry(IoOpcode::kWriteZeroes, 1, 0, 1), S::kStartLba, 1024),
          Code::kLbaOutOfRange);
  refused(with(read, S::kBlocks0based, 256), Code::kInvalidField);  // Beyond MDTS.
  refused(with(write, S::kBlocks0based, 256), Code::kInvalidField);
  refused(BlocksEntry(IoOpcode::kCompare, 1, 0, 257), Code::kInvalidField);
  refused(BlocksEntry(IoOpcode::kVerify, 1, 0, 257), Code::kInvalidField);
  refused(with(write, S::kIoFlags, 0x0010), Code::kInvalidField);  // A directive.
  for (const IoOpcode opcode : {IoOpcode::kWrite, IoOpcode::kWriteZeroes}) {
    refused(BlocksEntry(opcode, 2, 0, 1), Code::kNamespaceWriteProtected);
  }
  refused(DsmEntry(2, 1), Code::kNamespaceWriteProtected);
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 2, 0, 1)).status.ok());
  CHECK(rig.io->Examine(BlocksEntry(IoOpcode::kRead, 1, 0, 256)).data_bytes == 1u << 20);
  CHECK(rig.io->Examine(BlocksEntry(IoOpcode::kWriteZeroes, 1, 0, 1024)).status.ok());
}

TEST_CASE("data of any shape reaches the device") {
  // Memory that the device could not take as it is: bytes at odd addresses, cut within blocks.
  DeviceRig rig;
  rig.AddMemory(64);
  const std::vector<std::byte> data = RandomBytes(3 * 4096);
  block::Buffer memory(5 * 4096);
  const auto cut = [&](std::byte* from) {
    std::vector<block::Segment> segments;
    size_t at = 0;
    for (const size_t size : {1u, 4000u, 5000u, 3287u}) {
      segments.push_back({from + at, size});
      at += size;
    }
    return segments;
  };
  std::vector<block::Segment> segments = cut(memory.data() + 3);
  std::memcpy(memory.data() + 3, data.data(), data.size());
  for (const IoOpcode opcode : {IoOpcode::kWrite, IoOpcode::kCompare, IoOpcode::kRead}) {
    if (opcode == IoOpcode::kRead) std::memset(memory.data(), 0, memory.size());
    TestCommand command(BlocksEntry(opcode, 1, 7, 3));
    command.command.data = segments;
    rig.io->Start(&command.command);
    while (command.done_count == 0) rig.lane->Poll(8);
    CHECK(command.command.status.ok());
  }
  CHECK(std::memcmp(memory.data() + 3, data.data(), data.size()) == 0);
  CHECK(memory.data()[2] == std::byte{0});
  CHECK(memory.data()[3 + data.size()] == std::byte{0});
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 7, 3)).data == data);
}

TEST_CASE("forced and write-through writes reach the medium") {
  DeviceRig rig;
  block::FaultDisk disk({.block_count = 64});
  rig.Add(disk.Open());
  const std::vector<std::byte> data = RandomBytes(4096);
  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kWrite, 1, 0, 1), data).status.ok());
  CHECK(disk.counts().forced == 0);
  CHECK(disk.unflushed_writes() == 1);
  REQUIRE(rig.Io(FlushEntry(kAllNamespaces)).status.ok());
  CHECK(disk.unflushed_writes() == 0);
  SubmissionEntry forced = BlocksEntry(IoOpcode::kWrite, 1, 0, 1);
  forced.Set(SubmissionEntry::kIoFlags, kIoForceUnitAccess);
  REQUIRE(rig.Io(forced, data).status.ok());
  CHECK(disk.counts().forced == 1);
  REQUIRE(rig.Admin(AdminEntry(AdminOpcode::kSetFeatures, 0, 0x06, 0)).status.ok());
  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kWrite, 1, 0, 1), data).status.ok());
  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kWriteZeroes, 1, 1, 1)).status.ok());
  CHECK(disk.counts().forced == 3);
  SubmissionEntry deallocating = BlocksEntry(IoOpcode::kWriteZeroes, 1, 2, 1);
  deallocating.Set(SubmissionEntry::kIoFlags, kIoDeallocate);
  REQUIRE(rig.Io(deallocating).status.ok());
  CHECK(disk.counts().forced == 4);
}

TEST_CASE("what fails below gets the status of its kind") {
  DeviceRig rig;
  block::FaultDisk disk({.block_count = 64});
  rig.Add(disk.Open());
  rig.AddMemory(64);
  const std::vector<std::byte> data(4096);
  const auto status_of = [&](absl::Status failure, const SubmissionEntry& entry) {
    disk.ClearFaults();
    disk.Inject({.status = std::move(failure)});
    const Plan plan = rig.io->Examine(entry);
    const Status status =
        rig.Io(entry, plan.direction == DataDirection::kToDevice
                          ? std::span<const std::byte>(data).first(plan.data_bytes)
                          : std::span<const std::byte>())
            .status;
    disk.ClearFaults();
    return status;
  };
  const SubmissionEntry read = BlocksEntry(IoOpcode::kRead, 1, 0, 1);
  const SubmissionEntry write = BlocksEntry(IoOpcode::kWrite, 1, 0, 1);
  CHECK(status_of(absl::DataLossError("x"), read) == Status(Code::kUnrecoveredReadError));
  CHECK(status_of(absl::DataLossError("x"), write) == Status(Code::kWriteFault));
  CHECK(status_of(absl::DataLossError("x"), BlocksEntry(IoOpcode::kVerify, 1, 0, 4)) ==
        Status(Code::kUnrecoveredReadError));
  CHECK(status_of(absl::UnavailableError("x"), read) == Status(Code::kInternalPathError));
  CHECK(status_of(absl::ResourceExhaustedError("x"), write) ==
        Status(Code::kCapacityExceeded).DoNotRetry());
  CHECK(status_of(absl::DataLossError("x"), FlushEntry(kAllNamespaces)) ==
        Status(Code::kWriteFault));
  CHECK(status_of(absl::DataLossError("x"), DsmEntry(1, 256)) == Status());  // Empty ranges.
}

TEST_CASE("every I/O of a command may fail, and each gives one answer") {
  const auto workload = [](DeviceRig& rig) {
    std::vector<Status> statuses;
    const std::vector<std::byte> data = RandomBytes(4 * 4096);
    const auto io = [&](const SubmissionEntry& entry, std::span<const std::byte> bytes = {}) {
      statuses.push_back(rig.Io(entry, bytes).status);
    };
    io(BlocksEntry(IoOpcode::kWrite, 1, 0, 4), data);
    io(BlocksEntry(IoOpcode::kRead, 1, 0, 4));
    io(BlocksEntry(IoOpcode::kVerify, 1, 0, 100));
    io(DsmEntry(1, 3), Ranges({{1, 1}, {5, 0}, {8, 9}}));
    io(BlocksEntry(IoOpcode::kWriteZeroes, 1, 0, 4));
    io(FlushEntry(1));
    io(FlushEntry(kAllNamespaces));
    return statuses;
  };
  uint64_t nth = 1;
  for (;; ++nth) {
    block::FaultDisk disk({.block_count = 256, .seed = test::Seed()});
    DeviceRig rig;
    rig.Add(disk.Open());
    rig.Add(disk.Open());
    disk.Inject({.nth = nth});
    const std::vector<Status> statuses = workload(rig);
    const auto failed =
        std::count_if(statuses.begin(), statuses.end(), [](Status status) { return !status.ok(); });
    CAPTURE(nth);
    if (disk.faults_fired() == 0) {
      CHECK(failed == 0);
      break;
    }
    CHECK(failed == 1);
  }
  CHECK(nth > 10);
}

TEST_CASE("commands that end at once starve no device, and no device starves another") {
  DeviceRig rig;
  rig.AddMemory(64);
  rig.AddMemory(64);
  struct Repeat {
    DeviceQueue* queue;
    bool stops = false;
  } repeat{rig.io.get()};
  std::deque<TestCommand> busy;
  const auto keep_busy = [&](const SubmissionEntry& entry, size_t data_bytes) {
    Command& command = busy.emplace_back(entry, data_bytes).command;
    command.context = &repeat;
    command.done = [](Command* c) {
      const auto* again = static_cast<const Repeat*>(c->context);
      if (!again->stops) again->queue->Start(c);
    };
    rig.io->Start(&command);
  };
  const int max_completions = GENERATE(1, 2, 8);
  for (int i = 0; i < 16; ++i) {
    keep_busy(BlocksEntry(IoOpcode::kRead, 9, 0, 1), 0);  // No such namespace.
    keep_busy(BlocksEntry(IoOpcode::kRead, 1, 0, 1), 4096);
  }
  TestCommand read(BlocksEntry(IoOpcode::kRead, 2, 0, 1), 4096);
  rig.io->Start(&read.command);
  TestCommand refused(BlocksEntry(IoOpcode::kRead, 9, 0, 1));
  rig.io->Start(&refused.command);
  for (int round = 0; round < 100; ++round) rig.lane->Poll(max_completions);
  CHECK(read.done_count == 1);
  CHECK(refused.done_count == 1);
  repeat.stops = true;
  while (rig.io->in_flight() > 0) rig.lane->Poll(8);
}

// Starts `count` reads of one block, each of its own block.
void StartReads(DeviceRig& rig, std::deque<TestCommand>& reads, uint32_t count, uint32_t nsid = 1) {
  for (uint32_t i = 0; i < count; ++i) {
    TestCommand& read = reads.emplace_back(BlocksEntry(IoOpcode::kRead, nsid, i, 1), 4096);
    read.command.entry.Set(SubmissionEntry::kCommandId, static_cast<uint16_t>(i));
    rig.io->Start(&read.command);
  }
}

int DoneCount(const std::deque<TestCommand>& commands) {
  int count = 0;
  for (const TestCommand& command : commands) count += command.done_count;
  return count;
}

TEST_CASE("a full channel keeps commands waiting, and none fails") {
  DeviceRig rig(DeviceRig::Options(), 2);
  rig.AddMemory(64);
  std::deque<TestCommand> reads;
  StartReads(rig, reads, 20);
  CHECK(rig.io->in_flight() == 20);
  while (rig.io->in_flight() > 0) rig.lane->Poll(3);
  CHECK(DoneCount(reads) == 20);
  for (const TestCommand& read : reads) CHECK(read.command.status.ok());
  // A queue that closes takes what waits with it; what a device has begun ends as it ends.
  reads.clear();
  StartReads(rig, reads, 20);
  rig.io->Close();
  while (rig.io->in_flight() > 0) rig.lane->Poll(3);
  int aborted = 0;
  for (const TestCommand& read : reads) {
    CHECK((read.command.status.ok() || read.command.status.code() == Code::kAbortedQueueDeleted));
    aborted += read.command.status.ok() ? 0 : 1;
  }
  CHECK(aborted == 18);
}

TEST_CASE("a waiting command is aborted, one that a device has begun is not") {
  DeviceRig rig(DeviceRig::Options(), 2);
  rig.AddMemory(64);
  std::deque<TestCommand> reads;
  StartReads(rig, reads, 4);
  const auto abort = [&](uint32_t queue_id, uint32_t command_id) {
    TestCommand command(AdminEntry(AdminOpcode::kAbort, 0, queue_id | command_id << 16));
    rig.admin->Start(&command.command);
    while (command.done_count == 0) rig.lane->Poll(1);
    CHECK(command.command.status.ok());
    return command.command.result;
  };
  CHECK(abort(1, 3) == 0);
  CHECK(abort(1, 3) == 1);
  CHECK(abort(9, 3) == 1);
  while (rig.io->in_flight() > 0) rig.lane->Poll(8);
  CHECK(reads[3].command.status.code() == Code::kAbortRequested);
  CHECK(reads[0].command.status.ok());
}

TEST_CASE("commands under way end with their own result when their namespace goes") {
  DeviceRig rig(DeviceRig::Options(), 4);
  std::shared_ptr<block::Device> device = *block::CreateMemoryDevice({.block_count = 64});
  const std::weak_ptr<block::Device> watched = device;
  rig.Add(std::move(device));
  std::deque<TestCommand> reads;
  StartReads(rig, reads, 8);
  REQUIRE(rig.subsystem->RemoveNamespace(1).ok());
  const uint64_t generation = rig.subsystem->generation();
  CHECK(!rig.subsystem->IsSettled(generation));
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 1)).status.code() == Code::kInvalidNamespace);
  while (rig.io->in_flight() > 0) rig.lane->Poll(8);
  int served = 0;
  for (const TestCommand& read : reads) {
    served += read.command.status.ok() ? 1 : 0;
    CHECK((read.command.status.ok() || read.command.status.code() == Code::kInvalidNamespace));
  }
  CHECK(served == 4);
  rig.lane->Poll(1);
  CHECK(rig.subsystem->IsSettled(generation));
  CHECK(watched.expired());
}

TEST_CASE("a namespace is resized and replaced under its commands") {
  DeviceRig rig(DeviceRig::Options(), 4);
  rig.AddMemory(64);
  std::deque<TestCommand> reads;
  StartReads(rig, reads, 8);
  auto larger = *block::CreateMemoryDevice({.block_count = 128});
  REQUIRE(rig.subsystem->ReplaceDevice(1, std::move(larger)).ok());
  CHECK(rig.io->Examine(BlocksEntry(IoOpcode::kRead, 1, 127, 1)).status.ok());
  while (rig.io->in_flight() > 0) rig.lane->Poll(8);
  for (const TestCommand& read : reads) CHECK(read.command.status.ok());
  // Smaller than what waits for it.
  reads.clear();
  StartReads(rig, reads, 8);
  REQUIRE(rig.subsystem->ReplaceDevice(1, *block::CreateMemoryDevice({.block_count = 6})).ok());
  rig.lane->Poll(1);
  while (rig.io->in_flight() > 0) rig.lane->Poll(8);
  CHECK(reads[5].command.status.ok());
  CHECK(reads[6].command.status.code() == Code::kLbaOutOfRange);
  CHECK(absl::IsInvalidArgument(rig.subsystem->ReplaceDevice(
      1, *block::CreateMemoryDevice({.block_count = 64, .block_size_bytes = 512}))));
  CHECK(absl::IsNotFound(
      rig.subsystem->ReplaceDevice(2, *block::CreateMemoryDevice({.block_count = 6}))));
}

TEST_CASE("a write that waits does not follow its NSID to another namespace") {
  DeviceRig rig(DeviceRig::Options(), 4);
  rig.AddMemory(64);
  const std::vector<std::byte> data = RandomBytes(4096);
  std::deque<TestCommand> writes;
  for (uint32_t i = 0; i < 8; ++i) {
    TestCommand& write = writes.emplace_back(BlocksEntry(IoOpcode::kWrite, 1, i, 1), 4096);
    std::memcpy(write.buffer.data(), data.data(), data.size());
    rig.io->Start(&write.command);
  }
  REQUIRE(rig.subsystem->RemoveNamespace(1).ok());
  rig.AddMemory(64, 4096, {.nsid = 1});
  while (rig.io->in_flight() > 0) rig.lane->Poll(8);
  CHECK(writes[3].command.status.ok());
  for (uint32_t i = 4; i < 8; ++i) {
    CHECK(writes[i].command.status == Status(Code::kInvalidNamespace).DoNotRetry());
  }
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 8)).data == std::vector<std::byte>(8 * 4096));
}

TEST_CASE("a write whose data were on their way does not land in another namespace") {
  DeviceRig rig;
  rig.AddMemory(16);
  TestCommand write(BlocksEntry(IoOpcode::kWrite, 1, 0, 1), 4096);
  std::memset(write.buffer.data(), 0x77, 4096);
  const Plan plan = rig.io->Examine(write.command.entry);
  REQUIRE(plan.status.ok());
  REQUIRE(rig.subsystem->RemoveNamespace(1).ok());
  rig.AddMemory(16, 4096, {.nsid = 1});
  write.command.namespace_serial = plan.namespace_serial;
  rig.io->Start(&write.command);
  while (write.done_count == 0) rig.lane->Poll(8);
  CHECK(write.command.status == Status(Code::kInvalidNamespace).DoNotRetry());
  const Answer read = rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 1));
  REQUIRE(read.status.ok());
  CHECK(read.data[0] == std::byte{0});
}

TEST_CASE("a write that waits for its limit loses the right to it") {
  DeviceRig rig;
  rig.AddMemory(16, 4096, {.qos = {.iops = 1, .burst_ms = 0}});
  std::deque<TestCommand> writes;
  for (int i = 0; i < 3; ++i) {
    writes.emplace_back(BlocksEntry(IoOpcode::kWrite, 1, 0, 1), 4096);
    rig.io->Start(&writes.back().command);
  }
  rig.lane->Poll(8);
  REQUIRE(writes[2].done_count == 0);
  REQUIRE(rig.subsystem->SetHosts(1, {"nqn.2014-08.org.nvmexpress:uuid:other"}).ok());
  for (int i = 0; i < 100 && writes[2].done_count == 0; ++i) rig.lane->Poll(8);
  REQUIRE(writes[2].done_count == 1);
  CHECK(writes[2].command.status.code() == Code::kInvalidNamespace);
}

TEST_CASE("an NSID that is free is used again as late as possible") {
  SubsystemOptions options = DeviceRig::Options();
  options.max_namespaces = 3;
  DeviceRig rig(options);
  CHECK(rig.AddMemory(64) == 1);
  CHECK(rig.AddMemory(64) == 2);
  REQUIRE(rig.subsystem->RemoveNamespace(1).ok());
  CHECK(rig.AddMemory(64) == 3);
  CHECK(rig.AddMemory(64) == 1);
}

TEST_CASE("a flush of all follows the table as it changes") {
  DeviceRig rig(DeviceRig::Options(), 1);
  for (int i = 0; i < 3; ++i) rig.AddMemory(64);
  std::deque<TestCommand> reads;
  StartReads(rig, reads, 3, 1);
  StartReads(rig, reads, 3, 3);
  TestCommand flush(FlushEntry(kAllNamespaces));
  rig.io->Start(&flush.command);
  REQUIRE(rig.subsystem->RemoveNamespace(1).ok());
  REQUIRE(rig.subsystem->RemoveNamespace(2).ok());
  while (rig.io->in_flight() > 0) rig.lane->Poll(1);
  CHECK(flush.command.status.ok());
  REQUIRE(rig.subsystem->RemoveNamespace(3).ok());
  CHECK(rig.Io(FlushEntry(kAllNamespaces)).status.ok());
}

TEST_CASE("a subsystem refuses what it cannot serve") {
  DeviceRig rig;
  auto memory = [] { return *block::CreateMemoryDevice({.block_count = 64}); };
  using AbslCode = absl::StatusCode;
  const auto code = [&](std::shared_ptr<block::Device> device, const NamespaceOptions& options) {
    return rig.subsystem->AddNamespace(std::move(device), options).status().code();
  };
  CHECK(code(nullptr, {}) == AbslCode::kInvalidArgument);
  CHECK(code(*block::CreateMemoryDevice({.block_count = 64, .max_transfer_bytes = 65536}), {}) ==
        AbslCode::kInvalidArgument);
  CHECK(code(memory(), {.nsid = 1025}) == AbslCode::kResourceExhausted);
  CHECK(code(memory(), {.hosts = {"me"}}) == AbslCode::kInvalidArgument);
  CHECK(code(memory(), {.nsid = 5}) == AbslCode::kOk);
  CHECK(code(memory(), {.nsid = 5}) == AbslCode::kAlreadyExists);
  CHECK(absl::IsNotFound(rig.subsystem->RemoveNamespace(6)));
  CHECK(absl::IsNotFound(rig.subsystem->SetQos(6, {})));
  SubsystemOptions small = DeviceRig::Options();
  small.max_namespaces = 1;
  DeviceRig full(small);
  full.AddMemory(64);
  CHECK(full.subsystem->AddNamespace(memory(), {}).status().code() == AbslCode::kResourceExhausted);
}

TEST_CASE("limits delay commands and fail none") {
  test::ManualClock clock;
  SubsystemOptions options = DeviceRig::Options();
  options.clock = &clock;
  DeviceRig rig(options);
  rig.AddMemory(64, 4096, {.qos = {.iops = 1000, .burst_ms = 10}});
  std::deque<TestCommand> reads;
  StartReads(rig, reads, 50);
  // A burst of 10 ms is ten commands and the one whose time it is.
  const auto done = [&] {
    for (int i = 0; i < 10; ++i) rig.lane->Poll(64);
    return DoneCount(reads);
  };
  CHECK(done() == 11);
  CHECK(rig.Admin(AdminEntry(AdminOpcode::kKeepAlive)).status.ok());  // It never waits.
  clock.now_ns += 5'000'000;
  CHECK(done() == 16);
  REQUIRE(rig.subsystem->SetQos(1, {.bytes_per_second = 4096 * 100, .burst_ms = 0}).ok());
  CHECK(done() == 17);
  clock.now_ns += 10'000'000;
  CHECK(done() == 18);
  CHECK(done() == 18);
  REQUIRE(rig.subsystem->SetQos(1, {}).ok());
  CHECK(done() == 50);
  for (const TestCommand& read : reads) CHECK(read.command.status.ok());
  // Limits that no clock could count are limits still.
  REQUIRE(rig.subsystem->SetQos(1, {.bytes_per_second = 1, .burst_ms = ~uint64_t{0}}).ok());
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 1)).status.ok());
}

TEST_CASE("a write that waits does not begin when its controller has ended") {
  test::ManualClock clock;
  SubsystemOptions options = DeviceRig::Options();
  options.clock = &clock;
  DeviceRig rig(options);
  block::FaultDisk disk({.block_count = 64});
  rig.Add(disk.Open(), {.qos = {.iops = 1000, .burst_ms = 0}});
  std::deque<TestCommand> writes;
  for (uint32_t i = 0; i < 3; ++i) {
    rig.io->Start(&writes.emplace_back(BlocksEntry(IoOpcode::kWrite, 1, i, 1), 4096).command);
  }
  while (writes[0].done_count == 0) rig.lane->Poll(8);
  rig.Shut(rig.admin);
  while (rig.io->in_flight() > 0) {
    clock.now_ns += 1'000'000;
    rig.lane->Poll(8);
  }
  CHECK(writes[0].command.status.ok());
  for (uint32_t i : {1, 2}) {
    CHECK(writes[i].command.status == Status(Code::kAbortedQueueDeleted));
  }
  CHECK(disk.unflushed_writes() == 1);
}

// Refuses channels as often as it is told to.
class ReluctantDevice final : public block::Device {
 public:
  explicit ReluctantDevice(int refusals) : refusals_(refusals) {}
  const block::Geometry& geometry() const override { return base_->geometry(); }
  std::string name() const override { return "reluctant"; }
  absl::StatusOr<std::unique_ptr<block::Channel>> OpenChannel(
      const block::ChannelOptions& options) override {
    if (refusals_-- > 0) return absl::ResourceExhaustedError("no channel");
    return base_->OpenChannel(options);
  }

 private:
  const std::unique_ptr<block::Device> base_ = *block::CreateMemoryDevice({.block_count = 64});
  int refusals_;
};

TEST_CASE("a channel that could not be opened is tried again") {
  test::ManualClock clock;
  SubsystemOptions options = DeviceRig::Options();
  options.clock = &clock;
  DeviceRig rig(options);
  rig.Add(std::make_shared<ReluctantDevice>(2));
  rig.Add(std::make_shared<ReluctantDevice>(1));
  const auto read = [&](uint32_t nsid) {
    return rig.Io(BlocksEntry(IoOpcode::kRead, nsid, 0, 1)).status;
  };
  CHECK(read(1) == Status(Code::kNamespaceNotReady));  // Both are refused once.
  CHECK(read(2) == Status(Code::kNamespaceNotReady));
  clock.now_ns += 1'000'000'000;
  CHECK(read(1) == Status(Code::kNamespaceNotReady));
  CHECK(read(2).ok());
  CHECK(read(1) == Status(Code::kNamespaceNotReady));  // Not with every command.
  rig.AddMemory(64);                                   // But with a change.
  CHECK(read(1).ok());
}

bool IsReadable(int fd, int timeout_ms) {
  pollfd waiter{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&waiter, 1, timeout_ms) == 1;
}

TEST_CASE("a lane that sleeps is woken by completions, limits and changes") {
  DeviceRig rig;
  char path[] = "/tmp/strata-nvme-io-XXXXXX";
  const int file = mkstemp(path);
  REQUIRE(file >= 0);
  close(file);
  auto opened = block::OpenFileDevice({.path = path, .size_bytes = 1 << 20});
  unlink(path);
  REQUIRE(opened.ok());
  rig.Add(*std::move(opened));
  rig.AddMemory(64);
  const absl::StatusOr<int> fd = rig.lane->EventFd();
  REQUIRE(fd.ok());
  CHECK(*rig.lane->EventFd() == *fd);
  const auto sleep_until_done = [&](std::deque<TestCommand>& commands) {
    while (rig.io->in_flight() > 0) {
      while (rig.lane->Poll(4) > 0) {
      }
      if (rig.io->in_flight() == 0) break;
      REQUIRE(IsReadable(*fd, 20'000));
    }
    for (const TestCommand& command : commands) CHECK(command.command.status.ok());
    int wakes = 0;
    while (IsReadable(*fd, 1) && wakes < 100) {
      rig.lane->Poll(4);
      ++wakes;
    }
    CHECK(wakes < 100);
  };
  for (int round = 0; round < 10; ++round) {
    std::deque<TestCommand> reads;
    StartReads(rig, reads, 8, 1);
    StartReads(rig, reads, 8, 2);
    sleep_until_done(reads);
  }
  REQUIRE(rig.subsystem->SetQos(2, {.iops = 200, .burst_ms = 0}).ok());
  std::deque<TestCommand> limited;
  StartReads(rig, limited, 4, 2);
  sleep_until_done(limited);
  // A channel to the kernel signals only what it was polled to start. What a thin file never got is
  // read without the kernel, so that these blocks are written first.
  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kWrite, 1, 0, 8), RandomBytes(8 * 4096)).status.ok());
  REQUIRE(rig.subsystem->SetQos(1, {.iops = 200, .burst_ms = 0}).ok());
  std::deque<TestCommand> limited_file;
  StartReads(rig, limited_file, 4, 1);
  sleep_until_done(limited_file);
  REQUIRE(rig.subsystem->SetQos(1, {}).ok());
  // Another thread changes the table: the sleeper takes it over.
  std::thread([&] {
    (void)rig.subsystem->AddNamespace(*block::CreateMemoryDevice({.block_count = 8}), {});
  }).join();
  CHECK(IsReadable(*fd, 20'000));
  rig.lane->Poll(4);
  CHECK(rig.subsystem->IsSettled(rig.subsystem->generation()));
  std::deque<TestCommand> last;
  StartReads(rig, last, 8, 3);
  sleep_until_done(last);
}

}  // namespace
}  // namespace strata::nvme
