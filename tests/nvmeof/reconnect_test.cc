// SPDX-License-Identifier: Apache-2.0
//
// The target goes and comes back, and the link is cut, under I/O. A model of what each block may
// hold decides that no write is lost, doubled or put in the wrong place.
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "strata/base/endian.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/block/devices.h"
#include "support/block/test_io.h"
#include "support/manual_clock.h"
#include "support/nvmeof/block_model.h"
#include "support/nvmeof/cutting_proxy.h"
#include "support/nvmeof/restartable_target.h"
#include "support/rounds.h"
#include "support/seed.h"

namespace strata::nvmeof {
namespace {

using block::Buffer;
using block::Lba;
using block::Op;
using block::TestIo;

constexpr uint32_t kBlockBytes = 4096;
constexpr uint64_t kBlocks = 48;

std::shared_ptr<block::Device> MemoryDisk() {
  return *block::CreateMemoryDevice({.block_count = kBlocks});
}

TEST_CASE("a target that goes and comes back under I/O loses nothing") {
  Random random(test::Seed());
  RestartableTarget target(MemoryDisk());
  auto device = OpenRestartable(target.endpoint, "&ddgst=1");
  INFO(device.status());
  REQUIRE(device.ok());
  BlockModel model(**device, random.Next64());
  const uint64_t period = 1 + 500 / test::Rounds(5);
  model.Run(2000, [&](int i) {
    if (random.Uniform(4 * period) != 0 || i == 0) return;
    target.Stop();
    if (random.Chance(0.5)) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    target.Start();
  });
  model.CheckAll();
  CHECK(model.written() > 500);
  // A target that has gone took its controllers along: what was in flight is sent again. Three
  // losses of one write in a row end it.
  CHECK(model.unknown() <= 20);
}

TEST_CASE("a link that is slow and cut loses, doubles and misplaces nothing") {
  Random random(test::Seed());
  for (const bool is_slow : {false, true}) {
    for (const char* options : {"", "&hdgst=1&ddgst=1"}) {
      INFO("slow " << is_slow << " options " << options);
      RestartableTarget target(MemoryDisk());
      CuttingProxy proxy(target.endpoint, {.seed = random.Next64(), .is_slow = is_slow});
      auto device = OpenRestartable(proxy.endpoint(), options);
      INFO(device.status());
      REQUIRE(device.ok());
      BlockModel model(**device, random.Next64());
      int cuts = 0;
      model.Run(600, [&](int i) {
        if (i % 100 != 99) return;
        proxy.SetRefusing(random.Chance(0.3));
        proxy.Cut();
        if (random.Chance(0.3)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        proxy.SetRefusing(false);
        ++cuts;
      });
      model.CheckAll();
      CHECK(model.written() > 50);
      CHECK(model.read() > 50);
      CHECK(cuts == 6);
    }
  }
}

TEST_CASE("requests wait for a controller, and fail at once when it is lost") {
  RestartableTarget target(MemoryDisk());
  // Patience for longer than the test takes.
  auto patient = OpenRestartable(target.endpoint, "&loss_timeout_ms=600000");
  auto hasty = OpenRestartable(target.endpoint, "&loss_timeout_ms=30");
  REQUIRE((patient.ok() && hasty.ok()));
  auto patient_channel = *(*patient)->OpenChannel({.queue_depth = 4});
  auto hasty_channel = *(*hasty)->OpenChannel({.queue_depth = 4});
  target.Stop();
  Buffer buffer(kBlockBytes);
  // Reads are sent again: this one waits.
  TestIo waiting(Op::kRead, Lba{0}, 1, {Whole(buffer)});
  REQUIRE(patient_channel->Submit(&waiting.request).ok());
  const auto read_hasty = [&] { return ReadBlocking(*hasty_channel, Lba{0}, buffer.span()); };
  CHECK(absl::IsUnavailable(read_hasty()));
  for (int i = 0; i < 20; ++i) CHECK(absl::IsUnavailable(read_hasty()));
  for (int i = 0; i < 20; ++i) patient_channel->Poll(4);
  CHECK(waiting.done_count == 0);
  target.Start();
  while (waiting.done_count == 0) PollOrSleep(*patient_channel);
  INFO(waiting.request.status);
  CHECK(waiting.request.status.ok());
  CHECK(TargetRig::Soon([&] { return read_hasty().ok(); }));
}

TEST_CASE("another disk under the same address is not written to") {
  RestartableTarget target(MemoryDisk());
  auto device = OpenRestartable(target.endpoint, "&loss_timeout_ms=0");
  REQUIRE(device.ok());
  auto channel = *(*device)->OpenChannel({.queue_depth = 4});
  Buffer buffer(kBlockBytes);
  const auto write = [&] { return WriteBlocking(*channel, Lba{0}, buffer.span()); };
  REQUIRE(write().ok());
  const auto restart = [&](const std::string& serial, std::byte uuid) {
    target.Stop();
    target.serial = serial;
    target.SetUuid(uuid);
    target.Start();
  };
  const auto refused_with = [&](const std::string& text) {
    return TargetRig::Soon([&] {
      const absl::Status status = write();
      REQUIRE(absl::IsUnavailable(status));
      return std::string(status.message()).find(text) != std::string::npos;
    });
  };
  restart("A1", std::byte{2});
  CHECK(refused_with("another namespace"));
  // The URI, and what changed.
  const std::string uri = absl::StrCat("nvme-tcp:", ToString(target.endpoint), "/");
  CHECK(refused_with(uri));
  CHECK(refused_with("UUID 02000000000000000000000000000000 instead of 0100000000000000"));
  restart("B2", std::byte{1});
  CHECK(refused_with("no way to the controller"));
  CHECK(refused_with(uri));
  CHECK(refused_with("another subsystem answers: serial number 'B2' instead of 'A1'"));
  for (int i = 0; i < 20; ++i) CHECK(absl::IsUnavailable(write()));
  // The right one is back.
  restart("A1", std::byte{1});
  CHECK(TargetRig::Soon([&] { return write().ok(); }));
}

constexpr int64_t kLongSilenceNs = 10'000'000'000;

// The target's time stands still after the silence, so that it looks at no other connection.
TEST_CASE("a queue of a host that was dropped for its silence ends without an answer") {
  test::ManualClock clock(1'000'000'000);
  TargetRig rig({.clock = &clock}, 1,
                {.nqn = RestartableTarget::kNqn, .allow_any_host = true, .clock = &clock});
  TargetRig::Host host(rig.endpoint, {}, {.keep_alive_ms = 1000});
  clock.now_ns += kLongSilenceNs;
  CHECK(host.admin.IsEnded());
  // What came just before is answered well.
  CHECK(TargetRig::Soon([&] {
    host.io.SendCommand(MakeEntry(static_cast<uint8_t>(nvme::IoOpcode::kFlush), 1, 1, 0));
    const auto pdu = host.io.Receive();
    if (!pdu.has_value()) return true;
    REQUIRE(pdu->entry.size() == 16);
    CHECK(LoadLe16(&pdu->entry[nvme::CompletionEntry::kStatus.offset]) >> 1 == 0);
    return false;
  }));
}

TEST_CASE("what a host asks for after it was dropped for its silence is carried out") {
  test::ManualClock clock(1'000'000'000);
  TargetRig rig({.clock = &clock}, 1,
                {.nqn = RestartableTarget::kNqn, .allow_any_host = true, .clock = &clock});
  auto transport = ConnectTcp({.endpoint = rig.endpoint,
                               .subsystem_nqn = RestartableTarget::kNqn,
                               .connect_timeout_ms = 60'000});
  REQUIRE(transport.ok());
  auto controller = nvme::Controller::Open(
      *std::move(transport),
      {.keep_alive_ms = 1000, .reconnect_ms = 5, .loss_timeout_ms = 600'000});
  REQUIRE(controller.ok());
  const auto device = *(*controller)->OpenNamespace(1);
  const auto channel = *device->OpenChannel({.queue_depth = 4});
  Buffer buffer(512);
  for (int round = 0; round < 3; ++round) {
    REQUIRE(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
    clock.now_ns += kLongSilenceNs;
    // The admin queue's connection is gone, and nobody at the host has noticed.
    REQUIRE(TargetRig::Soon([&] { return rig.target->Connections().size() == 1; }));
    TestIo write(Op::kWrite, Lba{0}, 1, {Whole(buffer)});
    REQUIRE(channel->Submit(&write.request).ok());
    CHECK(TargetRig::Soon([&] {
      (*controller)->Poll();
      channel->Poll(4);
      return write.done_count == 1;
    }));
    INFO(write.request.status);
    CHECK(write.request.status.ok());
    CHECK((*controller)->health().ok());
  }
}

}  // namespace
}  // namespace strata::nvmeof
