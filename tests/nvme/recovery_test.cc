// SPDX-License-Identifier: Apache-2.0
//
// The host driver when a controller stops answering: Keep Alive, back-off, loss, aborts, and a
// fabric whose connects and properties are messages. The clock is the test's.
#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "strata/base/endian.h"
#include "strata/block/devices.h"
#include "strata/nvme/controller.h"
#include "strata/nvme/loop.h"
#include "strata/nvme/wire/fabrics.h"
#include "strata/nvme/wire/log_pages.h"
#include "support/block/test_io.h"
#include "support/manual_clock.h"

namespace strata::nvme {
namespace {

using block::Buffer;
using block::Lba;
using block::Op;
using block::TestIo;

// What the fabric between the two does, and what it has seen.
struct Fabric {
  bool is_cut = false;           // No connection can be made.
  bool is_silent = false;        // Nothing that is sent is answered.
  bool is_slow_to_open = false;  // Queues open when this is unset.
  int io_is_silent = 0;          // I/O queues swallow so many commands.
  int spoilt_io = 0;             // So many I/O commands are answered with...
  Status spoilt_with = StatusCode::kTransientTransportError;
  int connects = 0;
  int keep_alives = 0;
  uint32_t keep_alive_ms = 0;
  std::function<void(const SubmissionEntry&, CompletionEntry&)> of_admin =
      [](const SubmissionEntry&, CompletionEntry&) {};
  std::function<void(const SubmissionEntry&, std::span<std::byte>)> of_admin_data =
      [](const SubmissionEntry&, std::span<std::byte>) {};
  std::optional<CompletionEntry> event{};  // Answers each event request, at once.
  int event_requests = 0;
  std::vector<SubmissionEntry> aborts{};
  std::vector<SubmissionEntry> io{};
};

// A queue over the loop that answers Property Get and Set itself, as a fabric's does.
class FabricQueue final : public HostQueue {
 public:
  FabricQueue(std::unique_ptr<HostQueue> base, Transport& loop, Fabric& fabric, bool is_admin)
      : base_(std::move(base)), loop_(loop), fabric_(fabric), is_admin_(is_admin) {}

  bool is_open() const override { return is_open_; }

  absl::Status Submit(const SubmissionEntry& entry, DataDirection direction,
                      std::span<const block::Segment> data) override {
    REQUIRE(is_open_);
    if (fabric_.is_cut) return absl::UnavailableError("cut");
    if (!is_admin_) {
      fabric_.io.push_back(entry);
      if (fabric_.io_is_silent > 0) {
        --fabric_.io_is_silent;
        return absl::OkStatus();
      }
    }
    if (fabric_.is_silent) return absl::OkStatus();
    if (is_admin_) {
      const bool reads = direction == DataDirection::kToHost;
      sent_[entry.command_id()] = {entry, reads ? data[0] : block::Segment{}};
    }
    if (entry.opcode() == static_cast<uint8_t>(AdminOpcode::kKeepAlive) && is_admin_) {
      ++fabric_.keep_alives;
    }
    if (entry.opcode() == static_cast<uint8_t>(AdminOpcode::kAbort) && is_admin_) {
      fabric_.aborts.push_back(entry);
      return absl::OkStatus();  // The test answers it.
    }
    if (entry.opcode() == static_cast<uint8_t>(AdminOpcode::kAsyncEventRequest) && is_admin_ &&
        fabric_.event.has_value()) {
      ++fabric_.event_requests;
      answers.push_back(*fabric_.event);
      answers.back().Set(CompletionEntry::kCommandId, entry.command_id());
      return absl::OkStatus();
    }
    if (entry.opcode() != kFabricsOpcode) return base_->Submit(entry, direction, data);
    FabricsCommand command;
    command.bytes = entry.bytes;
    const auto property = static_cast<Property>(command.Get(FabricsCommand::kPropertyOffset));
    CompletionEntry answer;
    answer.Set(CompletionEntry::kCommandId, entry.command_id());
    if (command.Get(FabricsCommand::kType) == static_cast<uint8_t>(FabricsType::kPropertyGet)) {
      answer.Set(CompletionEntry::kResult, *loop_.ReadProperty(property));
    } else {
      REQUIRE(loop_.WriteProperty(property, command.Get(FabricsCommand::kPropertyValue)).ok());
    }
    answers.push_back(answer);
    return absl::OkStatus();
  }

  int Poll(std::span<CompletionEntry> completions) override {
    if (!is_open_) is_open_ = !fabric_.is_slow_to_open;
    if (fabric_.is_silent || fabric_.is_cut || completions.empty()) return 0;
    if (!answers.empty()) {
      completions[0] = answers.front();
      answers.pop_front();
      return 1;
    }
    const int count = base_->Poll(completions);
    for (int i = 0; !is_admin_ && i < count && fabric_.spoilt_io > 0; ++i) {
      --fabric_.spoilt_io;
      completions[static_cast<size_t>(i)].Set(
          CompletionEntry::kStatus, static_cast<uint16_t>(fabric_.spoilt_with.field() << 1));
    }
    for (int i = 0; is_admin_ && i < count; ++i) {
      CompletionEntry& completion = completions[static_cast<size_t>(i)];
      const Sent& sent = sent_[completion.command_id()];
      if (sent.data.data != nullptr) {
        fabric_.of_admin_data(sent.entry, {sent.data.data, sent.data.size_bytes});
      }
      fabric_.of_admin(sent.entry, completion);
    }
    return count;
  }

  absl::StatusOr<int> EventFd() override { return base_->EventFd(); }
  absl::Status health() const override {
    if (fabric_.is_cut) return absl::UnavailableError("the link is cut");
    return base_->health();
  }

  std::deque<CompletionEntry> answers;

 private:
  struct Sent {
    SubmissionEntry entry;
    block::Segment data;
  };
  const std::unique_ptr<HostQueue> base_;
  Transport& loop_;
  Fabric& fabric_;
  const bool is_admin_;
  bool is_open_ = false;
  std::map<uint16_t, Sent> sent_;
};

class FabricTransport final : public Transport {
 public:
  FabricTransport(std::shared_ptr<Subsystem> subsystem, Fabric& fabric)
      : base_(*OpenLoop(std::move(subsystem), {})), fabric_(fabric) {}

  std::string name() const override { return "fabric"; }
  TransportLimits limits() const override { return {}; }
  bool has_registers() const override { return false; }
  absl::StatusOr<uint64_t> ReadProperty(Property) override {
    FAIL("a fabric has no registers");
    return 0;
  }
  absl::Status WriteProperty(Property, uint64_t) override {
    FAIL("a fabric has no registers");
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<HostQueue>> OpenAdminQueue(const QueueOptions& options) override {
    ++fabric_.connects;
    fabric_.keep_alive_ms = options.keep_alive_ms;
    if (fabric_.is_cut) return absl::UnavailableError("no way");
    auto queue =
        std::make_unique<FabricQueue>(*base_->OpenAdminQueue(options), *base_, fabric_, true);
    admin = queue.get();
    return queue;
  }
  absl::StatusOr<std::unique_ptr<HostQueue>> OpenQueue(const QueueOptions& options) override {
    if (fabric_.is_cut) return absl::UnavailableError("no way");
    CHECK(options.capsule_data_bytes == 0);  // The loop's capsules hold entries alone.
    return std::make_unique<FabricQueue>(*base_->OpenQueue(options), *base_, fabric_, false);
  }

  FabricQueue* admin = nullptr;

 private:
  const std::unique_ptr<Transport> base_;
  Fabric& fabric_;
};

struct Rig {
  explicit Rig(ControllerOptions options = {}, Fabric a_fabric = {})
      : fabric(std::move(a_fabric)),
        subsystem(
            *CreateSubsystem({.nqn = "nqn.2026-11.org.example:recovery", .allow_any_host = true})) {
    REQUIRE(subsystem->AddNamespace(*block::CreateMemoryDevice({.block_count = 1024}), {}).ok());
    auto made = std::make_unique<FabricTransport>(subsystem, fabric);
    transport = made.get();
    options.clock = &clock;
    auto opened = Controller::Open(std::move(made), options);
    INFO(opened.status());
    REQUIRE(opened.ok());
    controller = *std::move(opened);
    device = *controller->OpenNamespace(1);
    channel = *device->OpenChannel({.queue_depth = 4});
  }

  void Pass(int64_t ms) {
    clock.now_ns += ms * 1'000'000;
    channel->Poll(8);
    controller->Poll();
    channel->Poll(8);
  }

  Fabric fabric;
  test::ManualClock clock;
  std::shared_ptr<Subsystem> subsystem;
  FabricTransport* transport = nullptr;
  std::unique_ptr<Controller> controller;
  std::unique_ptr<block::Device> device;
  std::unique_ptr<block::Channel> channel;
  Buffer buffer{4096};
};

TEST_CASE("Keep Alive goes out at a third of its time, and an unanswered one resets") {
  Rig rig({.keep_alive_ms = 3000});
  CHECK(rig.fabric.keep_alive_ms == 3000);
  for (int i = 0; i < 20; ++i) rig.Pass(500);
  CHECK(rig.fabric.keep_alives >= 8);
  CHECK(rig.fabric.keep_alives <= 11);
  CHECK(rig.controller->statistics().resets == 0);
  rig.fabric.is_silent = true;
  for (int i = 0; i < 5; ++i) rig.Pass(500);
  CHECK(rig.controller->statistics().resets == 0);
  for (int i = 0; i < 4; ++i) rig.Pass(500);
  CHECK(rig.controller->statistics().resets == 1);
  CHECK(std::string(rig.controller->health().message()).find("Keep Alive within 3000 ms") !=
        std::string::npos);
  // The old controller is not heard of for a second; then the driver connects again.
  rig.fabric.is_silent = false;
  for (int i = 0; i < 4; ++i) rig.Pass(500);
  CHECK(rig.controller->health().ok());
}

TEST_CASE("a controller that calls Keep Alive expired is reset") {
  Rig rig({.keep_alive_ms = 3000});
  rig.fabric.of_admin = [&](const SubmissionEntry& entry, CompletionEntry& completion) {
    if (entry.opcode() != static_cast<uint8_t>(AdminOpcode::kKeepAlive)) return;
    completion.Set(CompletionEntry::kStatus,
                   static_cast<uint16_t>(Status(StatusCode::kKeepAliveExpired).field() << 1));
  };
  rig.Pass(1100);
  rig.Pass(1);
  CHECK(rig.controller->statistics().resets == 1);
}

TEST_CASE("without Keep Alive none is sent") {
  Rig rig;
  for (int i = 0; i < 20; ++i) rig.Pass(10'000);
  CHECK(rig.fabric.keep_alives == 0);
}

TEST_CASE("tries to connect again stand further and further apart") {
  Rig rig({.reconnect_ms = 100, .loss_timeout_ms = 1'000'000});
  rig.fabric.is_cut = true;
  rig.Pass(1);
  const int first = rig.fabric.connects;
  CHECK(first == 2);
  std::vector<int> tries;
  for (int ms = 0; ms < 4000; ms += 10) {
    const int before = rig.fabric.connects;
    rig.Pass(10);
    if (rig.fabric.connects > before) tries.push_back(ms + 10);
  }
  // After 100, 200, 400 and then every 800 ms.
  CHECK(tries == std::vector<int>{100, 300, 700, 1500, 2300, 3100, 3900});
  rig.fabric.is_cut = false;
  for (int i = 0; i < 90; ++i) rig.Pass(10);
  CHECK(rig.controller->health().ok());
  CHECK(rig.controller->statistics().resets == 1);
}

TEST_CASE("requests wait for loss_timeout_ms, then fail at once, and work again") {
  Rig rig({.reconnect_ms = 100, .loss_timeout_ms = 5000});
  rig.fabric.is_cut = true;
  rig.Pass(1);
  TestIo held(Op::kWrite, Lba{0}, 1, {Whole(rig.buffer)});
  REQUIRE(rig.channel->Submit(&held.request).ok());
  for (int i = 0; i < 49; ++i) rig.Pass(100);
  CHECK(held.done_count == 0);
  for (int i = 0; i < 2; ++i) rig.Pass(100);
  CHECK(held.done_count == 1);
  CHECK(absl::IsUnavailable(held.request.status));
  CHECK(std::string(held.request.status.message()).find("no way to the controller") !=
        std::string::npos);
  TestIo late(Op::kRead, Lba{0}, 1, {Whole(rig.buffer)});
  REQUIRE(rig.channel->Submit(&late.request).ok());
  CHECK(rig.channel->Poll(8) == 1);
  CHECK(absl::IsUnavailable(late.request.status));
  rig.fabric.is_cut = false;
  for (int i = 0; i < 10; ++i) rig.Pass(100);
  CHECK(ReadBlocking(*rig.channel, Lba{0}, rig.buffer.span()).ok());
}

TEST_CASE("Poll() returns while a queue is not open and while nothing is answered") {
  Rig rig({.reconnect_ms = 100, .loss_timeout_ms = 1'000'000});
  rig.fabric.is_slow_to_open = true;
  rig.controller->RequestReset("a test");
  TestIo held(Op::kWrite, Lba{0}, 1, {Whole(rig.buffer)});
  REQUIRE(rig.channel->Submit(&held.request).ok());
  for (int i = 0; i < 10; ++i) rig.Pass(1);
  CHECK(!rig.controller->health().ok());
  rig.fabric.is_slow_to_open = false;
  rig.fabric.is_silent = true;
  for (int i = 0; i < 10; ++i) rig.Pass(1);
  CHECK(!rig.controller->health().ok());
  // What was silent did not answer in time: the next try does.
  rig.fabric.is_silent = false;
  for (int i = 0; i < 700 && !rig.controller->health().ok(); ++i) rig.Pass(100);
  CHECK(rig.controller->health().ok());
  // The channel's own queue opens late, too.
  for (int i = 0; i < 10 && held.done_count == 0; ++i) rig.Pass(100);
  CHECK(held.done_count == 1);
  CHECK(rig.controller->statistics().resets == 1);
}

TEST_CASE("the command id of an abort is not given to another command before it is answered") {
  Rig rig({.command_timeout_ms = 1000});
  rig.fabric.io_is_silent = 1;
  TestIo stuck(Op::kRead, Lba{0}, 1, {Whole(rig.buffer)});
  REQUIRE(rig.channel->Submit(&stuck.request).ok());
  rig.channel->Poll(8);
  REQUIRE(rig.fabric.io.size() == 1);
  const uint16_t id = rig.fabric.io[0].command_id();
  rig.Pass(1001);
  rig.Pass(1);
  REQUIRE(rig.fabric.aborts.size() == 1);
  CHECK(rig.fabric.aborts[0].Get(SubmissionEntry::kDword10) == (1u | uint32_t{id} << 16));
  // Others come and go, with as many at once as ever.
  const auto ids_used = [&] {
    rig.fabric.io.clear();
    std::deque<TestIo> ios;
    for (int i = 0; i < 3; ++i) {
      ios.emplace_back(Op::kRead, Lba{1}, 1, std::vector{Whole(rig.buffer)});
      REQUIRE(rig.channel->Submit(&ios.back().request).ok());
    }
    for (int i = 0; i < 10 && ios.back().done_count == 0; ++i) rig.channel->Poll(8);
    std::set<uint16_t> ids;
    for (const SubmissionEntry& entry : rig.fabric.io) ids.insert(entry.command_id());
    return ids;
  };
  CHECK(ids_used().size() == 3);
  CHECK(!ids_used().contains(id));
  CHECK(rig.controller->statistics().resets == 0);
  // Nobody ends the stuck one, so that its second deadline resets the controller.
  rig.Pass(1001);
  rig.Pass(1001);
  for (int i = 0; i < 3; ++i) rig.Pass(1);
  CHECK(rig.controller->statistics().resets == 1);
  CHECK(stuck.done_count == 1);
  CHECK(stuck.request.status.ok());
}

TEST_CASE("a controller that refuses event requests is asked again later, not in every poll") {
  Fabric fabric;
  fabric.event.emplace();
  fabric.event->Set(
      CompletionEntry::kStatus,
      static_cast<uint16_t>(Status(StatusCode::kAsyncEventLimitExceeded).field() << 1));
  Rig rig({}, fabric);
  for (int i = 0; i < 1000; ++i) rig.Pass(1);
  CHECK(rig.fabric.event_requests == 2);
  for (int i = 0; i < 11; ++i) rig.Pass(1000);
  CHECK(rig.fabric.event_requests == 3);
  CHECK(rig.controller->statistics().resets == 0);
}

TEST_CASE("events without end are logged a few times alone, and keep nobody busy") {
  int logged = 0;
  Fabric fabric;
  fabric.event.emplace();
  fabric.event->Set(CompletionEntry::kResult, 0x7701);
  Rig rig({.log = [&](LogLevel, std::string_view) { ++logged; }}, fabric);
  for (int i = 0; i < 1000; ++i) rig.Pass(1);
  CHECK(rig.fabric.event_requests > 100);
  CHECK(rig.fabric.event_requests < 10'000);
  CHECK(logged == 10);
  CHECK(WriteBlocking(*rig.channel, Lba{0}, rig.buffer.span()).ok());
}

TEST_CASE("a controller that is another one after a reset is not used") {
  Rig rig({.reconnect_ms = 100});
  std::string serial = "OTHER";
  rig.fabric.of_admin_data = [&](const SubmissionEntry& entry, std::span<std::byte> data) {
    if (entry.opcode() != static_cast<uint8_t>(AdminOpcode::kIdentify)) return;
    if ((entry.Get(SubmissionEntry::kDword10) & 0xff) != 0x01) return;
    for (size_t i = 0; i < serial.size(); ++i) data[4 + i] = static_cast<std::byte>(serial[i]);
  };
  rig.controller->RequestReset("a test");
  for (int i = 0; i < 5; ++i) rig.Pass(10);
  INFO(rig.controller->health());
  CHECK(absl::IsUnavailable(rig.controller->health()));
  CHECK_THAT(std::string(rig.controller->health().message()),
             Catch::Contains("another subsystem answers: serial number 'OTHERA0000000001' instead "
                             "of 'STRATA0000000001'"));
  CHECK(absl::IsUnavailable(WriteBlocking(*rig.channel, Lba{0}, rig.buffer.span())));
  serial = "";
  for (int i = 0; i < 100; ++i) rig.Pass(10);
  CHECK(rig.controller->health().ok());
  for (int i = 0; i < 100; ++i) rig.Pass(10);
  CHECK(WriteBlocking(*rig.channel, Lba{0}, rig.buffer.span()).ok());
}

TEST_CASE(
    "a write is sent again when the lost controller is gone, and fails when it may be there") {
  for (const bool is_gone : {true, false}) {
    Rig rig({.loss_timeout_ms = 100'000});
    const uint16_t old_id = rig.controller->identify().Get(IdentifyController::kControllerId);
    int asked = 0;
    rig.fabric.of_admin_data = [&](const SubmissionEntry& entry, std::span<std::byte> data) {
      if (entry.opcode() != static_cast<uint8_t>(AdminOpcode::kIdentify)) return;
      if ((entry.Get(SubmissionEntry::kDword10) & 0xff) != 0x13) return;
      ++asked;
      CHECK(entry.Get(SubmissionEntry::kDword10) >> 16 == old_id);
      // It drains for a while, or does not end.
      const bool is_listed = !is_gone || asked < 5;
      StoreLe16(&data[0], is_listed ? 1 : 0);
      StoreLe16(&data[2], is_listed ? old_id : 0);
    };
    rig.fabric.io_is_silent = 2;
    TestIo write(Op::kWrite, Lba{0}, 1, {Whole(rig.buffer)});
    Buffer other(4096);
    TestIo read(Op::kRead, Lba{1}, 1, {Whole(other)});
    REQUIRE(rig.channel->Submit(&write.request).ok());
    REQUIRE(rig.channel->Submit(&read.request).ok());
    rig.channel->Poll(8);
    rig.controller->RequestReset("a test");
    for (int i = 0; i < 3; ++i) rig.Pass(10);
    CHECK(write.done_count == 0);
    CHECK(asked >= 1);
    for (int i = 0; i < 250; ++i) rig.Pass(10);
    CHECK(rig.controller->health().ok());
    CHECK((write.done_count == 1 && read.done_count == 1));
    CHECK(read.request.status.ok());
    CHECK(write.request.status.code() ==
          (is_gone ? absl::StatusCode::kOk : absl::StatusCode::kUnavailable));
    CHECK(rig.controller->statistics().replays == (is_gone ? 2 : 1));
    CHECK(WriteBlocking(*rig.channel, Lba{0}, rig.buffer.span()).ok());
  }
}

TEST_CASE("a command that the transport spoilt on its way is sent again, a few times") {
  for (const int spoilt : {2, 3}) {
    Rig rig;
    rig.fabric.spoilt_io = spoilt;
    const absl::Status status = WriteBlocking(*rig.channel, Lba{0}, rig.buffer.span());
    CHECK(status.code() == (spoilt < 3 ? absl::StatusCode::kOk : absl::StatusCode::kUnavailable));
    CHECK(rig.controller->statistics().replays == 2);
    CHECK(rig.controller->statistics().resets == 0);
  }
}

TEST_CASE("a controller that has forgotten its host is reset, and the command is sent again") {
  for (const int spoilt : {1, 2, 3}) {
    Rig rig({.loss_timeout_ms = 60'000});
    rig.fabric.spoilt_io = spoilt;
    rig.fabric.spoilt_with = Status(StatusCode::kCommandSequenceError).DoNotRetry();
    TestIo write(Op::kWrite, Lba{0}, 1, {Whole(rig.buffer)});
    REQUIRE(rig.channel->Submit(&write.request).ok());
    for (int i = 0; i < 100 && write.done_count == 0; ++i) rig.Pass(500);
    REQUIRE(write.done_count == 1);
    INFO(write.request.status);
    CHECK(write.request.status.code() ==
          (spoilt < 3 ? absl::StatusCode::kOk : absl::StatusCode::kUnavailable));
    CHECK(rig.controller->statistics().resets == 2 - (spoilt == 1 ? 1 : 0));
  }
}

TEST_CASE("a channel that is opened while the controller is away waits for it") {
  for (const uint64_t loss_timeout_ms : {0, 60'000}) {
    Rig rig({.loss_timeout_ms = loss_timeout_ms});
    rig.fabric.is_cut = true;
    rig.controller->RequestReset("a test");
    rig.Pass(10);
    auto channel = rig.device->OpenChannel({.queue_depth = 4});
    CHECK(channel.status().code() ==
          (loss_timeout_ms == 0 ? absl::StatusCode::kUnavailable : absl::StatusCode::kOk));
    if (!channel.ok()) continue;
    TestIo read(Op::kRead, Lba{0}, 1, {Whole(rig.buffer)});
    REQUIRE((*channel)->Submit(&read.request).ok());
    const auto pass = [&](int times) {
      for (int i = 0; i < times; ++i) {
        rig.Pass(500);
        (*channel)->Poll(4);
      }
    };
    pass(10);
    CHECK(read.done_count == 0);
    rig.fabric.is_cut = false;
    pass(40);
    REQUIRE(read.done_count == 1);
    CHECK(read.request.status.ok());
  }
}

TEST_CASE("a long Write Zeroes keeps to the controller's limit") {
  Fabric fabric;
  // WZSL 1: 8192 bytes, which are two blocks.
  fabric.of_admin_data = [](const SubmissionEntry& entry, std::span<std::byte> data) {
    if (entry.opcode() != static_cast<uint8_t>(AdminOpcode::kIdentify)) return;
    if ((entry.Get(SubmissionEntry::kDword10) & 0xff) == 0x06) data[1] = std::byte{1};
  };
  Rig rig({}, fabric);
  TestIo zeroes(Op::kWriteZeroes, Lba{10}, 7, {});
  CHECK(RunIo(*rig.channel, zeroes).ok());
  std::vector<uint32_t> blocks;
  for (const SubmissionEntry& entry : rig.fabric.io) {
    blocks.push_back(entry.Get(SubmissionEntry::kBlocks0based) + 1u);
  }
  CHECK(blocks == std::vector<uint32_t>{2, 2, 2, 1});
}

}  // namespace
}  // namespace strata::nvme
