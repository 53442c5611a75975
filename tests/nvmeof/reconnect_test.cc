// SPDX-License-Identifier: Apache-2.0
//
// The target goes and comes back, and the link is cut, under I/O. A model of what each block may
// hold decides that no write is lost, doubled or put in the wrong place.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "strata/base/endian.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/nvmeof/initiator.h"
#include "support/block/test_io.h"
#include "support/nvmeof/cutting_proxy.h"
#include "support/nvmeof/target_rig.h"
#include "support/rounds.h"
#include "support/seed.h"

namespace strata::nvmeof {
namespace {

using block::Buffer;
using block::Lba;
using block::Op;
using block::TestIo;

constexpr char kNqn[] = "nqn.2026-11.org.example:test";
constexpr uint32_t kBlockBytes = 4096;
constexpr uint64_t kBlocks = 48;

// A target that can be ended and begun again on the same port, over a device that stays.
class RestartableTarget {
 public:
  explicit RestartableTarget(std::byte first_of_uuid = std::byte{1}) {
    identity_.uuid[0] = first_of_uuid;
    device_ = *block::CreateMemoryDevice({.block_count = kBlocks});
    Start();
  }
  ~RestartableTarget() { Stop(); }

  void Start() {
    target_ = *Target::Create({});
    auto subsystem =
        *nvme::CreateSubsystem({.nqn = kNqn, .serial_number = serial, .allow_any_host = true});
    REQUIRE(subsystem->AddNamespace(device_, {.nsid = 1, .identity = identity_}).ok());
    REQUIRE(target_->AddSubsystem(subsystem).ok());
    absl::StatusOr<Endpoint> listening;
    // Its old connections may be on their way out.
    REQUIRE(TargetRig::Soon([&] {
      listening = target_->AddListener({.endpoint = endpoint});
      return listening.ok();
    }));
    endpoint = *listening;
    ends_.store(false);
    auto worker = *target_->OpenWorker();
    thread_ = std::thread([this, worker = std::move(worker)]() mutable {
      while (!ends_.load()) worker->Poll(5'000'000);
    });
  }

  void Stop() {
    if (!thread_.joinable()) return;
    ends_.store(true);
    thread_.join();
    target_.reset();
  }

  void SetUuid(std::byte first) { identity_.uuid[0] = first; }

  Endpoint endpoint = *ParseEndpoint("127.0.0.1:0");
  std::string serial = "A1";

 private:
  nvme::NamespaceIdentity identity_;
  std::shared_ptr<block::Device> device_;
  std::unique_ptr<Target> target_;
  std::thread thread_;
  std::atomic<bool> ends_{false};
};

absl::StatusOr<std::unique_ptr<block::Device>> OpenUri(const Endpoint& endpoint,
                                                       const std::string& options) {
  block::Registry registry = block::Registry::WithDefaults();
  REQUIRE(RegisterNvmeTcp(&registry).ok());
  return registry.Open(absl::StrCat("nvme-tcp:", ToString(endpoint), "/", kNqn,
                                    "?nsid=1&reconnect_ms=5&connect_timeout_ms=60000", options));
}

// What each block may hold, by stamps of eight bytes that fill it.
class Model {
 public:
  explicit Model(block::Device& device, uint64_t seed)
      : random_(seed), channel_(*device.OpenChannel({.queue_depth = kDepth})), slots_(kDepth) {
    possible_.resize(kBlocks, {0});
    is_busy_.resize(kBlocks, false);
    for (Slot& slot : slots_) {
      slot.model = this;
      slot.buffer = Buffer(kBlockBytes);
    }
  }

  // Runs so many requests, with `disturb` called before each with its number.
  void Run(int requests, const std::function<void(int)>& disturb) {
    for (int i = 0; i < requests; ++i) {
      disturb(i);
      Slot* slot = nullptr;
      while ((slot = Free()) == nullptr) PollOrSleep(*channel_);
      Begin(slot);
      if (random_.Chance(0.5)) channel_->Poll(8);
    }
    while (channel_->in_flight() > 0) PollOrSleep(*channel_);
  }

  // Every block holds one of what it may hold.
  void CheckAll() {
    Buffer buffer(kBlockBytes);
    for (uint64_t block = 0; block < kBlocks; ++block) {
      absl::Status status;
      REQUIRE(TargetRig::Soon([&] {
        status = ReadBlocking(*channel_, Lba{block}, buffer.span());
        return status.ok();
      }));
      CheckRead(block, buffer);
    }
  }

  uint64_t written() const { return written_; }
  uint64_t unknown() const { return unknown_; }
  uint64_t read() const { return read_; }

 private:
  static constexpr uint32_t kDepth = 16;

  struct Slot {
    Model* model = nullptr;
    Buffer buffer;
    block::Segment segment;
    block::Request request;
    uint64_t stamp = 0;
    bool is_used = false;
  };

  Slot* Free() {
    for (Slot& slot : slots_) {
      if (!slot.is_used) return &slot;
    }
    return nullptr;
  }

  void Begin(Slot* slot) {
    uint64_t block = random_.Uniform(kBlocks);
    while (is_busy_[block]) block = (block + 1) % kBlocks;
    is_busy_[block] = true;
    slot->is_used = true;
    slot->segment = {slot->buffer.data(), kBlockBytes};
    const bool writes = random_.Chance(0.6);
    if (writes) {
      slot->stamp = ++last_stamp_;
      for (size_t at = 0; at < kBlockBytes; at += 8) {
        StoreLe64(slot->buffer.data() + at, slot->stamp);
      }
      possible_[block].insert(slot->stamp);
    } else {
      std::fill_n(slot->buffer.data(), kBlockBytes, std::byte{0xee});
    }
    slot->request = {.op = writes ? Op::kWrite : Op::kRead,
                     .lba = Lba{block},
                     .block_count = 1,
                     .segments = {&slot->segment, 1},
                     .done =
                         [](block::Request* request) {
                           Slot* ended = static_cast<Slot*>(request->context);
                           ended->model->End(ended);
                         },
                     .context = slot};
    REQUIRE(channel_->Submit(&slot->request).ok());
  }

  void End(Slot* slot) {
    const uint64_t block = slot->request.lba.value;
    slot->is_used = false;
    is_busy_[block] = false;
    const absl::Status& status = slot->request.status;
    if (!status.ok() && !absl::IsUnavailable(status)) FAIL_CHECK(status);
    if (slot->request.op == Op::kRead) {
      if (status.ok()) CheckRead(block, slot->buffer);
    } else if (status.ok()) {
      possible_[block] = {slot->stamp};
      ++written_;
    } else {
      ++unknown_;
    }
  }

  void CheckRead(uint64_t block, const Buffer& buffer) {
    ++read_;
    const uint64_t stamp = LoadLe64(buffer.data());
    for (size_t at = 0; at < kBlockBytes; at += 8) {
      if (LoadLe64(buffer.data() + at) == stamp) continue;
      FAIL_CHECK("block " << block << " is torn at byte " << at);
      return;
    }
    if (!possible_[block].contains(stamp)) {
      FAIL_CHECK("block " << block << " holds " << stamp << ", and might hold "
                          << possible_[block].size() << " others, the least "
                          << *possible_[block].begin());
    }
    possible_[block] = {stamp};  // What was seen once stays.
  }

  Random random_;
  std::unique_ptr<block::Channel> channel_;
  std::vector<Slot> slots_;
  std::vector<std::set<uint64_t>> possible_;
  std::vector<bool> is_busy_;
  uint64_t last_stamp_ = 0;
  uint64_t written_ = 0;
  uint64_t unknown_ = 0;
  uint64_t read_ = 0;
};

TEST_CASE("a target that goes and comes back under I/O loses nothing") {
  Random random(test::Seed());
  RestartableTarget target;
  auto device = OpenUri(target.endpoint, "&ddgst=1");
  INFO(device.status());
  REQUIRE(device.ok());
  Model model(**device, random.Next64());
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
      RestartableTarget target;
      CuttingProxy proxy(target.endpoint, {.seed = random.Next64(), .is_slow = is_slow});
      auto device = OpenUri(proxy.endpoint(), options);
      INFO(device.status());
      REQUIRE(device.ok());
      Model model(**device, random.Next64());
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
  RestartableTarget target;
  // Patience for longer than the test takes.
  auto patient = OpenUri(target.endpoint, "&loss_timeout_ms=600000");
  auto hasty = OpenUri(target.endpoint, "&loss_timeout_ms=30");
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
  RestartableTarget target;
  auto device = OpenUri(target.endpoint, "&loss_timeout_ms=0");
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

}  // namespace
}  // namespace strata::nvmeof
