// SPDX-License-Identifier: Apache-2.0
//
// Hosts that come and go: who may connect, under which id, and what ends with a controller.
#include <poll.h>

#include <catch2/catch.hpp>

#include "strata/nvme/wire/fabrics.h"
#include "support/block/fault_device.h"
#include "support/manual_clock.h"
#include "support/nvme/device_rig.h"

namespace strata::nvme {
namespace {

using Code = StatusCode;

TEST_CASE("a subsystem checks its options") {
  const auto refused = [](SubsystemOptions options) {
    return CreateSubsystem(options).status().code() == absl::StatusCode::kInvalidArgument;
  };
  CHECK(CreateSubsystem({.nqn = kTestNqn}).ok());
  CHECK(refused({.nqn = ""}));
  CHECK(refused({.nqn = "iqn.2026-11.org.example"}));
  CHECK(refused({.nqn = "nqn." + std::string(220, 'x')}));
  CHECK(refused({.nqn = "nqn.2026-11.org.example:a\nb"}));
  CHECK(refused({.nqn = "nqn.2026-11.org.example:a b"}));
  CHECK(refused({.nqn = kTestNqn, .serial_number = std::string(21, 'x')}));
  CHECK(refused({.nqn = kTestNqn, .model_number = "a\nb"}));
  CHECK(refused({.nqn = kTestNqn, .first_controller_id = 0}));
  CHECK(refused({.nqn = kTestNqn, .first_controller_id = 9, .last_controller_id = 8}));
  CHECK(refused({.nqn = kTestNqn, .max_io_queues = 0}));
  CHECK(refused({.nqn = kTestNqn, .max_queue_entries = 1}));
  CHECK(refused({.nqn = kTestNqn, .max_transfer_bytes = 12288}));
  CHECK(refused({.nqn = kTestNqn, .max_transfer_bytes = 4096}));  // MDTS 0: no limit.
}

TEST_CASE("only hosts on the list connect") {
  DeviceRig rig({.nqn = kTestNqn, .allow_any_host = true});
  auto closed = *CreateSubsystem({.nqn = kTestNqn});
  auto lane = *closed->OpenLane({});
  CHECK(closed->Connect(*lane, {.host_nqn = kTestHost}).status ==
        Status(Code::kConnectInvalidHost).DoNotRetry());
  REQUIRE(closed->AllowHost(kTestHost).ok());
  CHECK(absl::IsAlreadyExists(closed->AllowHost(kTestHost)));
  CHECK(absl::IsInvalidArgument(closed->AllowHost("me")));
  {
    const Connected connected = closed->Connect(*lane, {.host_nqn = kTestHost});
    CHECK(connected.status.ok());
    CHECK(connected.result == connected.queue->controller_id());
    CHECK(closed->DisallowHost(kTestHost).ok());
    CHECK(!connected.queue->is_alive());
  }
  CHECK(absl::IsNotFound(closed->DisallowHost(kTestHost)));
  CHECK(closed->Connect(*lane, {.host_nqn = kTestHost}).status.code() == Code::kConnectInvalidHost);
}

TEST_CASE("a host that may not connect any more loses its controllers, others keep theirs") {
  constexpr char kOtherHost[] = "nqn.2014-08.org.nvmexpress:uuid:host-2";
  for (const bool any_host : {false, true}) {
    CAPTURE(any_host);
    SubsystemOptions options{.nqn = kTestNqn, .allow_any_host = true};
    DeviceRig rig(options);
    block::FaultDisk disk({.block_count = 64});
    rig.Add(disk.Open());
    REQUIRE(rig.subsystem->AllowHost(kOtherHost).ok());
    if (!any_host) {
      REQUIRE(rig.subsystem->AllowHost(kTestHost).ok());
      rig.subsystem->SetAllowAnyHost(false);
    }
    auto other = rig.Connect({.host_nqn = kOtherHost});
    REQUIRE(other->WriteProperty(0x14, 4, kEnabled).ok());
    CHECK(rig.admin->is_alive());
    const int fd = *rig.lane->EventFd();
    while (rig.lane->Poll(8) > 0) {
    }

    // The device has begun a write.
    TestCommand begun(BlocksEntry(IoOpcode::kWrite, 1, 0, 1), 4096);
    rig.io->Start(&begun.command);
    const uint64_t generation = rig.subsystem->host_generation();
    if (any_host) {
      rig.subsystem->SetAllowAnyHost(false);
    } else {
      REQUIRE(rig.subsystem->DisallowHost(kTestHost).ok());
    }
    CHECK(rig.subsystem->host_generation() == generation + 1);
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    CHECK(poll(&wait, 1, 0) == 1);  // Whoever sleeps on the lane is woken.
    CHECK(!rig.admin->is_alive());
    CHECK(!rig.io->is_alive());
    CHECK(other->is_alive());

    // Nothing more begins, nothing enables the controller again, and no queue joins it.
    CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 1)).status.code() ==
          Code::kCommandSequenceError);
    FabricsCommand enable;
    enable.Set(FabricsCommand::kType, static_cast<uint8_t>(FabricsType::kPropertySet));
    enable.Set(FabricsCommand::kPropertyOffset, 0x14);
    enable.Set(FabricsCommand::kPropertyValue, kEnabled);
    SubmissionEntry entry;
    entry.bytes = enable.bytes;
    entry.Set(SubmissionEntry::kOpcode, kFabricsOpcode);
    CHECK(rig.Admin(entry).status.code() == Code::kCommandSequenceError);
    CHECK(rig.admin->WriteProperty(0x14, 4, kEnabled).code() == Code::kCommandSequenceError);
    CHECK(rig.Admin(IdentifyEntry(Cns::kController)).status.code() == Code::kCommandSequenceError);
    const uint16_t id = rig.admin->controller_id();
    CHECK(rig.subsystem
              ->Connect(*rig.lane, {.host_nqn = kTestHost, .controller_id = id, .queue_id = 2})
              .status.code() == Code::kConnectInvalidParameters);
    CHECK(rig.subsystem->Connect(*rig.lane, {.host_nqn = kTestHost}).status ==
          Status(Code::kConnectInvalidHost).DoNotRetry());

    // The controller is there until what the device has begun has ended.
    CHECK(rig.subsystem->Controllers().size() == 2);
    rig.Shut(rig.io);
    CHECK(begun.done_count == 1);
    rig.Shut(rig.admin);
    REQUIRE(rig.subsystem->Controllers().size() == 1);
    CHECK(rig.subsystem->Controllers()[0].host_nqn == kOtherHost);
    CHECK(rig.Run(*other, IdentifyEntry(Cns::kController)).status.ok());
    while (rig.lane->Poll(8) > 0) {
    }
    CHECK(poll(&wait, 1, 0) == 0);  // And sleeps again.

    REQUIRE(rig.subsystem->AllowHost(kTestHost).ok());
    CHECK(other->is_alive());
    CHECK(rig.subsystem->Connect(*rig.lane, {.host_nqn = kTestHost}).status.ok());
  }
}

TEST_CASE("a write that waits does not begin when its host may not connect any more") {
  test::ManualClock clock;
  SubsystemOptions options{.nqn = kTestNqn, .allow_any_host = true, .clock = &clock};
  DeviceRig rig(options);
  block::FaultDisk disk({.block_count = 64});
  rig.Add(disk.Open(), {.qos = {.iops = 10, .burst_ms = 0}});
  TestCommand first(BlocksEntry(IoOpcode::kWrite, 1, 0, 1), 4096);
  TestCommand second(BlocksEntry(IoOpcode::kWrite, 1, 1, 1), 4096);
  rig.io->Start(&first.command);
  rig.io->Start(&second.command);
  rig.subsystem->SetAllowAnyHost(false);
  while (rig.io->in_flight() > 0) {
    clock.now_ns += 100'000'000;
    rig.lane->Poll(8);
  }
  CHECK(first.command.status.ok());  // The device had it.
  CHECK(second.command.status.code() == Code::kAbortedQueueDeleted);
  CHECK(disk.unflushed_writes() == 1);
}

TEST_CASE("a wrong Connect says which parameter is wrong") {
  DeviceRig rig;
  const auto answer = [&](const ConnectArguments& arguments) {
    Connected connected = rig.subsystem->Connect(*rig.lane, arguments);
    CHECK(connected.queue == nullptr);
    CHECK(connected.status.do_not_retry());
    return std::pair(connected.status.code(), connected.result);
  };
  const uint16_t id = rig.admin->controller_id();
  const std::pair no_host{Code::kConnectInvalidParameters, 0x10000u + 512};
  const std::pair no_controller{Code::kConnectInvalidParameters, 0x10000u + 16};
  CHECK(answer({.host_nqn = ""}) == no_host);
  CHECK(answer({.host_nqn = std::string(224, 'n')}) == no_host);
  CHECK(answer({.host_nqn = kTestHost, .controller_id = 3}) == no_controller);
  CHECK(answer({.host_nqn = kTestHost, .controller_id = 77, .queue_id = 2}) == no_controller);
  CHECK(answer({.host_nqn = "nqn.2026-11.org.example:other", .controller_id = id, .queue_id = 2}) ==
        no_controller);
  CHECK(
      answer(
          {.host_nqn = kTestHost, .host_id = {std::byte{1}}, .controller_id = id, .queue_id = 2}) ==
      no_controller);
  CHECK(answer({.host_nqn = kTestHost, .queue_entries = 1}) ==
        std::pair(Code::kConnectInvalidParameters, 44u));
  CHECK(answer({.host_nqn = kTestHost, .queue_entries = 1025}) ==
        std::pair(Code::kConnectInvalidParameters, 44u));
  CHECK(answer({.host_nqn = kTestHost, .controller_id = id, .queue_id = 65}) ==
        std::pair(Code::kConnectInvalidParameters, 42u));
  // An id that is in use; a controller that is not enabled.
  CHECK(answer({.host_nqn = kTestHost, .controller_id = id, .queue_id = 1}).first ==
        Code::kCommandSequenceError);
  auto second = rig.Connect({.host_nqn = kTestHost});
  CHECK(answer({.host_nqn = kTestHost, .controller_id = second->controller_id(), .queue_id = 1})
            .first == Code::kCommandSequenceError);
}

TEST_CASE("controllers have ids of the range, used again as late as possible") {
  auto subsystem = *CreateSubsystem({.nqn = kTestNqn,
                                     .allow_any_host = true,
                                     .first_controller_id = 10,
                                     .last_controller_id = 12});
  auto lane = *subsystem->OpenLane({});
  const ConnectArguments arguments{.host_nqn = kTestHost};
  std::vector<std::unique_ptr<DeviceQueue>> queues;
  for (const uint16_t id : {10, 11, 12}) {
    queues.push_back(std::move(subsystem->Connect(*lane, arguments).queue));
    REQUIRE(queues.back() != nullptr);
    CHECK(queues.back()->controller_id() == id);
  }
  CHECK(subsystem->Connect(*lane, arguments).status == Status(Code::kConnectControllerBusy));
  queues.erase(queues.begin() + 1);
  CHECK(subsystem->Controllers().size() == 2);
  const Connected again = subsystem->Connect(*lane, arguments);
  CHECK(again.status.ok());
  CHECK(again.result == 11);
  queues.clear();
  CHECK(subsystem->Controllers().size() == 1);
}

TEST_CASE("properties follow the controller's life") {
  DeviceRig rig;
  rig.AddMemory(64);
  uint64_t value = 0;
  REQUIRE(rig.admin->ReadProperty(0x00, 8, &value).ok());
  CHECK(cap::kMaxQueueEntries0based.Of(value) == 1023);
  CHECK(cap::kContiguousQueues.Of(value) == 1);
  CHECK(cap::kCommandSets.Of(value) == 0x41);
  REQUIRE(rig.admin->ReadProperty(0x08, 4, &value).ok());
  CHECK(value == 0x20100);
  REQUIRE(rig.admin->ReadProperty(0x1c, 4, &value).ok());
  CHECK(value == 1);
  for (const auto& [offset, size] :
       {std::pair(0x00, 4), {0x08, 8}, {0x20, 4}, {0x04, 4}, {0x1000, 4}}) {
    CAPTURE(offset, size);
    CHECK(rig.admin->ReadProperty(offset, size, &value).code() == Code::kInvalidField);
  }
  CHECK(rig.admin->WriteProperty(0x1c, 4, 0).code() == Code::kInvalidField);
  CHECK(rig.admin->WriteProperty(0x14, 8, kEnabled).code() == Code::kInvalidField);
  CHECK(rig.io->ReadProperty(0x1c, 4, &value).code() == Code::kInvalidField);

  // Shutdown: no more I/O.
  REQUIRE(rig.admin->WriteProperty(0x14, 4, kEnabled | 1u << 14).ok());
  REQUIRE(rig.admin->ReadProperty(0x1c, 4, &value).ok());
  CHECK(csts::kShutdown.Of(value) == 2);
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 1)).status.code() == Code::kCommandSequenceError);

  // Reset: the I/O queue is of the past, the admin queue lives.
  REQUIRE(rig.admin->WriteProperty(0x14, 4, 0).ok());
  CHECK(!rig.io->is_alive());
  CHECK(rig.admin->is_alive());
  CHECK(rig.Admin(IdentifyEntry(Cns::kController)).status.code() == Code::kCommandSequenceError);
  REQUIRE(rig.admin->WriteProperty(0x14, 4, kEnabled).ok());
  CHECK(rig.Admin(IdentifyEntry(Cns::kController)).status.ok());
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 1)).status.code() == Code::kCommandSequenceError);
  rig.Shut(rig.io);
  rig.io = rig.Connect(
      {.host_nqn = kTestHost, .controller_id = rig.admin->controller_id(), .queue_id = 1});
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 1)).status.ok());

  // A configuration that cannot work.
  REQUIRE(rig.admin->WriteProperty(0x14, 4, 0).ok());
  REQUIRE(rig.admin->WriteProperty(0x14, 4, kEnabled | 1u << 7).ok());
  REQUIRE(rig.admin->ReadProperty(0x1c, 4, &value).ok());
  CHECK(csts::kFatal.Of(value) == 1);
  CHECK(csts::kReady.Of(value) == 0);
}

TEST_CASE("a controller ends with its admin queue, and its id is free when all queues are gone") {
  DeviceRig rig;
  rig.AddMemory(64);
  const ConnectArguments late{
      .host_nqn = kTestHost, .controller_id = rig.admin->controller_id(), .queue_id = 2};
  rig.Shut(rig.admin);
  CHECK(!rig.io->is_alive());
  CHECK(rig.subsystem->Controllers().size() == 1);
  CHECK(rig.subsystem->Connect(*rig.lane, late).status.code() == Code::kConnectInvalidParameters);
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 1)).status.code() == Code::kCommandSequenceError);
  rig.Shut(rig.io);
  CHECK(rig.subsystem->Controllers().empty());
}

TEST_CASE("a controller that has ended is not counted among the most there may be") {
  SubsystemOptions options = DeviceRig::Options();
  options.max_controllers = 1;
  DeviceRig rig(options);
  CHECK(rig.subsystem->Connect(*rig.lane, {.host_nqn = kTestHost}).status ==
        Status(Code::kConnectControllerBusy));
  rig.Shut(rig.admin);  // Its I/O queue is still there.
  CHECK(rig.subsystem->Connect(*rig.lane, {.host_nqn = kTestHost}).status.ok());
}

TEST_CASE("silence beyond the Keep Alive timeout is seen") {
  test::ManualClock clock;
  SubsystemOptions options = DeviceRig::Options();
  options.clock = &clock;
  DeviceRig rig(options);
  CHECK(!rig.admin->KeepAliveExpired());
  auto second = rig.Connect({.host_nqn = kTestHost, .keep_alive_ms = 5000});
  clock.now_ns += 5'000'000'000;
  CHECK(!second->KeepAliveExpired());
  clock.now_ns += 1;
  CHECK(second->KeepAliveExpired());
  CHECK(!rig.admin->KeepAliveExpired());  // It asked for none.
  REQUIRE(second->WriteProperty(0x14, 4, kEnabled).ok());
  CHECK(rig.Run(*second, AdminEntry(AdminOpcode::kKeepAlive)).status.ok());
  CHECK(!second->KeepAliveExpired());
  CHECK(rig.Run(*second, AdminEntry(AdminOpcode::kSetFeatures, 0, 0x0f, 100)).status.ok());
  clock.now_ns += 100'000'001;
  CHECK(second->KeepAliveExpired());
}

}  // namespace
}  // namespace strata::nvme
