// SPDX-License-Identifier: Apache-2.0
//
// What users of other targets and initiators reported as broken, tried on ours.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/nvmeof/initiator.h"
#include "support/block/test_io.h"
#include "support/nvmeof/restartable_target.h"
#include "support/rounds.h"

namespace strata::nvmeof {
namespace {

using block::Buffer;
using block::Lba;
using block::Op;
using block::TestIo;

constexpr char kNqn[] = "nqn.2026-11.org.example:test";

std::unique_ptr<nvme::Controller> OpenController(const Endpoint& endpoint,
                                                 const nvme::ControllerOptions& options) {
  auto transport =
      ConnectTcp({.endpoint = endpoint, .subsystem_nqn = kNqn, .connect_timeout_ms = 60'000});
  REQUIRE(transport.ok());
  auto controller = nvme::Controller::Open(*std::move(transport), options);
  INFO(controller.status());
  REQUIRE(controller.ok());
  return *std::move(controller);
}

// A host closes a connection and connects the same queue at once. The target, whose other worker
// still holds the old one, takes the queue id to be in use.
TEST_CASE("a channel that was closed can be opened again at once") {
  TargetRig rig({}, 3);
  const auto controller = OpenController(
      rig.endpoint, {.max_io_queues = 2, .reconnect_ms = 60'000, .has_thread = true});
  const auto device = *controller->OpenNamespace(1);
  Buffer buffer(4096);
  for (uint64_t i = 0; i < test::Rounds(300); ++i) {
    auto channel = device->OpenChannel({.queue_depth = 4});
    INFO("round " << i << ": " << channel.status());
    REQUIRE(channel.ok());
    REQUIRE(WriteBlocking(**channel, Lba{0}, buffer.span()).ok());
  }
}

// A host leaves with commands at the device, and connects its queue again.
TEST_CASE("a queue is connected again while the old one's commands are at the device") {
  TargetRig rig({}, 2);
  RawHost::ConnectOptions options;
  RawHost admin(rig.endpoint);
  admin.Init();
  const RawHost::Reply connected = admin.Connect(options);
  REQUIRE(connected.status.ok());
  admin.Enable();
  options.controller_id = static_cast<uint16_t>(connected.result);
  options.queue_id = 1;
  for (uint64_t i = 0; i < test::Rounds(100); ++i) {
    RawHost io(rig.endpoint);
    io.Init();
    // It may be refused for a while, and then the host tries again.
    REQUIRE(TargetRig::Soon([&] { return io.Connect(options).status.ok(); }));
    for (uint16_t id = 0; id < 16; ++id) {
      io.SendCommand(MakeBlocksEntry(nvme::IoOpcode::kRead, id, 1, 0, 128, 65536));
    }
    if (i % 2 == 0) io.Abort();
  }
  // Two queues of one id at the same time are refused.
  RawHost io(rig.endpoint);
  io.Init();
  REQUIRE(TargetRig::Soon([&] { return io.Connect(options).status.ok(); }));
  RawHost second(rig.endpoint);
  second.Init();
  CHECK(second.Connect(options).status.code() == nvme::StatusCode::kCommandSequenceError);
}

// A program that has one namespace open opens another one after the target was restarted.
TEST_CASE("another namespace is opened after the target was restarted") {
  RestartableTarget target(*block::CreateMemoryDevice({.block_count = 64}));
  const auto controller = OpenController(
      target.endpoint,
      {.keep_alive_ms = 2000, .reconnect_ms = 5, .loss_timeout_ms = 60'000, .has_thread = true});
  const auto first = *controller->OpenNamespace(1);
  const auto channel = *first->OpenChannel({.queue_depth = 4});
  Buffer buffer(4096);
  for (int round = 0; round < 3; ++round) {
    REQUIRE(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
    target.Stop();
    target.Start();
    // Whether the loss was noticed or not.
    absl::StatusOr<std::unique_ptr<block::Device>> second;
    CHECK(TargetRig::Soon([&] {
      second = controller->OpenNamespace(1);
      return second.ok();
    }));
    REQUIRE(second.ok());
    absl::StatusOr<std::unique_ptr<block::Channel>> another;
    CHECK(TargetRig::Soon([&] {
      another = (*second)->OpenChannel({.queue_depth = 4});
      return another.ok();
    }));
    INFO(another.status());
    REQUIRE(another.ok());
    CHECK(ReadBlocking(**another, Lba{0}, buffer.span()).ok());
  }
}

// The disk under a namespace is formatted with other blocks and keeps its identity.
TEST_CASE("a namespace that comes back with another size of block is not written to") {
  RestartableTarget target(*block::CreateMemoryDevice({.block_count = 64}));
  auto device = OpenRestartable(target.endpoint, "&loss_timeout_ms=0");
  REQUIRE(device.ok());
  auto channel = *(*device)->OpenChannel({.queue_depth = 4});
  Buffer buffer(4096);
  REQUIRE(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
  target.Stop();
  target.SetDevice(*block::CreateMemoryDevice({.block_count = 512, .block_size_bytes = 512}));
  target.Start();
  CHECK(TargetRig::Soon([&] {
    const absl::Status status = WriteBlocking(*channel, Lba{0}, buffer.span());
    REQUIRE(absl::IsUnavailable(status));
    return std::string(status.message()).find("another namespace") != std::string::npos;
  }));
  channel.reset();
  auto again = OpenRestartable(target.endpoint, "");
  REQUIRE(again.ok());
  CHECK((*again)->geometry().block_size_bytes == 512);
}

// A namespace goes and comes while several threads read and write on it, and the host hears of it.
TEST_CASE("a namespace goes and comes under the reads and writes of several threads") {
  TargetRig rig({}, 2);
  const std::shared_ptr<block::Device> disk =
      *block::CreateMemoryDevice({.block_count = 256, .block_size_bytes = 4096});
  nvme::NamespaceIdentity identity;
  identity.uuid[0] = std::byte{7};
  REQUIRE(rig.subsystem->AddNamespace(disk, {.nsid = 2, .identity = identity}).ok());
  const auto controller = OpenController(
      rig.endpoint, {.keep_alive_ms = 10'000, .has_thread = true, .thread_poll_ms = 1});
  const auto device = *controller->OpenNamespace(2);
  std::atomic<bool> ends{false};
  std::atomic<uint64_t> done{0};
  std::atomic<uint64_t> wrong{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      auto channel = device->OpenChannel({.queue_depth = 8});
      if (!channel.ok()) {
        ++wrong;
        return;
      }
      Buffer written(4096);
      Buffer read(4096);
      for (uint64_t i = 0; !ends.load(); ++i) {
        const Lba lba{t * 128 + i % 128};
        std::fill_n(written.data(), written.size(), static_cast<std::byte>(i));
        absl::Status status = WriteBlocking(**channel, lba, written.span());
        if (status.ok()) status = ReadBlocking(**channel, lba, read.span());
        if (status.ok()) {
          ++done;
          if (!block::SameBytes(written.span(), read.span())) ++wrong;
        } else if (!absl::IsUnavailable(status)) {
          ++wrong;
        }
      }
    });
  }
  for (uint64_t i = 0; i < test::Rounds(50); ++i) {
    const uint64_t before = done.load();
    CHECK(TargetRig::Soon([&] { return done.load() > before; }));
    REQUIRE(rig.subsystem->RemoveNamespace(2).ok());
    if (i % 2 == 0) {
      CHECK(TargetRig::Soon([&] { return controller->Namespaces() == std::vector<uint32_t>{1}; }));
    }
    REQUIRE(rig.subsystem->AddNamespace(disk, {.nsid = 2, .identity = identity}).ok());
  }
  const uint64_t before = done.load();
  CHECK(TargetRig::Soon([&] { return done.load() > before + 10; }));
  ends.store(true);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

// A target exports the namespace of another target.
TEST_CASE("a target serves the namespace of another target") {
  RestartableTarget inner(*block::CreateMemoryDevice({.block_count = 1024}));
  auto middle = OpenRestartable(inner.endpoint, "&hdgst=1");
  REQUIRE(middle.ok());
  RestartableTarget outer(*std::move(middle));
  auto device = OpenRestartable(outer.endpoint, "&ddgst=1");
  INFO(device.status());
  REQUIRE(device.ok());
  const auto channel = *(*device)->OpenChannel({.queue_depth = 32});
  Random random(1);
  Buffer written = block::RandomBuffer(random, 1u << 20);
  Buffer read(written.size());
  for (int round = 0; round < 3; ++round) {
    REQUIRE(WriteBlocking(*channel, Lba{0}, written.span()).ok());
    REQUIRE(FlushBlocking(*channel).ok());
    inner.Stop();
    inner.Start();
    REQUIRE(ReadBlocking(*channel, Lba{0}, read.span()).ok());
    CHECK(block::SameBytes(written.span(), read.span()));
  }
}

}  // namespace
}  // namespace strata::nvmeof
