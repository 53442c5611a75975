// SPDX-License-Identifier: Apache-2.0
//
// A subsystem with one connected host, driven by hand: what a transport does, in a few lines.
//
//   DeviceRig rig;
//   rig.AddMemory(1024);
//   CHECK(rig.Io(ReadEntry(1, 0, 8)).status.ok());
//
// Thread safety: none.
#pragma once

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "strata/block/buffer.h"
#include "strata/block/devices.h"
#include "strata/nvme/subsystem.h"
#include "strata/nvme/wire/identify.h"
#include "strata/nvme/wire/log_pages.h"
#include "strata/nvme/wire/registers.h"

namespace strata::nvme {

inline constexpr char kTestNqn[] = "nqn.2026-11.org.example:test";
inline constexpr char kTestHost[] = "nqn.2014-08.org.nvmexpress:uuid:host-1";
inline constexpr uint32_t kEnabled =
    static_cast<uint32_t>(1u | 6u << 16 | 4u << 20);  // CC.EN, entries of 64 and 16 bytes.

// A command with memory of its own.
struct TestCommand {
  explicit TestCommand(const SubmissionEntry& entry, size_t data_bytes = 0)
      : buffer(data_bytes == 0 ? block::Buffer() : block::Buffer(data_bytes)) {
    command.entry = entry;
    if (data_bytes != 0) {
      segment = {buffer.data(), buffer.size()};
      command.data = {&segment, 1};
    }
    command.context = this;
    command.done = [](Command* c) { ++static_cast<TestCommand*>(c->context)->done_count; };
  }
  TestCommand(const TestCommand&) = delete;
  TestCommand& operator=(const TestCommand&) = delete;

  block::Buffer buffer;
  block::Segment segment{};
  Command command;
  int done_count = 0;
};

struct Answer {
  Status status{};
  uint64_t result = 0;
  std::vector<std::byte> data{};

  uint32_t Le32(size_t at) const {
    REQUIRE(data.size() >= at + 4);
    return LoadLe32(data.data() + at);
  }
  template <typename Record>
  Record As() const {
    Record record;
    REQUIRE(data.size() >= record.bytes.size());
    std::memcpy(record.bytes.data(), data.data(), record.bytes.size());
    return record;
  }
};

inline SubmissionEntry BlocksEntry(IoOpcode opcode, uint32_t nsid, uint64_t lba, uint32_t blocks) {
  SubmissionEntry entry;
  entry.Set(SubmissionEntry::kOpcode, static_cast<uint8_t>(opcode));
  entry.Set(SubmissionEntry::kNamespaceId, nsid);
  entry.Set(SubmissionEntry::kStartLba, lba);
  entry.Set(SubmissionEntry::kBlocks0based, static_cast<uint16_t>(blocks - 1));
  return entry;
}

inline SubmissionEntry IdentifyEntry(Cns cns, uint32_t nsid = 0, uint8_t command_set = 0) {
  // CNTID FFFFh: the controller itself, where one is asked about.
  const uint32_t controller = cns == Cns::kCommandSets ? 0xffff0000 : 0;
  return AdminEntry(AdminOpcode::kIdentify, nsid, static_cast<uint32_t>(cns) | controller,
                    uint32_t{command_set} << 24);
}

inline SubmissionEntry LogEntry(LogPage page, uint32_t bytes, uint64_t offset = 0,
                                bool retains_event = false) {
  const uint32_t dwords = bytes / 4 - 1;
  SubmissionEntry entry = AdminEntry(
      AdminOpcode::kGetLogPage, kAllNamespaces,
      static_cast<uint32_t>(page) | (retains_event ? 1u << 15 : 0) | dwords << 16, dwords >> 16);
  entry.Set(SubmissionEntry::kDword12, static_cast<uint32_t>(offset));
  entry.Set(SubmissionEntry::kDword13, static_cast<uint32_t>(offset >> 32));
  return entry;
}

struct DeviceRig {
  static SubsystemOptions Options() { return {.nqn = kTestNqn, .allow_any_host = true}; }

  explicit DeviceRig(const SubsystemOptions& options = Options(), uint32_t channel_depth = 256) {
    auto created = CreateSubsystem(options);
    INFO(created.status());
    REQUIRE(created.ok());
    subsystem = *std::move(created);
    lane = OpenLane(channel_depth);
    admin = Connect({.host_nqn = kTestHost});
    REQUIRE(admin->WriteProperty(0x14, 4, kEnabled).ok());
    io = Connect({.host_nqn = kTestHost, .controller_id = admin->controller_id(), .queue_id = 1});
  }

  ~DeviceRig() {
    Shut(io);
    Shut(admin);
  }

  std::unique_ptr<Lane> OpenLane(uint32_t channel_depth = 256) {
    auto opened = subsystem->OpenLane({.channel_depth = channel_depth});
    REQUIRE(opened.ok());
    return *std::move(opened);
  }

  std::unique_ptr<DeviceQueue> Connect(const ConnectArguments& arguments) {
    Connected connected = subsystem->Connect(*lane, arguments);
    INFO(connected.status.ToString(true));
    REQUIRE(connected.status.ok());
    return std::move(connected.queue);
  }

  void Shut(std::unique_ptr<DeviceQueue>& queue) {
    if (queue == nullptr) return;
    queue->Close();
    while (queue->in_flight() > 0) lane->Poll(64);
    queue.reset();
  }

  uint32_t AddMemory(uint64_t block_count, uint32_t block_size_bytes = 4096,
                     NamespaceOptions options = {}) {
    auto device = block::CreateMemoryDevice(
        {.block_count = block_count, .block_size_bytes = block_size_bytes});
    REQUIRE(device.ok());
    return Add(*std::move(device), std::move(options));
  }

  uint32_t Add(std::shared_ptr<block::Device> device, NamespaceOptions options = {}) {
    auto nsid = subsystem->AddNamespace(std::move(device), options);
    INFO(nsid.status());
    REQUIRE(nsid.ok());
    return *nsid;
  }

  // Examines, moves the data, starts and waits: what a transport does with one command.
  Answer Run(DeviceQueue& queue, const SubmissionEntry& entry,
             std::span<const std::byte> data = {}) {
    const Plan plan = queue.Examine(entry);
    if (!plan.status.ok()) return {.status = plan.status};
    TestCommand test(entry, plan.data_bytes);
    if (plan.direction == DataDirection::kToDevice) {
      REQUIRE(data.size() == plan.data_bytes);
      std::memcpy(test.buffer.data(), data.data(), data.size());
    } else if (plan.data_bytes != 0) {
      std::memset(test.buffer.data(), 0xa5, plan.data_bytes);
    }
    queue.Start(&test.command);
    REQUIRE(test.done_count == 0);
    while (test.done_count == 0) lane->Poll(64);
    REQUIRE(test.done_count == 1);
    Answer answer{.status = test.command.status, .result = test.command.result};
    if (plan.direction == DataDirection::kToHost) {
      answer.data.assign(test.buffer.data(), test.buffer.data() + test.buffer.size());
    }
    return answer;
  }

  Answer Io(const SubmissionEntry& entry, std::span<const std::byte> data = {}) {
    return Run(*io, entry, data);
  }
  Answer Admin(const SubmissionEntry& entry) { return Run(*admin, entry); }

  std::shared_ptr<Subsystem> subsystem;
  std::unique_ptr<Lane> lane;
  std::unique_ptr<DeviceQueue> admin;
  std::unique_ptr<DeviceQueue> io;
};

}  // namespace strata::nvme
