// SPDX-License-Identifier: Apache-2.0
//
// A controller that lies: what the host driver makes of completions and structures that no honest
// controller sends.
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <map>

#include "strata/block/devices.h"
#include "strata/nvme/controller.h"
#include "strata/nvme/loop.h"
#include "strata/nvme/wire/log_pages.h"
#include "support/block/test_io.h"
#include "support/manual_clock.h"

namespace strata::nvme {
namespace {

using block::Buffer;
using block::Lba;
using block::Op;
using block::TestIo;

// What is done to each completion on its way, and to the data of admin commands.
struct Lies {
  std::function<void(CompletionEntry&)> of_io = [](CompletionEntry&) {};
  std::function<void(const SubmissionEntry&, std::span<std::byte>)> of_admin_data =
      [](const SubmissionEntry&, std::span<std::byte>) {};
  std::function<void(const SubmissionEntry&, CompletionEntry&)> of_admin =
      [](const SubmissionEntry&, CompletionEntry&) {};
  int extra_completions = 0;  // Invented, with `invented`.
  CompletionEntry invented{};
  uint32_t commands_without_sgl = 0;
  std::vector<uint8_t> io_opcodes{};
  bool refuses_queues = false;
  bool refuses_descriptors = false;
  uint64_t capabilities_or = 0;
  uint64_t capabilities_and = ~uint64_t{0};
};

class LyingQueue final : public HostQueue {
 public:
  LyingQueue(std::unique_ptr<HostQueue> base, Lies& lies, bool is_admin)
      : base_(std::move(base)), lies_(lies), is_admin_(is_admin) {}

  absl::Status Submit(const SubmissionEntry& entry, DataDirection direction,
                      std::span<const block::Segment> data) override {
    if ((entry.Get(SubmissionEntry::kFlags) & kPsdtMask) != kPsdtSgl) ++lies_.commands_without_sgl;
    if (!is_admin_) lies_.io_opcodes.push_back(entry.opcode());
    sent_[entry.command_id()] = {entry, direction, data.empty() ? block::Segment{} : data[0]};
    return base_->Submit(entry, direction, data);
  }

  int Poll(std::span<CompletionEntry> completions) override {
    if (!is_admin_ && lies_.extra_completions > 0 && !completions.empty()) {
      --lies_.extra_completions;
      completions[0] = lies_.invented;
      return 1;
    }
    const int count = base_->Poll(completions);
    for (int i = 0; i < count; ++i) {
      CompletionEntry& completion = completions[static_cast<size_t>(i)];
      if (!is_admin_) {
        lies_.of_io(completion);
        continue;
      }
      const Sent& sent = sent_[completion.command_id()];
      if (sent.direction == DataDirection::kToHost) {
        lies_.of_admin_data(sent.entry, {sent.data.data, sent.data.size_bytes});
      }
      lies_.of_admin(sent.entry, completion);
    }
    return count;
  }

  absl::StatusOr<int> EventFd() override {
    if (lies_.refuses_descriptors) return absl::UnavailableError("no descriptor");
    return base_->EventFd();
  }
  absl::Status health() const override { return base_->health(); }

 private:
  struct Sent {
    SubmissionEntry entry;
    DataDirection direction = DataDirection::kNone;
    block::Segment data;
  };
  const std::unique_ptr<HostQueue> base_;
  Lies& lies_;
  const bool is_admin_;
  std::map<uint16_t, Sent> sent_;
};

class LyingTransport final : public Transport {
 public:
  LyingTransport(std::shared_ptr<Subsystem> subsystem, Lies& lies)
      : base_(*OpenLoop(std::move(subsystem), {})), lies_(lies) {}

  std::string name() const override { return "liar"; }
  TransportLimits limits() const override { return base_->limits(); }
  bool has_registers() const override { return base_->has_registers(); }
  absl::StatusOr<uint64_t> ReadProperty(Property property) override {
    auto value = base_->ReadProperty(property);
    if (value.ok() && property == Property::kCapabilities) {
      return (*value & lies_.capabilities_and) | lies_.capabilities_or;
    }
    return value;
  }
  absl::Status WriteProperty(Property property, uint64_t value) override {
    return base_->WriteProperty(property, value);
  }
  absl::StatusOr<std::unique_ptr<HostQueue>> OpenAdminQueue(const QueueOptions& options) override {
    auto queue = base_->OpenAdminQueue(options);
    if (!queue.ok()) return queue;
    return std::make_unique<LyingQueue>(*std::move(queue), lies_, true);
  }
  absl::StatusOr<std::unique_ptr<HostQueue>> OpenQueue(const QueueOptions& options) override {
    if (lies_.refuses_queues) return absl::UnavailableError("no queue");
    auto queue = base_->OpenQueue(options);
    if (!queue.ok()) return queue;
    return std::make_unique<LyingQueue>(*std::move(queue), lies_, false);
  }

 private:
  const std::unique_ptr<Transport> base_;
  Lies& lies_;
};

std::shared_ptr<Subsystem> MakeSubsystem() {
  auto subsystem =
      *CreateSubsystem({.nqn = "nqn.2026-11.org.example:liar", .allow_any_host = true});
  REQUIRE(subsystem->AddNamespace(*block::CreateMemoryDevice({.block_count = 1024}), {}).ok());
  return subsystem;
}

absl::StatusOr<std::unique_ptr<Controller>> Open(Lies& lies) {
  return Controller::Open(std::make_unique<LyingTransport>(MakeSubsystem(), lies), {});
}

TEST_CASE("Identify nonsense is refused by name") {
  const auto code = [](auto lie) {
    Lies lies;
    lies.of_admin_data = lie;
    const absl::Status status = Open(lies).status();
    INFO(status);
    CHECK(std::string(status.message()).find("liar: ") == 0);
    return status.code();
  };
  const auto is_cns = [](const SubmissionEntry& entry, Cns cns) {
    return entry.opcode() == static_cast<uint8_t>(AdminOpcode::kIdentify) &&
           (entry.Get(SubmissionEntry::kDword10) & 0xff) == static_cast<uint32_t>(cns);
  };
  using Code = absl::StatusCode;
  const auto controller_byte = [&](size_t offset, uint8_t value, size_t count = 1) {
    return [=](const SubmissionEntry& entry, std::span<std::byte> data) {
      if (!is_cns(entry, Cns::kController)) return;
      for (size_t i = 0; i < count; ++i) data[offset + i] = std::byte{value};
    };
  };
  CHECK(code(controller_byte(512, 0x77)) == Code::kDataLoss);     // SQES: 128 bytes at least.
  CHECK(code(controller_byte(512, 0x55)) == Code::kDataLoss);     // At most 32.
  CHECK(code(controller_byte(513, 0x00)) == Code::kDataLoss);     // CQES.
  CHECK(code(controller_byte(516, 0x00, 4)) == Code::kDataLoss);  // NN.
  const auto list = [&](std::vector<uint32_t> nsids) {
    return [=](const SubmissionEntry& entry, std::span<std::byte> data) {
      if (!is_cns(entry, Cns::kActiveNamespaces)) return;
      for (size_t i = 0; i < nsids.size(); ++i) StoreLe32(&data[4 * i], nsids[i]);
    };
  };
  CHECK(code(list({5, 3})) == Code::kDataLoss);
  CHECK(code(list({5, 5})) == Code::kDataLoss);
  CHECK(code(list({0xffffffff})) == Code::kDataLoss);
  // A list that never ends: each page is full.
  CHECK(code([&](const SubmissionEntry& entry, std::span<std::byte> data) {
          if (!is_cns(entry, Cns::kActiveNamespaces)) return;
          for (size_t i = 0; i < 1024; ++i) {
            StoreLe32(&data[4 * i], entry.namespace_id() + 1 + static_cast<uint32_t>(i));
          }
        }) == Code::kDataLoss);
}

TEST_CASE("capabilities that cannot be used are refused") {
  const auto code = [](uint64_t mask, uint64_t value) {
    Lies lies;
    lies.capabilities_and = ~mask;
    lies.capabilities_or = value;
    return Open(lies).status().code();
  };
  using Code = absl::StatusCode;
  CHECK(code(cap::kCommandSets.mask(), 0) == Code::kUnimplemented);
  CHECK(code(cap::kPageSizeMin.mask(), cap::kPageSizeMin.At(4)) == Code::kUnimplemented);
  CHECK(code(cap::kMaxQueueEntries0based.mask(), 0) == Code::kDataLoss);
}

TEST_CASE("a namespace that makes no sense is not opened") {
  Lies lies;
  auto controller = *Open(lies);
  const auto code = [&](size_t offset, std::vector<uint8_t> bytes) {
    lies.of_admin_data = [=](const SubmissionEntry& entry, std::span<std::byte> data) {
      if (entry.opcode() != static_cast<uint8_t>(AdminOpcode::kIdentify)) return;
      for (size_t i = 0; i < bytes.size(); ++i) data[offset + i] = std::byte{bytes[i]};
    };
    return controller->OpenNamespace(1).status().code();
  };
  using Code = absl::StatusCode;
  CHECK(code(0, {0, 0, 0, 0, 0, 0, 0, 0}) == Code::kNotFound);
  CHECK(code(0, {0, 0, 0, 0, 0, 0, 0, 0x80}) == Code::kDataLoss);
  CHECK(code(128, {8, 0, 12, 0}) == Code::kUnimplemented);   // Metadata.
  CHECK(code(128, {0, 0, 3, 0}) == Code::kUnimplemented);    // Blocks of 8 bytes.
  CHECK(code(128, {0, 0, 200, 0}) == Code::kUnimplemented);  // Of 2^200.
  CHECK(code(26, {0x6f}) == Code::kUnimplemented);           // Format 63, which is empty.
  CHECK(code(26, {0}) == Code::kOk);
}

// Reads and writes under a lie; then honest again.
void SurvivesLie(Lies& lies, const std::function<void()>& begin) {
  auto opened = Open(lies);
  REQUIRE(opened.ok());
  const std::unique_ptr<Controller> controller = *std::move(opened);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({.queue_depth = 8});
  Buffer buffer(8 * 4096);
  std::deque<TestIo> ios;
  for (uint32_t i = 0; i < 8; ++i) {
    ios.emplace_back(i % 2 == 0 ? Op::kRead : Op::kWrite, Lba{i}, 1,
                     std::vector{Piece(buffer, i * 4096, 4096)});
    REQUIRE(channel->Submit(&ios[i].request).ok());
  }
  begin();
  for (int round = 0; channel->in_flight() > 0 && round < 1000; ++round) {
    channel->Poll(4);
    controller->Poll();
  }
  REQUIRE(channel->in_flight() == 0);
  for (const TestIo& io : ios) {
    CHECK(io.done_count == 1);
    if (io.request.op == Op::kRead) CHECK(io.request.status.ok());
    if (io.request.op == Op::kWrite) {
      CHECK((io.request.status.ok() || absl::IsUnavailable(io.request.status)));
    }
  }
  CHECK(controller->statistics().resets == 1);
  CHECK(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
}

TEST_CASE("a completion for a command that is not outstanding resets the controller") {
  for (const uint16_t id : {uint16_t{8}, uint16_t{0xffff}}) {
    Lies lies;
    lies.invented.Set(CompletionEntry::kCommandId, id);
    SurvivesLie(lies, [&] { lies.extra_completions = 1; });
  }
}

TEST_CASE("a doubled completion resets the controller") {
  Lies lies;
  SurvivesLie(lies, [&] {
    lies.of_io = [&lies](CompletionEntry& completion) {
      lies.invented = completion;
      lies.extra_completions = 1;
      lies.of_io = [](CompletionEntry&) {};
    };
  });
}

TEST_CASE("a channel whose queue is refused does not reset the controller again and again") {
  Lies lies;
  test::ManualClock clock;
  auto controller =
      *Controller::Open(std::make_unique<LyingTransport>(MakeSubsystem(), lies), {.clock = &clock});
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({.queue_depth = 4});
  lies.refuses_queues = true;
  controller->RequestReset("a test");
  controller->Poll();
  Buffer buffer(4096);
  for (int round = 0; round < 20; ++round) {
    clock.now_ns += 100'000'000;
    CHECK(absl::IsUnavailable(ReadBlocking(*channel, Lba{0}, buffer.span())));
    controller->Poll();
  }
  CHECK(controller->statistics().resets == 1);
  // It comes back by itself.
  lies.refuses_queues = false;
  clock.now_ns += 1'000'000'000;
  CHECK(ReadBlocking(*channel, Lba{0}, buffer.span()).ok());
}

TEST_CASE("a descriptor that could not watch the queue is made again") {
  Lies lies;
  auto controller = *Open(lies);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({.queue_depth = 4});
  lies.refuses_descriptors = true;
  CHECK(absl::IsUnavailable(channel->EventFd().status()));
  CHECK(absl::IsUnavailable(channel->EventFd().status()));
  lies.refuses_descriptors = false;
  REQUIRE(channel->EventFd().ok());
  Buffer buffer(4096);
  TestIo read(Op::kRead, Lba{0}, 1, {Whole(buffer)});
  REQUIRE(channel->Submit(&read.request).ok());
  while (read.done_count == 0) PollOrSleep(*channel);
  CHECK(read.request.status.ok());
}

TEST_CASE("a queue that keeps lying does not keep the host busy for ever") {
  Lies lies;
  auto controller = *Open(lies);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({.queue_depth = 4});
  lies.of_io = [](CompletionEntry& completion) {
    completion.Set(CompletionEntry::kCommandId, 0x1234);
  };
  Buffer buffer(4096);
  TestIo read(Op::kRead, Lba{0}, 1, {Whole(buffer)});
  REQUIRE(channel->Submit(&read.request).ok());
  for (int round = 0; channel->in_flight() > 0 && round < 1000; ++round) {
    channel->Poll(4);
    controller->Poll();
  }
  CHECK(read.done_count == 1);
  CHECK(absl::IsUnavailable(read.request.status));
}

TEST_CASE("a channel whose queue breaks runs what failed in the same poll") {
  Lies lies;
  auto controller = *Open(lies);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({.queue_depth = 4});
  Buffer buffer(4096);
  TestIo write(Op::kWrite, Lba{0}, 1, {Whole(buffer)});
  REQUIRE(channel->Submit(&write.request).ok());
  lies.invented.Set(CompletionEntry::kCommandId, 0x1234);
  for (int attempt = 0; attempt < 2; ++attempt) {
    lies.extra_completions = 1;
    CHECK(channel->Poll(4) == 0);
    controller->Poll();
    CHECK(channel->Poll(0) == 0);  // Sends it again, as often as it does.
  }
  lies.extra_completions = 1;
  // A caller may sleep after a poll that ran nothing.
  CHECK(channel->Poll(4) == 1);
  CHECK(absl::IsUnavailable(write.request.status));
}

TEST_CASE("any status is an error of its kind") {
  Lies lies;
  auto controller = *Open(lies);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  Buffer buffer(4096);
  for (uint32_t field = 0; field < 0x8000; field += 0x3b) {
    lies.of_io = [field](CompletionEntry& completion) {
      completion.Set(CompletionEntry::kStatus, static_cast<uint16_t>(field << 1));
    };
    const absl::Status status = ReadBlocking(*channel, Lba{0}, buffer.span());
    REQUIRE(status.ok() == Status::FromField(static_cast<uint16_t>(field)).ok());
  }
  lies.of_io = [](CompletionEntry&) {};
  CHECK(ReadBlocking(*channel, Lba{0}, buffer.span()).ok());
  CHECK(controller->statistics().resets == 0);
}

TEST_CASE("what the block layer's contract has no code for is Unavailable") {
  Lies lies;
  auto controller = *Open(lies);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  Buffer buffer(4096);
  for (const StatusCode code : {StatusCode::kAbortRequested, StatusCode::kSglInvalidLength,
                                StatusCode::kInvalidNamespace, StatusCode::kLbaOutOfRange}) {
    lies.of_io = [code](CompletionEntry& completion) {
      completion.Set(CompletionEntry::kStatus, static_cast<uint16_t>(Status(code).field() << 1));
    };
    CHECK(absl::IsUnavailable(ReadBlocking(*channel, Lba{0}, buffer.span())));
  }
}

TEST_CASE("every command says that its data pointer is an SGL") {
  Lies lies;
  auto controller = *Open(lies);
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  Buffer buffer(4096);
  CHECK(WriteBlocking(*channel, Lba{0}, buffer.span()).ok());
  CHECK(FlushBlocking(*channel).ok());
  controller->Poll();
  CHECK(lies.commands_without_sgl == 0);
}

TEST_CASE("a discard is a command that promises zeroes") {
  Lies lies;
  auto controller = *Open(lies);
  const auto open = [&](uint8_t dlfeat) {
    lies.of_admin_data = [=](const SubmissionEntry& entry, std::span<std::byte> data) {
      if (entry.opcode() == static_cast<uint8_t>(AdminOpcode::kIdentify)) {
        data[33] = std::byte{dlfeat};
      }
    };
    return *controller->OpenNamespace(1);
  };
  CHECK(!open(0x01)->geometry().supports_discard);  // Write Zeroes does not deallocate.
  CHECK(!open(0x08)->geometry().supports_discard);  // What it deallocates may read as anything.
  const auto device = open(0x09);
  CHECK(device->geometry().supports_discard);
  auto channel = *device->OpenChannel({});
  TestIo discard(Op::kDiscard, Lba{0}, 1024, {});
  CHECK(RunIo(*channel, discard).ok());
  CHECK(lies.io_opcodes == std::vector{static_cast<uint8_t>(IoOpcode::kWriteZeroes)});
}

TEST_CASE("an event that is not understood is passed over") {
  Lies lies;
  auto subsystem = MakeSubsystem();
  auto controller = *Controller::Open(std::make_unique<LyingTransport>(subsystem, lies), {});
  lies.of_admin = [](const SubmissionEntry& entry, CompletionEntry& completion) {
    if (entry.opcode() == static_cast<uint8_t>(AdminOpcode::kAsyncEventRequest)) {
      completion.Set(CompletionEntry::kResult, 0xffffffff);
    }
  };
  REQUIRE(subsystem->AddNamespace(*block::CreateMemoryDevice({.block_count = 64}), {}).ok());
  for (int i = 0; i < 8; ++i) controller->Poll();
  CHECK(controller->health().ok());
  CHECK(controller->Namespaces().size() == 1);
}

}  // namespace
}  // namespace strata::nvme
