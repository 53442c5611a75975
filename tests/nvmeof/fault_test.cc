// SPDX-License-Identifier: Apache-2.0
//
// A disk that fails under the target. Each failure is the answer to the request that met it and to
// no other one, and the connection lives. What was flushed, or forced to the medium, survives a
// power cut.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "strata/base/endian.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "support/block/fault_device.h"
#include "support/block/test_io.h"
#include "support/nvmeof/restartable_target.h"
#include "support/rounds.h"
#include "support/seed.h"

namespace strata::nvmeof {
namespace {

using block::Buffer;
using block::Channel;
using block::FaultDisk;
using block::Lba;
using block::Op;
using block::TestIo;

constexpr uint32_t kBlockBytes = 4096;
constexpr uint64_t kBlocks = 128;

struct Way {
  const char* name;
  LinkEngine engine;
  const char* options;
};
constexpr Way kWays[] = {
    {"epoll", LinkEngine::kEpoll, ""},
    {"epoll, header digests", LinkEngine::kEpoll, "&hdgst=1"},
    {"epoll, both digests", LinkEngine::kEpoll, "&hdgst=1&ddgst=1"},
    {"io_uring", LinkEngine::kUring, ""},
    {"io_uring, data digests", LinkEngine::kUring, "&ddgst=1"},
    {"io_uring, both digests", LinkEngine::kUring, "&hdgst=1&ddgst=1"},
};

bool ReadsData(Op op) { return op == Op::kRead; }
bool TakesData(Op op) { return op == Op::kWrite || op == Op::kCompare; }
bool ChangesBlocks(Op op) {
  return op == Op::kWrite || op == Op::kWriteZeroes || op == Op::kDiscard;
}

// What a block holds: its stamp in each eight bytes. A block of zeroes has the stamp 0.
void Stamp(std::span<std::byte> block, uint64_t stamp) {
  for (size_t at = 0; at < block.size(); at += 8) StoreLe64(block.data() + at, stamp);
}

// The stamp of a block that is whole.
constexpr uint64_t kTorn = ~uint64_t{0};
uint64_t StampOf(std::span<const std::byte> block) {
  const uint64_t stamp = LoadLe64(block.data());
  for (size_t at = 0; at < block.size(); at += 8) {
    if (LoadLe64(block.data() + at) != stamp) return kTorn;
  }
  return stamp;
}

std::span<std::byte> BlockAt(Buffer& buffer, uint64_t index) {
  return buffer.span().subspan(index * kBlockBytes, kBlockBytes);
}

struct Step {
  Op op;
  uint64_t lba = 0;
  uint32_t blocks = 0;
  bool forced = false;
};

// Requests of one wave touch different blocks and may be in flight together. Small data go in the
// capsule, large data by R2T.
using Wave = std::vector<Step>;
const std::vector<Wave>& Script() {
  static const std::vector<Wave> script = {
      {{Op::kWrite, 0, 1}, {Op::kWrite, 1, 1, true}, {Op::kWrite, 2, 32}, {Op::kWrite, 40, 64}},
      {{Op::kRead, 0, 1}, {Op::kRead, 2, 32}, {Op::kFlush}, {Op::kRead, 40, 64}},
      {{Op::kCompare, 0, 2}, {Op::kCompare, 40, 64}, {Op::kWriteZeroes, 4, 8}, {Op::kFlush}},
      {{Op::kWriteZeroes, 12, 4, true}, {Op::kDiscard, 16, 8}, {Op::kRead, 40, 1}},
      {{Op::kRead, 2, 32}, {Op::kWrite, 0, 2, true}, {Op::kWrite, 120, 8}},
  };
  return script;
}

// The script with each step in a wave of its own.
std::vector<Wave> OneByOne() {
  std::vector<Wave> result;
  for (const Wave& wave : Script()) {
    for (const Step& step : wave) result.push_back({step});
  }
  return result;
}

// Runs the script and compares each answer and each block with what has to be.
class ScriptRunner {
 public:
  ScriptRunner(Channel& remote, Channel& local) : remote_(remote), local_(local) {
    content_.resize(kBlocks, 0);
  }

  // `failing`: the step, counted over all waves, that has to end with `failure`; no other one may.
  void Run(const std::vector<Wave>& waves, size_t failing, absl::StatusCode failure) {
    size_t number = 0;
    for (const Wave& wave : waves) {
      RunWave(wave, failing - number, failure);
      number += wave.size();
    }
    CheckContent();
  }

 private:
  struct Io {
    TestIo io;
    Buffer buffer;
    bool ends_well = true;
  };

  void RunWave(const Wave& wave, size_t failing, absl::StatusCode failure) {
    std::deque<Io> ios;
    for (const Step& step : wave) {
      Io& io = ios.emplace_back();
      io.ends_well = ios.size() - 1 != failing;
      io.buffer = Buffer(size_t{step.blocks} * kBlockBytes);
      for (uint64_t i = 0; i < step.blocks; ++i) {
        const uint64_t stamp = step.op == Op::kWrite ? ++last_stamp_ : content_[step.lba + i];
        if (TakesData(step.op)) Stamp(BlockAt(io.buffer, i), stamp);
        if (io.ends_well && ChangesBlocks(step.op)) {
          content_[step.lba + i] = step.op == Op::kWrite ? stamp : 0;
        }
      }
      io.io.request.op = step.op;
      io.io.request.lba = Lba{step.lba};
      io.io.request.block_count = step.blocks;
      io.io.request.force_unit_access = step.forced;
      if (TakesData(step.op) || ReadsData(step.op)) {
        io.io.segments = {Whole(io.buffer)};
        io.io.request.segments = io.io.segments;
      }
      REQUIRE(remote_.Submit(&io.io.request).ok());
    }
    while (remote_.in_flight() > 0) PollOrSleep(remote_);
    for (size_t i = 0; i < wave.size(); ++i) Check(wave[i], ios[i], failure);
  }

  void Check(const Step& step, Io& io, absl::StatusCode failure) {
    INFO("operation " << static_cast<int>(step.op) << " at block " << step.lba << " ends with "
                      << io.io.request.status);
    CHECK(io.io.done_count == 1);
    CHECK(io.io.request.status.code() == (io.ends_well ? absl::StatusCode::kOk : failure));
    if (!ReadsData(step.op) || !io.ends_well) return;
    for (uint64_t i = 0; i < step.blocks; ++i) {
      if (StampOf(BlockAt(io.buffer, i)) != content_[step.lba + i]) {
        FAIL_CHECK("block " << step.lba + i << " is read wrong");
      }
    }
  }

  // As the disk has it, past the target.
  void CheckContent() {
    Buffer all(kBlocks * kBlockBytes);
    REQUIRE(ReadBlocking(local_, Lba{0}, all.span()).ok());
    for (uint64_t i = 0; i < kBlocks; ++i) {
      if (StampOf(BlockAt(all, i)) != content_[i]) FAIL_CHECK("block " << i << " is stored wrong");
    }
  }

  Channel& remote_;
  Channel& local_;
  std::vector<uint64_t> content_;
  uint64_t last_stamp_ = 0;
};

// The fault that meets exactly the step of this number.
block::Fault FaultAt(const std::vector<Wave>& waves, size_t number, const absl::Status& status) {
  std::vector<Step> steps;
  for (const Wave& wave : waves) steps.insert(steps.end(), wave.begin(), wave.end());
  const Step& wanted = steps[number];
  block::Fault fault{.op = wanted.op, .nth = 1, .status = status};
  if (wanted.op != Op::kFlush) {
    fault.first = Lba{wanted.lba};
    fault.block_count = 1;
  }
  for (size_t i = 0; i < number; ++i) {
    const bool touches = wanted.op == Op::kFlush || (steps[i].lba <= wanted.lba &&
                                                     wanted.lba < steps[i].lba + steps[i].blocks);
    if (steps[i].op == wanted.op && touches) ++fault.nth;
  }
  return fault;
}

TEST_CASE("each I/O that fails under the target fails for its request alone") {
  const absl::Status failures[] = {
      absl::DataLossError("injected"), absl::UnavailableError("injected"),
      absl::ResourceExhaustedError("injected"), absl::InternalError("injected")};
  const auto [engine_name, engine, options] =
      GENERATE(from_range(std::begin(kWays), std::end(kWays)));
  INFO(engine_name);
  FaultDisk disk({.block_count = kBlocks, .seed = test::Seed()});
  RestartableTarget target(disk.Open(), {.engine = engine});
  auto device = OpenRestartable(target.endpoint, options);
  INFO(device.status());
  REQUIRE(device.ok());
  const auto remote = *(*device)->OpenChannel({.queue_depth = 16});
  const auto local_device = disk.Open();
  const auto local = *local_device->OpenChannel({});
  ScriptRunner runner(*remote, *local);
  for (const auto& waves : {OneByOne(), Script()}) {
    size_t steps = 0;
    for (const Wave& wave : waves) steps += wave.size();
    for (const absl::Status& failure : failures) {
      for (size_t n = 0; n < steps; ++n) {
        INFO("step " << n << " fails with " << failure);
        const uint64_t fired_before = disk.faults_fired();
        disk.ClearFaults();
        // One after the other, the nth request is the nth step. This counts what the target asks
        // of its disk: no request is repeated and none is split.
        disk.Inject(waves.size() == steps ? block::Fault{.nth = n + 1, .status = failure}
                                          : FaultAt(waves, n, failure));
        runner.Run(waves, n, failure.code());
        CHECK(disk.faults_fired() == fired_before + 1);
      }
    }
    disk.ClearFaults();
    runner.Run(waves, steps, absl::StatusCode::kOk);
  }
  CHECK(target.statistics().connections_accepted == 2);
  CHECK(target.statistics().connections_terminated == 0);
}

// What each block may hold after the power failed: what was durable for sure, or a later write.
class DurabilityModel {
 public:
  DurabilityModel(block::Device& device, uint64_t seed)
      : random_(seed), channel_(*device.OpenChannel({.queue_depth = kDepth})), slots_(kDepth) {
    blocks_.resize(kBlocks);
    for (Slot& slot : slots_) {
      slot.model = this;
      slot.buffer = Buffer(kMostBlocks * kBlockBytes);
    }
  }

  // Sends so many requests, or fewer when one meets a disk without power, and waits for them all.
  void Run(uint64_t requests) {
    for (uint64_t i = 0; i < requests && !has_failed_;) {
      Slot* slot = nullptr;
      for (Slot& candidate : slots_) {
        if (!candidate.is_used) slot = &candidate;
      }
      if (slot == nullptr) {
        PollOrSleep(*channel_);
      } else if (random_.Chance(0.3)) {
        channel_->Poll(8);
      } else {
        i += Begin(slot) ? 1 : 0;
      }
    }
    while (channel_->in_flight() > 0) PollOrSleep(*channel_);
  }

  // The writes of a block, in order, beginning with what it held at first.
  struct Block {
    std::vector<uint64_t> stamps{0};
    size_t durable = 0;       // This one or a later one is there after a power cut.
    size_t acknowledged = 0;  // This one or a later one is read.
    bool is_busy = false;
  };

  void CheckAll(size_t Block::*least) {
    Buffer block(kBlockBytes);
    for (uint64_t i = 0; i < kBlocks; ++i) {
      absl::Status status;
      REQUIRE(TargetRig::Soon([&] {
        status = ReadBlocking(*channel_, Lba{i}, block.span());
        return status.ok();
      }));
      CheckRead(i, block.span(), blocks_[i].*least);
    }
  }

  uint64_t acknowledged() const { return acknowledged_; }
  bool has_failed() const { return has_failed_; }

 private:
  static constexpr uint32_t kDepth = 8;
  static constexpr uint64_t kMostBlocks = 8;

  struct Slot {
    DurabilityModel* model = nullptr;
    Buffer buffer;
    block::Segment segment;
    block::Request request;
    std::vector<size_t> covered;  // Of a flush: what was acknowledged of each block.
    bool is_used = false;
  };

  // False: a block that was chosen is in use.
  bool Begin(Slot* slot) {
    const uint64_t dice = random_.Uniform(100);
    const Op op = dice < 10                                            ? Op::kFlush
                  : dice < 25                                          ? Op::kRead
                  : dice < 30 && channel_->geometry().supports_discard ? Op::kDiscard
                  : dice < 35                                          ? Op::kWriteZeroes
                                                                       : Op::kWrite;
    uint64_t count = op == Op::kFlush ? 0 : 1 + random_.Uniform(kMostBlocks);
    const uint64_t first = random_.Uniform(kBlocks - kMostBlocks);
    for (uint64_t i = 0; i < count; ++i) {
      if (blocks_[first + i].is_busy) return false;
    }
    slot->is_used = true;
    slot->request = {
        .op = op,
        .force_unit_access = (op == Op::kWrite || op == Op::kWriteZeroes) && random_.Chance(0.15),
        .lba = Lba{count == 0 ? 0 : first},
        .block_count = static_cast<uint32_t>(count),
        .done =
            [](block::Request* request) {
              auto* ended = static_cast<Slot*>(request->context);
              ended->model->End(ended);
            },
        .context = slot};
    if (op == Op::kRead || op == Op::kWrite) {
      slot->segment = {slot->buffer.data(), count * kBlockBytes};
      slot->request.segments = {&slot->segment, 1};
    }
    for (uint64_t i = 0; i < count; ++i) {
      Block& block = blocks_[first + i];
      block.is_busy = true;
      if (op == Op::kRead) continue;
      block.stamps.push_back(op == Op::kWrite ? ++last_stamp_ : 0);
      if (op == Op::kWrite) Stamp(BlockAt(slot->buffer, i), last_stamp_);
    }
    slot->covered.clear();
    if (op == Op::kFlush) {
      for (const Block& block : blocks_) slot->covered.push_back(block.acknowledged);
    }
    REQUIRE(channel_->Submit(&slot->request).ok());
    return true;
  }

  void End(Slot* slot) {
    const block::Request& request = slot->request;
    slot->is_used = false;
    const bool is_ok = request.status.ok();
    if (!is_ok) {
      has_failed_ = true;
      if (!absl::IsUnavailable(request.status)) FAIL_CHECK(request.status);
    }
    if (is_ok) ++acknowledged_;
    if (is_ok && request.op == Op::kFlush) {
      for (uint64_t i = 0; i < kBlocks; ++i) {
        blocks_[i].durable = std::max(blocks_[i].durable, slot->covered[i]);
      }
    }
    for (uint64_t i = 0; i < request.block_count; ++i) {
      Block& block = blocks_[request.lba.value + i];
      block.is_busy = false;
      if (!is_ok) continue;
      if (request.op == Op::kRead) {
        CheckRead(request.lba.value + i, BlockAt(slot->buffer, i), block.acknowledged);
        continue;
      }
      block.acknowledged = block.stamps.size() - 1;
      if (request.force_unit_access) block.durable = block.acknowledged;
    }
  }

  void CheckRead(uint64_t index, std::span<const std::byte> bytes, size_t least) {
    const std::vector<uint64_t>& stamps = blocks_[index].stamps;
    const uint64_t stamp = StampOf(bytes);
    if (std::find(stamps.begin() + static_cast<ptrdiff_t>(least), stamps.end(), stamp) !=
        stamps.end()) {
      return;
    }
    FAIL_CHECK("block " << index << " holds " << stamp << ", and has to hold " << stamps[least]
                        << " or one of " << stamps.size() - 1 - least << " later writes");
  }

  Random random_;
  std::unique_ptr<Channel> channel_;
  std::vector<Slot> slots_;
  std::vector<Block> blocks_;
  uint64_t last_stamp_ = 0;
  uint64_t acknowledged_ = 0;
  bool has_failed_ = false;
};

TEST_CASE("what was flushed or forced is there after a power cut under the target") {
  Random random(test::Seed());
  uint64_t acknowledged = 0;
  for (const Way& way : kWays) {
    for (uint64_t round = 0; round < test::Rounds(10); ++round) {
      const uint64_t changes = random.Uniform(120);
      INFO(way.name << ", power fails after " << changes << " changes");
      FaultDisk disk({.block_count = kBlocks, .atomic_write_blocks = 1, .seed = random.Next64()});
      RestartableTarget target(disk.Open(), {.engine = way.engine});
      auto device = OpenRestartable(target.endpoint, way.options);
      INFO(device.status());
      REQUIRE(device.ok());
      DurabilityModel model(**device, random.Next64());
      disk.CutPowerAfter(changes);
      model.Run(100'000);
      CHECK_FALSE(disk.powered());
      CHECK(target.statistics().connections_accepted == 2);
      CHECK(target.statistics().connections_terminated == 0);
      const auto survivor = disk.PowerCut(random.Next64());
      target.Stop();
      target.SetDevice(survivor->Open());
      target.Start();
      model.CheckAll(&DurabilityModel::Block::durable);
      acknowledged += model.acknowledged();
    }
  }
  CHECK(acknowledged > 60 * test::Rounds(10));
}

// STRATA_TEST_TARGET names a namespace of somebody else's target instead, whose first blocks are
// overwritten: reads, writes, forced ones, flushes, discards and zeroes.
TEST_CASE("all operations that every target has do what they should") {
  FaultDisk disk({.block_count = kBlocks, .seed = test::Seed()});
  RestartableTarget target(disk.Open());
  const char* foreign = std::getenv("STRATA_TEST_TARGET");
  block::Registry registry = block::Registry::WithDefaults();
  REQUIRE(RegisterNvmeTcp(&registry).ok());
  auto device =
      foreign != nullptr ? registry.Open(foreign) : OpenRestartable(target.endpoint, "&ddgst=1");
  INFO(device.status());
  REQUIRE(device.ok());
  REQUIRE((*device)->geometry().block_size_bytes == kBlockBytes);
  CHECK(((*device)->geometry().supports_discard || foreign != nullptr));
  {
    const auto channel = *(*device)->OpenChannel({});
    REQUIRE(WriteZeroesBlocking(*channel, Lba{0}, kBlocks).ok());
  }
  DurabilityModel model(**device, test::Seed());
  model.Run(5000);
  CHECK_FALSE(model.has_failed());
  model.CheckAll(&DurabilityModel::Block::acknowledged);
  CHECK(model.acknowledged() > 1000);
}

}  // namespace
}  // namespace strata::nvmeof
