// SPDX-License-Identifier: Apache-2.0
//
// The test disk itself must be trusted: it keeps what was flushed, and it does lose, tear and
// reorder the rest.
#include "support/block/fault_device.h"

#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <set>

#include "support/block/test_io.h"
#include "support/seed.h"

namespace strata::block {
namespace {

constexpr uint32_t kBlockBytes = 4096;

std::unique_ptr<Channel> OpenChannel(Device& device) {
  auto channel = device.OpenChannel({});
  REQUIRE(channel.ok());
  return *std::move(channel);
}

// A disk with one device and channel.
struct Rig {
  explicit Rig(const FaultDiskOptions& options) : Rig(std::make_unique<FaultDisk>(options)) {}
  explicit Rig(std::unique_ptr<FaultDisk> given)
      : disk(std::move(given)), device(disk->Open()), channel(OpenChannel(*device)) {}

  absl::Status Write(uint64_t lba, uint8_t value, uint64_t blocks = 1) {
    Buffer buffer(blocks * kBlockBytes);
    std::memset(buffer.data(), value, buffer.size());
    return WriteBlocking(*channel, Lba{lba}, buffer.span());
  }

  // The value that fills the block; -1 when it is mixed.
  int Value(uint64_t lba) {
    Buffer buffer(kBlockBytes);
    REQUIRE(ReadBlocking(*channel, Lba{lba}, buffer.span()) == absl::OkStatus());
    for (const std::byte b : buffer.span()) {
      if (b != buffer.data()[0]) return -1;
    }
    return static_cast<int>(buffer.data()[0]);
  }

  std::unique_ptr<FaultDisk> disk;
  std::unique_ptr<Device> device;
  std::unique_ptr<Channel> channel;
};

TEST_CASE("flushed and forced writes survive every power cut") {
  const uint64_t seed = test::Seed();
  for (uint64_t round = 0; round < 50; ++round) {
    Rig rig({.block_count = 64, .seed = seed});
    REQUIRE(rig.Write(0, 1, 8).ok());
    REQUIRE(FlushBlocking(*rig.channel).ok());
    CHECK(rig.disk->unflushed_writes() == 0);
    REQUIRE(rig.Write(20, 7).ok());  // Older than the forced write to the same block.
    Buffer buffer(kBlockBytes);
    std::memset(buffer.data(), 9, buffer.size());
    TestIo forced(Op::kWrite, Lba{20}, 1, {Whole(buffer)});
    forced.request.force_unit_access = true;
    REQUIRE(RunIo(*rig.channel, forced).ok());
    CHECK(rig.disk->counts().forced == 1);
    CHECK(rig.disk->counts().flushes == 1);
    Rig after(rig.disk->PowerCut(seed + round));
    for (uint64_t lba = 0; lba < 8; ++lba) CHECK(after.Value(lba) == 1);
    CHECK(after.Value(20) == 9);
    CHECK(rig.Write(0, 2).code() == absl::StatusCode::kUnavailable);
    CHECK(after.Write(0, 2).ok());
  }
}

TEST_CASE("unflushed writes are kept, lost, torn and overtaken") {
  const uint64_t seed = test::Seed();
  std::set<int> single;  // What became of one block written once over a flushed 1.
  bool first_lost_second_kept = false;
  bool older_over_newer = false;
  for (uint64_t round = 0; round < 400; ++round) {
    Rig rig({.block_count = 64, .seed = seed});
    REQUIRE(rig.Write(0, 1, 3).ok());
    REQUIRE(FlushBlocking(*rig.channel).ok());
    REQUIRE(rig.Write(0, 2).ok());
    REQUIRE(rig.Write(1, 3).ok());
    REQUIRE(rig.Write(2, 4).ok());
    REQUIRE(rig.Write(2, 5).ok());
    CHECK(rig.disk->unflushed_writes() == 4);
    CHECK(rig.Value(2) == 5);
    Rig after(rig.disk->PowerCut(seed + round));
    const int zero = after.Value(0);
    const int one = after.Value(1);
    const int two = after.Value(2);
    single.insert(zero);
    REQUIRE((zero == 1 || zero == 2 || zero == -1));
    REQUIRE((one == 1 || one == 3 || one == -1));
    REQUIRE((two == 1 || two == 4 || two == 5 || two == -1));
    first_lost_second_kept |= zero == 1 && one == 3;
    older_over_newer |= two == 4;
  }
  INFO("STRATA_SEED=" << seed);
  CHECK(single == std::set<int>{-1, 1, 2});
  CHECK(first_lost_second_kept);
  CHECK(older_over_newer);
}

TEST_CASE("writes within the atomic unit are not torn") {
  const uint64_t seed = test::Seed();
  for (uint64_t round = 0; round < 200; ++round) {
    Rig rig({.block_count = 64, .atomic_write_blocks = 1, .seed = seed});
    REQUIRE(rig.Write(0, 2, 4).ok());
    Rig after(rig.disk->PowerCut(seed + round));
    for (uint64_t lba = 0; lba < 4; ++lba)
      REQUIRE((after.Value(lba) == 0 || after.Value(lba) == 2));
  }
}

TEST_CASE("a flush covers only writes that completed before it was submitted") {
  const uint64_t seed = test::Seed();
  bool was_lost = false;
  for (uint64_t round = 0; round < 100 && !was_lost; ++round) {
    Rig rig({.block_count = 64, .seed = seed + round});
    Buffer buffer(kBlockBytes);
    std::memset(buffer.data(), 6, buffer.size());
    TestIo write(Op::kWrite, Lba{5}, 1, {Whole(buffer)});
    TestIo flush(Op::kFlush, Lba{0}, 0);
    REQUIRE(rig.channel->Submit(&write.request).ok());
    REQUIRE(rig.channel->Submit(&flush.request).ok());
    Drain(*rig.channel);
    REQUIRE((write.request.status.ok() && flush.request.status.ok()));
    Rig after(rig.disk->PowerCut(seed + round));
    was_lost = after.Value(5) == 0;
  }
  CHECK(was_lost);
}

TEST_CASE("the power fails after so many changes") {
  const uint64_t seed = test::Seed();
  for (uint64_t count = 0; count < 6; ++count) {
    Rig rig({.block_count = 64, .seed = seed});
    rig.disk->CutPowerAfter(count);
    std::vector<absl::Status> statuses;
    for (uint64_t i = 0; i < 3; ++i) {
      statuses.push_back(rig.Write(i, 1));
      statuses.push_back(FlushBlocking(*rig.channel));
    }
    for (uint64_t i = 0; i < 6; ++i) {
      INFO("cut after " << count << ", change " << i);
      CHECK(statuses[i].code() ==
            (i < count ? absl::StatusCode::kOk : absl::StatusCode::kUnavailable));
    }
    CHECK(!rig.disk->powered());
    Buffer buffer(kBlockBytes);
    CHECK(ReadBlocking(*rig.channel, Lba{0}, buffer.span()).code() ==
          absl::StatusCode::kUnavailable);
    Rig after(rig.disk->PowerCut(seed));
    for (uint64_t i = 0; i < count / 2; ++i) CHECK(after.Value(i) == 1);
    for (uint64_t i = count / 2 + 1; i < 3; ++i) CHECK(after.Value(i) == 0);
  }
}

TEST_CASE("the write in progress at the cut may reach the medium") {
  const uint64_t seed = test::Seed();
  std::set<int> outcomes;
  for (uint64_t round = 0; round < 200; ++round) {
    Rig rig({.block_count = 64, .seed = seed});
    rig.disk->CutPowerAfter(0);
    CHECK(rig.Write(0, 3).code() == absl::StatusCode::kUnavailable);
    outcomes.insert(Rig(rig.disk->PowerCut(seed + round)).Value(0));
  }
  CHECK(outcomes == std::set<int>{-1, 0, 3});
}

TEST_CASE("injected faults hit what they are aimed at") {
  Rig rig({.block_count = 64, .seed = test::Seed(), .reorders = false});
  REQUIRE(rig.Write(0, 1, 8).ok());

  SECTION("the nth request") {
    rig.disk->Inject({.op = Op::kWrite, .nth = 3});
    CHECK(rig.Write(0, 2).ok());
    CHECK(rig.Value(0) == 2);
    CHECK(rig.Write(1, 2).ok());
    CHECK(rig.Write(2, 2).code() == absl::StatusCode::kDataLoss);
    CHECK(rig.Write(2, 2).ok());
    CHECK(rig.disk->faults_fired() == 1);
  }
  SECTION("a range") {
    rig.disk->Inject({.op = Op::kRead,
                      .first = Lba{3},
                      .block_count = 2,
                      .status = absl::UnavailableError("cable")});
    Buffer buffer(2 * kBlockBytes);
    CHECK(ReadBlocking(*rig.channel, Lba{1}, buffer.span()).ok());
    CHECK(ReadBlocking(*rig.channel, Lba{2}, buffer.span()).code() ==
          absl::StatusCode::kUnavailable);
    CHECK(ReadBlocking(*rig.channel, Lba{4}, buffer.span()).code() ==
          absl::StatusCode::kUnavailable);
    CHECK(ReadBlocking(*rig.channel, Lba{5}, buffer.span()).ok());
    rig.disk->ClearFaults();
    CHECK(ReadBlocking(*rig.channel, Lba{4}, buffer.span()).ok());
  }
  SECTION("some of them") {
    rig.disk->Inject({.op = Op::kWrite, .probability = 0.5});
    int failed = 0;
    for (int i = 0; i < 200; ++i) failed += rig.Write(0, 1).ok() ? 0 : 1;
    CHECK(failed > 40);
    CHECK(failed < 160);
    CHECK(rig.disk->faults_fired() == static_cast<uint64_t>(failed));
  }
  SECTION("torn writes") {
    rig.disk->Inject({.kind = Fault::Kind::kTear, .op = Op::kWrite});
    std::set<int> values;
    for (int i = 0; i < 100; ++i) {
      CHECK(rig.Write(0, static_cast<uint8_t>(2 + i % 2), 1).code() == absl::StatusCode::kDataLoss);
      values.insert(rig.Value(0));
    }
    CHECK(values.contains(-1));
  }
  SECTION("lost writes and flushes") {
    rig.disk->Inject({.kind = Fault::Kind::kLose});
    CHECK(rig.Write(0, 5).ok());
    CHECK(FlushBlocking(*rig.channel).ok());
    rig.disk->ClearFaults();
    CHECK(rig.Value(0) == 1);
    CHECK(rig.disk->unflushed_writes() == 1);
  }
  SECTION("flipped bits") {
    rig.disk->Inject({.kind = Fault::Kind::kFlip, .op = Op::kRead, .nth = 1});
    CHECK(rig.Value(0) == -1);
    CHECK(rig.Value(0) == 1);
    rig.disk->Inject({.kind = Fault::Kind::kFlip, .op = Op::kWrite, .nth = 1});
    CHECK(rig.Write(0, 2).ok());
    CHECK(rig.Value(0) == -1);
    rig.disk->FlipBitAtRest(Lba{1}, 8 * 100 + 3);
    Buffer buffer(kBlockBytes);
    REQUIRE(ReadBlocking(*rig.channel, Lba{1}, buffer.span()).ok());
    CHECK(buffer.data()[100] == (std::byte{1} ^ std::byte{8}));
    REQUIRE(FlushBlocking(*rig.channel).ok());
    CHECK(Rig(rig.disk->PowerCut(1)).Value(1) == -1);
  }
}

TEST_CASE("the same seed repeats the same history") {
  const auto history = [](uint64_t seed) {
    Rig rig({.block_count = 64, .seed = seed});
    rig.disk->Inject({.probability = 0.2});
    std::vector<int> outcome;
    Buffer buffer(16 * kBlockBytes);
    std::deque<TestIo> ios;
    for (uint32_t i = 0; i < 16; ++i) {
      std::memset(buffer.data() + i * kBlockBytes, static_cast<int>(i + 1), kBlockBytes);
      TestIo& io = ios.emplace_back(Op::kWrite, Lba{i % 4}, 1,
                                    std::vector{Piece(buffer, i * kBlockBytes, kBlockBytes)});
      REQUIRE(rig.channel->Submit(&io.request).ok());
    }
    Drain(*rig.channel);
    for (const TestIo& io : ios) outcome.push_back(io.request.status.ok() ? 1 : 0);
    Rig after(rig.disk->PowerCut(seed));
    for (uint64_t lba = 0; lba < 4; ++lba) outcome.push_back(after.Value(lba));
    return outcome;
  };
  const uint64_t seed = test::Seed();
  CHECK(history(seed) == history(seed));
  bool differs = false;
  for (uint64_t other = seed + 1; other < seed + 20; ++other) {
    differs |= history(other) != history(seed);
  }
  CHECK(differs);
}

}  // namespace
}  // namespace strata::block
