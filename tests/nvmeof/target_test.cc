// SPDX-License-Identifier: Apache-2.0
//
// What an honest host gets: every digest pair, data in capsules and by R2T, discovery, changes of
// the target while hosts are connected.
#include <catch2/catch.hpp>

#include "strata/nvme/wire/identify.h"
#include "strata/nvme/wire/log_pages.h"
#include "support/nvmeof/target_rig.h"

namespace strata::nvmeof {
namespace {

using nvme::IoOpcode;
using nvme::StatusCode;
using nvme::SubmissionEntry;

std::vector<std::byte> Pattern(size_t size_bytes, uint8_t seed) {
  std::vector<std::byte> data(size_bytes);
  for (size_t i = 0; i < size_bytes; ++i) data[i] = static_cast<std::byte>(seed + i * 7 + i / 512);
  return data;
}

SubmissionEntry Identify(nvme::Cns cns, uint32_t nsid, uint32_t data_bytes = 4096) {
  SubmissionEntry entry =
      MakeEntry(static_cast<uint8_t>(nvme::AdminOpcode::kIdentify), 7, nsid, data_bytes);
  entry.Set(SubmissionEntry::kDword10, static_cast<uint32_t>(cns));
  return entry;
}

SubmissionEntry GetDiscoveryLog(uint64_t offset, uint32_t size_bytes) {
  SubmissionEntry entry =
      MakeEntry(static_cast<uint8_t>(nvme::AdminOpcode::kGetLogPage), 9, 0, size_bytes);
  entry.Set(SubmissionEntry::kDword10,
            static_cast<uint32_t>(nvme::LogPage::kDiscovery) | (size_bytes / 4 - 1) << 16);
  entry.Set(SubmissionEntry::kDword12, static_cast<uint32_t>(offset));
  return entry;
}

TEST_CASE("a host reads what it wrote, with every digest and alignment") {
  const LinkEngine engine = GENERATE(LinkEngine::kEpoll, LinkEngine::kUring);
  TargetRig rig({.engine = engine}, 2);
  const bool header_digest = GENERATE(false, true);
  const bool data_digest = GENERATE(false, true);
  const uint8_t alignment = GENERATE(uint8_t{0}, uint8_t{31});
  const bool flow_control = GENERATE(true, false);
  TargetRig::Host host(rig.endpoint,
                       {.header_digest = header_digest,
                        .data_digest = data_digest,
                        .data_alignment_0based = alignment},
                       {.flow_control = flow_control});
  CHECK(host.io.init().header_digest == header_digest);
  CHECK(host.io.init().data_digest == data_digest);
  CHECK(host.io.init().data_alignment_0based == 0);
  for (const uint32_t blocks : {1u, 8u, 16u, 65u, 256u, 2048u}) {
    const uint32_t bytes = blocks * 512;
    const std::vector<std::byte> data = Pattern(bytes, static_cast<uint8_t>(blocks));
    const auto write = MakeBlocksEntry(IoOpcode::kWrite, 3, 1, 5, blocks, bytes);
    const RawHost::Reply by_r2t = host.io.Transfer(write, data);
    CHECK(by_r2t.status.ok());
    CHECK(by_r2t.r2t_count == 1);
    if (bytes <= 8192) {
      const auto in_capsule = MakeBlocksEntry(IoOpcode::kWrite, 4, 1, 5, blocks, bytes, true);
      const RawHost::Reply written = host.io.Command(in_capsule, data);
      CHECK(written.status.ok());
      CHECK(written.r2t_count == 0);
    }
    const auto read = MakeBlocksEntry(IoOpcode::kRead, 5, 1, 5, blocks, bytes);
    const RawHost::Reply reply = host.io.Command(read);
    CHECK(reply.status.ok());
    CHECK(reply.by_success_flag == !flow_control);
    CHECK((reply.data == data));
  }
}

TEST_CASE("the queue head counts the entries that were taken") {
  TargetRig rig;
  TargetRig::Host host(rig.endpoint, {}, {.queue_entries = 4});
  std::vector<uint16_t> heads;
  for (int i = 0; i < 6; ++i) {
    heads.push_back(host.io.Command(MakeEntry(0, 1, 1, 0)).queue_head);
  }
  CHECK(heads == std::vector<uint16_t>{2, 3, 0, 1, 2, 3});
}

TEST_CASE("an Identify buffer may be larger than the answer") {
  TargetRig rig;
  TargetRig::Host host(rig.endpoint);
  const RawHost::Reply reply = host.admin.Command(Identify(nvme::Cns::kController, 0, 8192));
  REQUIRE(reply.status.ok());
  REQUIRE(reply.data.size() == 4096);
  nvme::IdentifyController identify;
  std::ranges::copy(reply.data, identify.bytes.begin());
  using C = nvme::IdentifyController;
  CHECK(identify.Get(C::kControllerId) == host.controller_id);
  CHECK((identify.Get(C::kSglSupport) & 3) == 1);
  CHECK(identify.Get(C::kCommandCapsuleUnits) == (64 + 8192) / 16);
  CHECK(identify.Get(C::kResponseCapsuleUnits) == 1);
  CHECK(identify.Get(C::kInCapsuleOffset) == 0);
  CHECK(identify.Get(C::kKeepAliveUnits) > 0);
  CHECK(identify.Get(C::kFabricsCommands) == 1);
}

TEST_CASE("Disconnect ends an I/O queue") {
  TargetRig rig;
  TargetRig::Host host(rig.endpoint);
  SubmissionEntry disconnect = MakeEntry(nvme::kFabricsOpcode, 9, 0, 0);
  disconnect.Set(SubmissionEntry::kNamespaceId,
                 static_cast<uint32_t>(nvme::FabricsType::kDisconnect));
  CHECK(host.admin.Command(disconnect).status ==
        nvme::Status(StatusCode::kDisconnectInvalidQueueType).DoNotRetry());
  CHECK(host.io.Command(disconnect).status.ok());
  CHECK(host.io.IsEnded());
  CHECK(TargetRig::Soon([&] { return rig.subsystem->Controllers()[0].queue_count == 1; }));
}

TEST_CASE("a host that goes takes its controller with it") {
  TargetRig rig({}, 2);
  {
    TargetRig::Host host(rig.endpoint);
    CHECK(rig.subsystem->Controllers().size() == 1);
    CHECK(rig.target->Connections().size() == 2);
  }
  CHECK(TargetRig::Soon([&] { return rig.subsystem->Controllers().empty(); }));
  CHECK(TargetRig::Soon([&] { return rig.target->Connections().empty(); }));
}

TEST_CASE("connections are told with what they did") {
  TargetRig rig;
  TargetRig::Host host(rig.endpoint, {.header_digest = true});
  const std::vector<std::byte> data = Pattern(4096, 1);
  REQUIRE(host.io.Transfer(MakeBlocksEntry(IoOpcode::kWrite, 3, 1, 0, 8, 4096), data).status.ok());
  REQUIRE(host.io.Command(MakeBlocksEntry(IoOpcode::kRead, 3, 1, 0, 8, 4096)).status.ok());
  const auto connections = rig.target->Connections();
  const auto io = std::ranges::find(connections, 1, &ConnectionInfo::queue_id);
  REQUIRE(io != connections.end());
  CHECK(io->host_nqn == RawHost::ConnectOptions{}.host_nqn);
  CHECK(io->subsystem_nqn == rig.subsystem->options().nqn);
  CHECK(io->controller_id == host.controller_id);
  CHECK(io->has_header_digest);
  CHECK_FALSE(io->has_data_digest);
  CHECK(io->bytes_to_host == 4096);
  CHECK(io->bytes_from_host == 4096 + 1024);  // And the data of Connect.
  CHECK(io->commands == 3);
  CHECK(io->local == rig.endpoint);
  CHECK(rig.target->statistics().connections_accepted == 2);
}

TEST_CASE("discovery names what the asking host may reach") {
  TargetRig rig;
  auto closed = *nvme::CreateSubsystem({.nqn = "nqn.2026-11.org.example:closed"});
  REQUIRE(rig.target->AddSubsystem(closed).ok());
  const Endpoint referral = *ParseEndpoint("[::1]:8009");
  REQUIRE(rig.target->AddReferral({referral}).ok());
  const Endpoint discovery_only = *rig.target->AddListener(
      {.endpoint = *ParseEndpoint("127.0.0.1:0"), .is_discovery_only = true});

  RawHost host(discovery_only);
  host.Init();
  RawHost::ConnectOptions options{.subsystem_nqn = nvme::kDiscoveryNqn};
  REQUIRE(host.Connect(options).status.ok());
  host.Enable();
  const auto read_log = [&] {
    const RawHost::Reply header = host.Command(GetDiscoveryLog(0, 1024));
    REQUIRE(header.status.ok());
    const uint64_t count = LoadLe64(header.data.data() + 8);
    const RawHost::Reply log =
        host.Command(GetDiscoveryLog(0, static_cast<uint32_t>(1024 * (count + 1))));
    REQUIRE(log.status.ok());
    std::vector<std::string> lines;
    for (uint64_t i = 1; i <= count; ++i) {
      nvme::DiscoveryLogEntry entry;
      std::copy_n(log.data.begin() + static_cast<ptrdiff_t>(1024 * i), 1024, entry.bytes.begin());
      using E = nvme::DiscoveryLogEntry;
      lines.push_back(std::to_string(entry.Get(E::kSubsystemType)) + " " +
                      std::string(entry.GetText(E::kSubsystemNqn)) + " " +
                      std::string(entry.GetText(E::kAddress)) + ":" +
                      std::string(entry.GetText(E::kServiceId)));
    }
    return std::pair(LoadLe64(header.data.data()), lines);
  };
  const std::string discovery = nvme::kDiscoveryNqn;
  const auto [generation, lines] = read_log();
  CHECK(lines == std::vector<std::string>{
                     "3 " + discovery + " " + ToString(rig.endpoint),
                     "2 " + rig.subsystem->options().nqn + " " + ToString(rig.endpoint),
                     "3 " + discovery + " " + ToString(discovery_only),
                     "1 " + discovery + " ::1:8009",
                 });

  // A change is told to a host that asked for it, and counted.
  SubmissionEntry features =
      MakeEntry(static_cast<uint8_t>(nvme::AdminOpcode::kSetFeatures), 11, 0, 0);
  features.Set(SubmissionEntry::kDword10, static_cast<uint32_t>(nvme::Feature::kAsyncEvents));
  features.Set(SubmissionEntry::kDword11, nvme::kDiscoveryNotices);
  REQUIRE(host.Command(features).status.ok());
  host.SendCommand(
      MakeEntry(static_cast<uint8_t>(nvme::AdminOpcode::kAsyncEventRequest), 12, 0, 0));
  REQUIRE(closed->AllowHost(options.host_nqn).ok());
  const RawHost::Reply event = host.Finish();
  CHECK(event.status.ok());
  CHECK(event.result == (0x70u << 16 | 0xf0u << 8 | 2u));
  const auto [later, more] = read_log();
  CHECK(later > generation);
  CHECK(more.size() == lines.size() + 1);
}

TEST_CASE("a discovery controller has only what discovery takes") {
  TargetRig rig;
  RawHost host(rig.endpoint);
  host.Init();
  RawHost::ConnectOptions options{.subsystem_nqn = nvme::kDiscoveryNqn};
  const RawHost::Reply connected = host.Connect(options);
  REQUIRE(connected.status.ok());
  host.Enable();
  const RawHost::Reply identify = host.Command(Identify(nvme::Cns::kController, 0));
  REQUIRE(identify.status.ok());
  CHECK(identify.data[nvme::IdentifyController::kControllerType.offset] == std::byte{2});
  CHECK(host.Command(Identify(nvme::Cns::kActiveNamespaces, 0)).status.code() ==
        StatusCode::kInvalidField);
  CHECK(host.Command(MakeEntry(static_cast<uint8_t>(nvme::AdminOpcode::kAbort), 1, 0, 0))
            .status.code() == StatusCode::kInvalidOpcode);
  RawHost io(rig.endpoint);
  io.Init();
  options.queue_id = 1;
  options.controller_id = static_cast<uint16_t>(connected.result);
  CHECK(io.Connect(options).status.code() == StatusCode::kConnectInvalidParameters);
}

TEST_CASE("a subsystem that is removed takes its connections with it, and no others") {
  TargetRig rig;
  auto other =
      *nvme::CreateSubsystem({.nqn = "nqn.2026-11.org.example:other", .allow_any_host = true});
  REQUIRE(rig.target->AddSubsystem(other).ok());
  TargetRig::Host stays(rig.endpoint);
  TargetRig::Host goes(rig.endpoint, {}, {.subsystem_nqn = other->options().nqn});
  REQUIRE(rig.target->RemoveSubsystem(other->options().nqn).ok());
  CHECK(goes.io.IsEnded());
  CHECK(goes.admin.IsEnded());
  CHECK(TargetRig::Soon([&] { return other->Controllers().empty(); }));
  CHECK(stays.io.Command(MakeEntry(0, 1, 1, 0)).status.ok());
  CHECK(absl::IsNotFound(rig.target->RemoveSubsystem(other->options().nqn)));
}

TEST_CASE("a host that may not connect any more is disconnected, and no other") {
  constexpr char kStays[] = "nqn.2026-11.org.example:stays";
  constexpr char kGoes[] = "nqn.2026-11.org.example:goes";
  for (const bool any_host : {false, true}) {
    CAPTURE(any_host);
    TargetRig rig({}, 2);
    REQUIRE(rig.subsystem->AllowHost(kStays).ok());
    if (!any_host) REQUIRE(rig.subsystem->AllowHost(kGoes).ok());
    rig.subsystem->SetAllowAnyHost(any_host);
    TargetRig::Host stays(rig.endpoint, {}, {.host_nqn = kStays});
    TargetRig::Host goes(rig.endpoint, {}, {.host_nqn = kGoes});
    // It owes the data of a write.
    goes.io.SendCommand(MakeBlocksEntry(nvme::IoOpcode::kWrite, 1, 1, 0, 32, 16384));
    const std::optional<RawHost::Pdu> asked = goes.io.Receive();
    REQUIRE(asked.has_value());
    REQUIRE(asked->header.type == PduType::kReadyToTransfer);
    if (any_host) {
      rig.subsystem->SetAllowAnyHost(false);
    } else {
      REQUIRE(rig.subsystem->DisallowHost(kGoes).ok());
    }
    CHECK(goes.io.IsEnded());
    CHECK(goes.admin.IsEnded());
    CHECK(TargetRig::Soon([&] { return rig.subsystem->Controllers().size() == 1; }));
    CHECK(stays.io.Command(MakeEntry(0, 1, 1, 0)).status.ok());
    RawHost again(rig.endpoint);
    again.Init();
    CHECK(again.Connect({.host_nqn = kGoes}).status ==
          nvme::Status(StatusCode::kConnectInvalidHost).DoNotRetry());
  }
}

TEST_CASE("a listener that is removed accepts nobody; who came by it stays") {
  TargetRig rig;
  TargetRig::Host host(rig.endpoint);
  CHECK(absl::IsAlreadyExists(rig.target->AddListener({.endpoint = rig.endpoint}).status()));
  REQUIRE(rig.target->RemoveListener(rig.endpoint).ok());
  CHECK_THROWS_AS(RawHost(rig.endpoint), std::runtime_error);
  CHECK(host.io.Command(MakeEntry(0, 1, 1, 0)).status.ok());
  CHECK(absl::IsNotFound(rig.target->RemoveListener(rig.endpoint)));
}

TEST_CASE("a target that drains answers what was sent, and then ends") {
  TargetRig rig({}, 2);
  TargetRig::Host host(rig.endpoint);
  host.admin.SendCommand(
      MakeEntry(static_cast<uint8_t>(nvme::AdminOpcode::kAsyncEventRequest), 12, 0, 0));
  // The R2T of a write is outstanding.
  const std::vector<std::byte> data = Pattern(65536, 9);
  host.io.SendCommand(MakeBlocksEntry(IoOpcode::kWrite, 3, 1, 0, 128, 65536));
  const auto r2t = host.io.Receive();
  REQUIRE(r2t->header.type == PduType::kReadyToTransfer);
  rig.target->Drain();
  CHECK(TargetRig::Soon([&] { return rig.target->Listeners().empty(); }));
  host.io.SendData(
      {.command_id = 3, .transfer_tag = r2t->header.transfer.transfer_tag, .length_bytes = 65536},
      true, data);
  CHECK(host.io.Finish().status.ok());
  CHECK(host.io.IsEnded());
  CHECK(host.admin.IsEnded());
  CHECK(TargetRig::Soon([&] { return rig.target->Connections().empty(); }));
}

TEST_CASE("commands wait for memory and none is lost") {
  // A pool that holds one transfer of one controller at a time.
  TargetRig rig({.pool_bytes = 2u << 20});
  TargetRig::Host host(rig.endpoint);
  const uint32_t blocks = 2048;
  const uint32_t bytes = blocks * 512;
  for (uint16_t id = 1; id <= 8; ++id) {
    host.io.SendCommand(MakeBlocksEntry(IoOpcode::kWrite, id, 1, 0, blocks, bytes));
  }
  const std::vector<std::byte> data = Pattern(bytes, 3);
  for (int i = 0; i < 8; ++i) CHECK(host.io.Finish(data).status.ok());
  // In capsules beside it: their connection waits, and goes on.
  for (uint16_t id = 1; id <= 20; ++id) {
    host.io.SendCommand(MakeBlocksEntry(IoOpcode::kRead, id, 1, 0, blocks, bytes));
    host.io.SendCommand(
        MakeBlocksEntry(IoOpcode::kWrite, static_cast<uint16_t>(100 + id), 1, 4000, 16, 8192, true),
        std::span(data).first(8192));
    host.io.Finish();
    host.io.Finish();
  }
}

TEST_CASE("a device that reads nothing does not show what others wrote") {
  TargetRig rig;
  REQUIRE(rig.subsystem
              ->AddNamespace(
                  *block::CreateNullDevice({.block_count = 1024, .block_size_bytes = 512}), {})
              .ok());
  TargetRig::Host writer(rig.endpoint);
  TargetRig::Host reader(rig.endpoint);
  for (const uint32_t bytes : {4096u, 131072u}) {
    const std::vector<std::byte> secret(bytes, std::byte{0x53});
    REQUIRE(
        writer.io.Transfer(MakeBlocksEntry(IoOpcode::kWrite, 1, 1, 0, bytes / 512, bytes), secret)
            .status.ok());
    const RawHost::Reply read =
        reader.io.Command(MakeBlocksEntry(IoOpcode::kRead, 1, 2, 0, bytes / 512, bytes));
    REQUIRE(read.status.ok());
    CHECK((read.data == std::vector<std::byte>(bytes)));
  }
}

TEST_CASE("a target checks its options") {
  const auto refused = [](const TargetOptions& options) {
    return absl::IsInvalidArgument(Target::Create(options).status());
  };
  CHECK(refused({.max_connections = 0}));
  CHECK(refused({.pool_bytes = 100'000}));
  CHECK(refused({.max_host_data_bytes = 4100}));
  CHECK(refused({.socket_buffer_bytes = 1000}));
  CHECK(refused({.connect_timeout_ms = 0}));
  auto target = *Target::Create({.pool_bytes = 1u << 20});
  auto subsystem = *nvme::CreateSubsystem({.nqn = "nqn.2026-11.org.example:large"});
  CHECK(absl::IsInvalidArgument(target->AddSubsystem(subsystem)));
}

}  // namespace
}  // namespace strata::nvmeof
