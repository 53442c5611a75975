// SPDX-License-Identifier: Apache-2.0
//
// Admin commands: what is announced works, and what is not is refused.
#include <catch2/catch.hpp>

#include "device/command_table.h"
#include "strata/nvme/wire/identify.h"
#include "support/nvme/device_rig.h"

namespace strata::nvme {
namespace {

using Code = StatusCode;

TEST_CASE("Identify Controller tells who it is and what it can do") {
  SubsystemOptions options = DeviceRig::Options();
  options.serial_number = "SN42";
  options.model_number = "Model";
  DeviceRig rig(options);
  const Answer answer = rig.Admin(IdentifyEntry(Cns::kController));
  REQUIRE(answer.status.ok());
  const auto c = answer.As<IdentifyController>();
  using C = IdentifyController;
  CHECK(c.GetText(C::kSerialNumber) == "SN42");
  CHECK(c.GetText(C::kModelNumber) == "Model");
  CHECK(c.GetText(C::kSubsystemNqn) == kTestNqn);
  CHECK(c.Get(C::kControllerId) == rig.admin->controller_id());
  CHECK(4096u << c.Get(C::kMaxTransfer) == options.max_transfer_bytes);
  CHECK(c.Get(C::kNamespaceCount) == options.max_namespaces);
  CHECK(c.Get(C::kIoCommands) == (kOncsCompare | kOncsDatasetManagement | kOncsWriteZeroes |
                                  kOncsSaveAndSelect | kOncsVerify));
  CHECK(c.Get(C::kVolatileWriteCache) == 7);
  CHECK(c.Get(C::kKeepAliveUnits) == 1);
  CHECK(c.Get(C::kFusedOperations) == 0);
}

TEST_CASE("every opcode is in the effects log or refused") {
  DeviceRig rig;
  rig.AddMemory(64);
  const Answer log = rig.Admin(LogEntry(LogPage::kCommandEffects, 4096));
  REQUIRE(log.status.ok());
  for (uint32_t opcode = 0; opcode < 256; ++opcode) {
    CAPTURE(opcode);
    SubmissionEntry entry;
    entry.Set(SubmissionEntry::kOpcode, static_cast<uint8_t>(opcode));
    entry.Set(SubmissionEntry::kNamespaceId, 1);
    const bool admin_known = (log.Le32(4 * opcode) & kEffectSupported) != 0;
    if (opcode != kFabricsOpcode) {
      CHECK((rig.admin->Examine(entry).status.code() == Code::kInvalidOpcode) == !admin_known);
    }
    const bool io_known = (log.Le32(1024 + 4 * opcode) & kEffectSupported) != 0;
    CHECK((rig.io->Examine(entry).status.code() == Code::kInvalidOpcode) == !io_known);
  }
}

TEST_CASE("every CNS, log page and feature is announced or refused") {
  DeviceRig rig;
  rig.AddMemory(64);
  const Answer pages = rig.Admin(LogEntry(LogPage::kSupportedLogPages, 1024));
  const Answer features = rig.Admin(LogEntry(LogPage::kFeatureEffects, 1024));
  REQUIRE(pages.status.ok());
  REQUIRE(features.status.ok());
  int page_count = 0;
  int cns_count = 0;
  int feature_count = 0;
  for (uint32_t i = 0; i < 256; ++i) {
    CAPTURE(i);
    const Answer page = rig.Admin(LogEntry(static_cast<LogPage>(i), 512));
    CHECK(page.status.ok() == ((pages.Le32(4 * i) & 1) != 0));
    if (!page.status.ok()) CHECK(page.status == Status(Code::kInvalidLogPage).DoNotRetry());
    page_count += page.status.ok() ? 1 : 0;
    cns_count += rig.Admin(IdentifyEntry(static_cast<Cns>(i), 1)).status.ok() ? 1 : 0;
    const Answer feature =
        rig.Admin(AdminEntry(AdminOpcode::kGetFeatures, 0, i, i == 0x81 ? 1 : 0));
    CHECK(feature.status.ok() == ((features.Le32(4 * i) & 1) != 0));
    feature_count += feature.status.ok() ? 1 : 0;
  }
  CHECK(page_count == 8);
  CHECK(cns_count == 12);
  CHECK(feature_count == 10);
}

TEST_CASE("namespaces are told as the devices are") {
  DeviceRig rig;
  NamespaceOptions options;
  options.identity.nguid.fill(std::byte{0x11});
  options.identity.eui64.fill(std::byte{0x22});
  options.read_only = true;
  rig.AddMemory(1000, 512, options);
  options = {.nsid = 7};
  rig.AddMemory(64, 4096, options);

  using N = IdentifyNamespace;
  const auto first = rig.Admin(IdentifyEntry(Cns::kNamespace, 1)).As<N>();
  CHECK(first.Get(N::kSize) == 1000);
  CHECK(first.Get(N::kFormat0) == 9u << 16);
  CHECK(first.Get(N::kAttributes) == 1);
  CHECK(first.Get(N::kNguid)[15] == std::byte{0x11});
  CHECK(first.Get(N::kEui64)[7] == std::byte{0x22});
  CHECK(first.Get(N::kWriteGranularity0based) == 7);
  CHECK(first.Get(N::kOptimalWriteSize0based) == 2047);
  CHECK(first.Get(N::kDeallocate) == 9);
  const auto seventh = rig.Admin(IdentifyEntry(Cns::kNamespace, 7)).As<N>();
  CHECK(seventh.Get(N::kFormat0) == 12u << 16);
  CHECK(seventh.Get(N::kAttributes) == 0);

  // One that could exist: zeroes. One that could not: an error.
  CHECK(rig.Admin(IdentifyEntry(Cns::kNamespace, 2)).As<N>().bytes == N().bytes);
  for (const uint32_t nsid : {0u, 1025u, kAllNamespaces}) {
    CHECK(rig.Admin(IdentifyEntry(Cns::kNamespace, nsid)).status.code() == Code::kInvalidNamespace);
  }
  CHECK(rig.Admin(IdentifyEntry(Cns::kNamespaceDescriptors, 2)).status.code() ==
        Code::kInvalidNamespace);
  CHECK(rig.Admin(IdentifyEntry(Cns::kCommandSetNamespace, 1, 2)).status.code() ==
        Code::kInvalidField);

  const Answer list = rig.Admin(IdentifyEntry(Cns::kActiveNamespaces, 0));
  CHECK(list.Le32(0) == 1);
  CHECK(list.Le32(4) == 7);
  CHECK(list.Le32(8) == 0);
  CHECK(rig.Admin(IdentifyEntry(Cns::kActiveNamespaces, 1)).Le32(0) == 7);
  CHECK(rig.Admin(IdentifyEntry(Cns::kActiveNamespaces, 7)).Le32(0) == 0);
  CHECK(rig.Admin(IdentifyEntry(Cns::kActiveNamespaces, 0xfffffffe)).status.code() ==
        Code::kInvalidNamespace);

  const Answer descriptors = rig.Admin(IdentifyEntry(Cns::kNamespaceDescriptors, 1));
  CHECK(descriptors.data[0] == std::byte{1});
  CHECK(descriptors.data[1] == std::byte{8});
  CHECK(descriptors.data[12] == std::byte{2});
  CHECK(descriptors.data[13] == std::byte{16});
  CHECK(descriptors.data[32] == std::byte{4});
  CHECK(descriptors.data[33] == std::byte{1});
  // The namespace that was given no identity has a random UUID.
  const Answer random = rig.Admin(IdentifyEntry(Cns::kNamespaceDescriptors, 7));
  CHECK(random.data[0] == std::byte{3});
  CHECK((random.data[4 + 6] & std::byte{0xf0}) == std::byte{0x40});

  const auto independent =
      rig.Admin(IdentifyEntry(Cns::kIndependentNamespace, 1)).As<IdentifyIndependentNamespace>();
  CHECK(independent.Get(IdentifyIndependentNamespace::kFeatures) == 0x20);  // No cache.
  CHECK(independent.Get(IdentifyIndependentNamespace::kStatus) == 1);
  CHECK(rig.Admin(IdentifyEntry(Cns::kCommandSets)).Le32(0) == 1);
  const Answer ids = rig.Admin(IdentifyEntry(Cns::kControllers));
  CHECK(ids.Le32(0) == (1u | uint32_t{rig.admin->controller_id()} << 16));
}

TEST_CASE("a host sees its own namespaces only") {
  DeviceRig rig;
  rig.AddMemory(64);
  rig.AddMemory(64, 4096, {.hosts = {"nqn.2026-11.org.example:other"}});
  CHECK(rig.Admin(IdentifyEntry(Cns::kActiveNamespaces, 0)).Le32(4) == 0);
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 2, 0, 1)).status.code() == Code::kInvalidNamespace);
  const auto hidden = rig.Admin(IdentifyEntry(Cns::kNamespace, 2)).As<IdentifyNamespace>();
  CHECK(hidden.bytes == IdentifyNamespace().bytes);
  REQUIRE(rig.subsystem->SetHosts(2, {kTestHost}).ok());
  CHECK(rig.Io(BlocksEntry(IoOpcode::kRead, 2, 0, 1)).status.ok());
  CHECK(absl::IsInvalidArgument(rig.subsystem->SetHosts(2, {"me"})));
  CHECK(absl::IsNotFound(rig.subsystem->SetHosts(3, {})));
}

TEST_CASE("every log page is seen through a window") {
  DeviceRig rig;
  rig.AddMemory(64);
  const Answer whole = rig.Admin(LogEntry(LogPage::kCommandEffects, 4096));
  for (const uint32_t offset : {0u, 4u, 1024u, 4092u}) {
    const Answer part = rig.Admin(LogEntry(LogPage::kCommandEffects, 64, offset));
    REQUIRE(part.status.ok());
    for (uint32_t i = 0; i < 64; ++i) {
      CAPTURE(offset, i);
      const std::byte wanted =
          offset + i < 4096 ? whole.data[offset + i] : std::byte{0};  // Zeroes past the end.
      REQUIRE(part.data[i] == wanted);
    }
  }
  CHECK(rig.Admin(LogEntry(LogPage::kHealth, 4096)).data[4095] == std::byte{0});
  CHECK(rig.Admin(LogEntry(LogPage::kHealth, 64, 516)).status.code() == Code::kInvalidField);
  CHECK(rig.Admin(LogEntry(LogPage::kHealth, 64, 2)).status.code() == Code::kInvalidField);
  CHECK(rig.Admin(LogEntry(LogPage::kHealth, 64, uint64_t{1} << 40)).status.code() ==
        Code::kInvalidField);
  CHECK(rig.Admin(LogEntry(LogPage::kErrors, (1u << 20) + 4)).status.code() == Code::kInvalidField);
  CHECK(rig.Admin(LogEntry(LogPage::kErrors, 1u << 20)).status.ok());
}

TEST_CASE("errors and counters are logged") {
  DeviceRig rig;
  rig.AddMemory(64);
  std::vector<std::byte> data(4096 * 4);
  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kWrite, 1, 0, 4), data).status.ok());
  REQUIRE(rig.Io(BlocksEntry(IoOpcode::kRead, 1, 0, 2)).status.ok());
  // Started in spite of its examination, as when a namespace changes in between.
  TestCommand bad(BlocksEntry(IoOpcode::kRead, 1, 99, 1));
  bad.command.entry.Set(SubmissionEntry::kCommandId, 0x77);
  rig.io->Start(&bad.command);
  while (bad.done_count == 0) rig.lane->Poll(1);
  CHECK(bad.command.status == Status(Code::kLbaOutOfRange).DoNotRetry());

  const auto error = rig.Admin(LogEntry(LogPage::kErrors, 64)).As<ErrorLogEntry>();
  CHECK(error.Get(ErrorLogEntry::kErrorCount) == 1);
  CHECK(error.Get(ErrorLogEntry::kQueueId) == 1);
  CHECK(error.Get(ErrorLogEntry::kCommandId) == 0x77);
  CHECK(error.Get(ErrorLogEntry::kStatus) == bad.command.status.field() << 1);
  CHECK(error.Get(ErrorLogEntry::kLba) == 99);
  CHECK(error.Get(ErrorLogEntry::kNamespaceId) == 1);
  const auto health = rig.Admin(LogEntry(LogPage::kHealth, 512)).As<HealthLog>();
  CHECK(health.Get(HealthLog::kReadCommands) == 1);
  CHECK(health.Get(HealthLog::kWriteCommands) == 1);
  CHECK(health.Get(HealthLog::kDataUnitsWritten) == 1);
  CHECK(health.Get(HealthLog::kErrorLogEntries) == 1);
  const ControllerState state = rig.subsystem->Controllers()[0];
  CHECK(state.reads == 1);
  CHECK(state.written_bytes == 16384);
  CHECK(state.errors == 1);
  CHECK(state.queue_count == 2);
}

TEST_CASE("features have a current, a default and a supported value") {
  DeviceRig rig;
  const auto get = [&](uint32_t feature, uint32_t select = 0, uint32_t dword11 = 0) {
    return rig.Admin(AdminEntry(AdminOpcode::kGetFeatures, 0, feature | select << 8, dword11));
  };
  const auto set = [&](uint32_t feature, uint32_t value, uint32_t nsid = 0, uint32_t flags = 0) {
    return rig.Admin(AdminEntry(AdminOpcode::kSetFeatures, nsid, feature | flags, value));
  };
  CHECK(get(0x06).result == 1);
  CHECK(set(0x06, 0).status.ok());
  CHECK(get(0x06).result == 0);
  CHECK(get(0x06, 1).result == 1);
  CHECK(get(0x06, 2).result == 1);
  CHECK(get(0x06, 3).result == kFeatureIsChangeable);
  CHECK(get(0x06, 4).status.code() == Code::kInvalidField);
  CHECK(set(0x06, 2).status.code() == Code::kInvalidField);
  CHECK(set(0x06, 1, 0, kFeatureSave).status.code() == Code::kFeatureNotSaveable);
  CHECK(set(0x06, 1, 1).status.code() == Code::kFeatureNotPerNamespace);
  CHECK(set(0x06, 1, kAllNamespaces).status.ok());
  CHECK(set(0x02, 1).status.code() == Code::kInvalidField);  // There is one power state.
  CHECK(set(0x04, 300).status.ok());
  CHECK(set(0x04, 200 | 1u << 20).status.ok());
  CHECK(get(0x04).result == 300);
  CHECK(get(0x04, 0, 1u << 20).result == 200);
  CHECK(set(0x04, 1u << 16).status.code() == Code::kInvalidField);  // Sensor 1.
  CHECK(get(0x0f).result == 0);
  CHECK(set(0x0f, 10'000).status.ok());
  CHECK(get(0x0f).result == 10'000);
  CHECK(set(0x81, 0).status.code() == Code::kCommandSequenceError);
  CHECK(get(0x81).status.code() == Code::kInvalidField);  // The short identifier.
  CHECK(get(0x81, 0, 1).data.size() == 16);
  // Queues: granted before there are any.
  CHECK(set(0x07, 3 | 3u << 16).status.code() == Code::kCommandSequenceError);
  rig.Shut(rig.io);
  CHECK(set(0x07, 3 | 3u << 16).result == (3 | 3u << 16));
  CHECK(get(0x07).result == (3 | 3u << 16));
  CHECK(set(0x07, 999 | 999u << 16).result == (63 | 63u << 16));
  CHECK(set(0x07, 0xffff).status.code() == Code::kInvalidField);
}

TEST_CASE("a changed namespace is told once, until the log is read") {
  DeviceRig rig;
  rig.AddMemory(64);
  TestCommand events[5] = {
      TestCommand(AdminEntry(AdminOpcode::kAsyncEventRequest)),
      TestCommand(AdminEntry(AdminOpcode::kAsyncEventRequest)),
      TestCommand(AdminEntry(AdminOpcode::kAsyncEventRequest)),
      TestCommand(AdminEntry(AdminOpcode::kAsyncEventRequest)),
      TestCommand(AdminEntry(AdminOpcode::kAsyncEventRequest)),
  };
  for (int i = 0; i < 4; ++i) rig.admin->Start(&events[i].command);
  CHECK(rig.admin->Examine(events[4].command.entry).status.code() ==
        Code::kAsyncEventLimitExceeded);
  const auto done = [&] {
    rig.lane->Poll(64);
    int count = 0;
    for (const TestCommand& event : events) count += event.done_count;
    return count;
  };
  CHECK(done() == 0);  // The host has not asked for such events.
  REQUIRE(rig.Admin(AdminEntry(AdminOpcode::kSetFeatures, 0, 0x0b, kNamespaceNotices)).status.ok());
  CHECK(done() == 1);
  CHECK(events[0].command.status.ok());
  CHECK(events[0].command.result == 0x040002);
  rig.AddMemory(64);
  CHECK(done() == 1);
  // Read with the event retained: still masked.
  CHECK(rig.Admin(LogEntry(LogPage::kChangedNamespaces, 4096, 0, true)).Le32(4) == 2);
  rig.AddMemory(64);
  CHECK(done() == 1);
  const Answer log = rig.Admin(LogEntry(LogPage::kChangedNamespaces, 4096));
  CHECK(log.Le32(0) == 1);
  CHECK(log.Le32(4) == 2);
  CHECK(log.Le32(8) == 3);
  CHECK(log.Le32(12) == 0);
  CHECK(done() == 1);
  REQUIRE(rig.subsystem->SetQos(2, {.iops = 1000}).ok());
  CHECK(done() == 1);  // Nothing that a host could see.
  REQUIRE(rig.subsystem->RemoveNamespace(2).ok());
  CHECK(done() == 2);
  CHECK(rig.Admin(LogEntry(LogPage::kChangedNamespaces, 4096)).Le32(0) == 2);

  // Abort by command id: the third request.
  events[2].command.entry.Set(SubmissionEntry::kCommandId, 9);
  CHECK(rig.Admin(AdminEntry(AdminOpcode::kAbort, 0, 9u << 16)).result == 0);
  CHECK(done() == 3);
  CHECK(events[2].command.status.code() == Code::kAbortRequested);
  CHECK(rig.Admin(AdminEntry(AdminOpcode::kAbort, 0, 9u << 16)).result == 1);
  rig.admin->Close();
  CHECK(done() == 4);
  CHECK(events[3].command.status.code() == Code::kAbortedQueueDeleted);
}

TEST_CASE("more changed namespaces than the log holds are told as all") {
  SubsystemOptions options = DeviceRig::Options();
  options.max_namespaces = 1100;
  DeviceRig rig(options);
  std::shared_ptr<block::Device> device = *block::CreateMemoryDevice({.block_count = 8});
  for (uint32_t i = 0; i < 1025; ++i) rig.Add(device);
  const Answer log = rig.Admin(LogEntry(LogPage::kChangedNamespaces, 4096));
  CHECK(log.Le32(0) == 0xffffffff);
  CHECK(log.Le32(4) == 0);
  CHECK(rig.Admin(LogEntry(LogPage::kChangedNamespaces, 4096)).Le32(0) == 0);
  CHECK(rig.Admin(IdentifyEntry(Cns::kActiveNamespaces, 0)).Le32(4092) == 1024);
  CHECK(rig.Admin(IdentifyEntry(Cns::kActiveNamespaces, 1024)).Le32(0) == 1025);
}

TEST_CASE("properties are reached by commands too") {
  DeviceRig rig;
  FabricsCommand fabrics;
  fabrics.Set(FabricsCommand::kOpcode, kFabricsOpcode);
  fabrics.Set(FabricsCommand::kType, static_cast<uint8_t>(FabricsType::kPropertyGet));
  fabrics.Set(FabricsCommand::kPropertyOffset, 0x1c);
  SubmissionEntry entry;
  const auto run = [&] {
    entry.bytes = fabrics.bytes;
    return rig.Admin(entry);
  };
  CHECK(run().result == 1);
  fabrics.Set(FabricsCommand::kPropertyAttributes, 1);
  CHECK(run().status.code() == Code::kInvalidField);
  fabrics.Set(FabricsCommand::kPropertyOffset, 0);
  CHECK(cap::kMaxQueueEntries0based.Of(run().result) == 1023);
  fabrics.Set(FabricsCommand::kPropertyAttributes, 2);
  CHECK(run().status.code() == Code::kInvalidField);
  fabrics.Set(FabricsCommand::kPropertyAttributes, 0);
  fabrics.Set(FabricsCommand::kPropertyOffset, 0x14);
  fabrics.Set(FabricsCommand::kType, static_cast<uint8_t>(FabricsType::kPropertySet));
  CHECK(run().status.ok());  // CC = 0: a reset.
  CHECK(!rig.io->is_alive());
  fabrics.Set(FabricsCommand::kType, static_cast<uint8_t>(FabricsType::kAuthenticationSend));
  CHECK(run().status.code() == Code::kInvalidOpcode);
}

}  // namespace
}  // namespace strata::nvme
