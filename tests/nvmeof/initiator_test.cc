// SPDX-License-Identifier: Apache-2.0
//
// The initiator against our target: the block contract, discovery, events, counters, identities.
#include <catch2/catch.hpp>
#include <deque>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/nvme/wire/log_pages.h"
#include "strata/nvmeof/initiator.h"
#include "support/block/device_contract.h"
#include "support/block/owned_device.h"
#include "support/block/test_io.h"
#include "support/nvmeof/target_rig.h"

namespace strata::nvmeof {
namespace {

using block::Buffer;
using block::Device;
using block::Lba;
using block::Op;
using block::TestIo;

constexpr char kNqn[] = "nqn.2026-11.org.example:test";

std::string UriOf(const Endpoint& endpoint, uint32_t nsid, const std::string& options = "") {
  return absl::StrCat("nvme-tcp:", ToString(endpoint), "/", kNqn, "?nsid=", nsid, options);
}

absl::StatusOr<std::unique_ptr<Device>> OpenUri(const std::string& uri) {
  block::Registry registry = block::Registry::WithDefaults();
  STRATA_CHECK(RegisterNvmeTcp(&registry).ok(), "a registry without nvme-tcp");
  return registry.Open(uri);
}

// A namespace of a target of its own, opened by URI.
std::unique_ptr<Device> RemoteDisk(uint32_t block_size_bytes, bool read_only,
                                   const std::string& options,
                                   const TargetOptions& target_options = {}) {
  auto rig = std::make_shared<TargetRig>(target_options);
  auto base =
      block::CreateMemoryDevice({.block_count = 4096, .block_size_bytes = block_size_bytes});
  auto nsid = rig->subsystem->AddNamespace(*std::move(base), {.read_only = read_only});
  REQUIRE(nsid.ok());
  auto device =
      OpenUri(UriOf(rig->endpoint, *nsid, "&queues=8&connect_timeout_ms=60000" + options));
  INFO(device.status());
  REQUIRE(device.ok());
  return std::make_unique<block::OwnedDevice>(std::move(rig), *std::move(device));
}

block::ContractSubject Subject(const std::string& name, uint32_t block_size_bytes,
                               const std::string& options,
                               const TargetOptions& target_options = {}) {
  const auto make = [=](bool read_only) {
    return RemoteDisk(block_size_bytes, read_only, options, target_options);
  };
  return {name, [=] { return make(false); }, [=] { return make(true); }};
}

TEST_CASE("the block device contract holds over TCP") {
  const block::ContractSubject subjects[] = {
      Subject("512-byte blocks", 512, ""),
      Subject("4096-byte blocks", 4096, ""),
      Subject("header digests", 4096, "&hdgst=1"),
      Subject("data digests", 4096, "&ddgst=1"),
      Subject("both digests", 512, "&hdgst=1&ddgst=1"),
      Subject("io_uring", 4096, "", {.engine = LinkEngine::kUring}),
      Subject("io_uring, both digests", 4096, "&hdgst=1&ddgst=1", {.engine = LinkEngine::kUring}),
  };
  for (const block::ContractSubject& subject : subjects) {
    for (const block::ContractPart& part : block::DeviceContract()) {
      DYNAMIC_SECTION(subject.name << ": " << part.name) { part.run(subject); }
    }
  }
}

std::unique_ptr<nvme::Controller> OpenController(const TargetRig& rig,
                                                 nvme::ControllerOptions options = {}) {
  auto transport =
      ConnectTcp({.endpoint = rig.endpoint, .subsystem_nqn = kNqn, .connect_timeout_ms = 60'000});
  REQUIRE(transport.ok());
  auto controller = nvme::Controller::Open(*std::move(transport), options);
  INFO(controller.status());
  REQUIRE(controller.ok());
  return *std::move(controller);
}

TEST_CASE("a controller over TCP tells what it is, and what cannot be reached says so") {
  TargetRig rig;
  {
    const auto controller = OpenController(rig);
    CHECK(controller->Namespaces() == std::vector<uint32_t>{1});
    CHECK(controller->identify().GetText(nvme::IdentifyController::kSubsystemNqn) == kNqn);
    CHECK(rig.subsystem->Controllers().size() == 1);
    CHECK(absl::IsNotFound(controller->OpenNamespace(2).status()));
  }
  CHECK(TargetRig::Soon([&] { return rig.subsystem->Controllers().empty(); }));
  const auto code = [&](const TcpOptions& options) {
    return nvme::Controller::Open(*ConnectTcp(options), {}).status().code();
  };
  CHECK(code({.endpoint = rig.endpoint, .subsystem_nqn = "nqn.2026-11.org.example:none"}) ==
        absl::StatusCode::kInvalidArgument);
  REQUIRE(rig.target->RemoveListener(rig.endpoint).ok());
  CHECK(code({.endpoint = rig.endpoint, .subsystem_nqn = kNqn}) == absl::StatusCode::kUnavailable);
}

TEST_CASE("a host that is not allowed is told so") {
  TargetRig rig({}, 1, {.nqn = kNqn});
  const auto open = [&] {
    return nvme::Controller::Open(*ConnectTcp({.endpoint = rig.endpoint,
                                               .subsystem_nqn = kNqn,
                                               .host_nqn = "nqn.2026-11.org.example:host"}),
                                  {})
        .status();
  };
  CHECK(absl::IsPermissionDenied(open()));
  REQUIRE(rig.subsystem->AllowHost("nqn.2026-11.org.example:host").ok());
  CHECK(open().ok());
}

TEST_CASE("discovery lists the subsystems, referrals and the service itself") {
  TargetRig rig;
  REQUIRE(rig.target->AddReferral({.endpoint = *ParseEndpoint("[::1]:8009")}).ok());
  std::vector<std::shared_ptr<nvme::Subsystem>> more;
  for (int i = 0; i < 21; ++i) {
    more.push_back(*nvme::CreateSubsystem(
        {.nqn = absl::StrCat("nqn.2026-11.org.example:more-", i), .allow_any_host = true}));
    REQUIRE(rig.target->AddSubsystem(more.back()).ok());
  }
  absl::StatusOr<std::vector<DiscoveryEntry>> entries;
  const auto find = [&](const std::string& nqn) {
    for (const DiscoveryEntry& entry : *entries) {
      if (entry.subsystem_nqn == nqn && entry.subsystem_type == 2) return &entry;
    }
    return static_cast<const DiscoveryEntry*>(nullptr);
  };
  // The workers take the table over in their next round.
  CHECK(TargetRig::Soon([&] {
    entries = Discover({.endpoint = rig.endpoint});
    return entries.ok() && find("nqn.2026-11.org.example:more-20") != nullptr;
  }));
  INFO(entries.status());
  REQUIRE(entries.ok());
  for (int i = 0; i < 21; ++i) {
    CHECK(find(absl::StrCat("nqn.2026-11.org.example:more-", i)) != nullptr);
  }
  const DiscoveryEntry* entry = find(kNqn);
  REQUIRE(entry != nullptr);
  CHECK(entry->transport_type == 3);
  CHECK(entry->address_family == 1);
  CHECK(entry->address == "127.0.0.1");
  CHECK(entry->service_id == std::to_string(rig.endpoint.port));
  int referrals = 0;
  for (const DiscoveryEntry& other : *entries) {
    referrals += other.subsystem_type == 1 && other.address == "::1" ? 1 : 0;
  }
  CHECK(referrals == 1);
}

TEST_CASE("a namespace that is added is noticed, and one that is replaced is not taken for it") {
  TargetRig rig;
  const auto controller = OpenController(rig, {.keep_alive_ms = 2000});
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({.queue_depth = 4});
  Buffer buffer(4096);
  CHECK(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
  auto other = block::CreateMemoryDevice({.block_count = 8192, .block_size_bytes = 512});
  REQUIRE(rig.subsystem->AddNamespace(*std::move(other), {.nsid = 5}).ok());
  const auto soon = [&](auto condition) {
    return TargetRig::Soon([&] {
      controller->Poll();
      return condition();
    });
  };
  CHECK(soon([&] { return controller->Namespaces() == std::vector<uint32_t>{1, 5}; }));
  // Another disk under the same number.
  REQUIRE(rig.subsystem->RemoveNamespace(1).ok());
  CHECK(soon([&] { return controller->Namespaces() == std::vector<uint32_t>{5}; }));
  CHECK(absl::IsUnavailable(ReadBlocking(*channel, Lba{0}, buffer.span())));
  auto next = block::CreateMemoryDevice({.block_count = 4096, .block_size_bytes = 512});
  REQUIRE(rig.subsystem->AddNamespace(*std::move(next), {.nsid = 1}).ok());
  CHECK(soon([&] { return controller->Namespaces() == std::vector<uint32_t>{1, 5}; }));
  const absl::Status replaced = WriteBlocking(*channel, Lba{0}, buffer.span());
  INFO(replaced);
  CHECK(absl::IsUnavailable(replaced));
  CHECK_THAT(std::string(replaced.message()), Catch::Contains("another namespace"));
  CHECK_THAT(std::string(replaced.message()),
             Catch::Contains(", UUID ") || Catch::Contains(": UUID "));
  // Opened by its new identity it works.
  channel.reset();
  device = *controller->OpenNamespace(1);
  channel = *device->OpenChannel({.queue_depth = 4});
  CHECK(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
}

TEST_CASE("Keep Alive keeps a quiet host connected, and a host that is silent is dropped") {
  TargetRig rig;
  const auto controller = OpenController(rig, {.keep_alive_ms = 300});
  const int64_t end_ns = SystemClock().MonotonicNanos() + 1'000'000'000;
  while (SystemClock().MonotonicNanos() < end_ns) {
    controller->Poll();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK(controller->statistics().resets == 0);
  // Nobody polls: the target lets go of it, and the next Poll() connects again.
  CHECK(TargetRig::Soon([&] { return rig.subsystem->Controllers().empty(); }));
  CHECK(TargetRig::Soon([&] {
    controller->Poll();
    return controller->statistics().resets > 0 && controller->health().ok();
  }));
}

TEST_CASE("many channels, each with a full queue") {
  TargetRig rig({}, 2);
  const auto controller = OpenController(rig, {.max_io_queues = 4, .io_queue_entries = 129});
  auto device = *controller->OpenNamespace(1);
  std::vector<std::unique_ptr<block::Channel>> channels;
  for (int i = 0; i < 4; ++i) channels.push_back(*device->OpenChannel({.queue_depth = 128}));
  CHECK(absl::IsResourceExhausted(device->OpenChannel({}).status()));
  CHECK(rig.subsystem->Controllers().at(0).queue_count == 5);
  Buffer buffer(512 * size_t{4096});
  for (size_t i = 0; i < buffer.size(); ++i) buffer.data()[i] = static_cast<std::byte>(i * 7 >> 9);
  for (const Op op : {Op::kWrite, Op::kRead}) {
    Buffer back(buffer.size());
    std::deque<TestIo> ios;
    for (uint32_t i = 0; i < 512; ++i) {
      Buffer& memory = op == Op::kWrite ? buffer : back;
      ios.emplace_back(op, Lba{i * 8}, 8, std::vector{Piece(memory, i * 4096, 4096)});
      REQUIRE(channels[i % 4]->Submit(&ios.back().request).ok());
    }
    for (const auto& channel : channels) {
      while (channel->in_flight() > 0) channel->Poll(64);
    }
    for (const TestIo& io : ios) CHECK(io.request.status.ok());
    if (op == Op::kRead) {
      CHECK(std::equal(buffer.span().begin(), buffer.span().end(), back.data()));
    }
  }
  CHECK(controller->statistics().writes == 512);
  CHECK(controller->statistics().read_bytes == 512 * 4096);
}

TEST_CASE("an admin command does not keep Poll() from its work") {
  TargetRig rig;
  const auto controller = OpenController(rig);
  std::atomic<bool> ends{false};
  std::atomic<int> answered{0};
  std::thread other([&] {
    while (!ends.load()) {
      std::array<std::byte, 4096> page{};
      nvme::SubmissionEntry entry;
      entry.Set(nvme::SubmissionEntry::kOpcode, static_cast<uint8_t>(nvme::AdminOpcode::kIdentify));
      entry.Set(nvme::SubmissionEntry::kDword10, 1);
      auto result = controller->Admin(entry, nvme::DataDirection::kToHost, page);
      if (result.ok() && result->status.ok()) ++answered;
    }
  });
  CHECK(TargetRig::Soon([&] {
    controller->Poll();
    return answered.load() > 50;
  }));
  controller->RequestReset("a test");
  CHECK(TargetRig::Soon([&] {
    controller->Poll();
    return controller->statistics().resets == 1 && controller->health().ok();
  }));
  const int before = answered.load();
  CHECK(TargetRig::Soon([&] {
    controller->Poll();
    return answered.load() > before + 50;
  }));
  ends.store(true);
  other.join();
}

}  // namespace
}  // namespace strata::nvmeof
