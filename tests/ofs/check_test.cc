// SPDX-License-Identifier: Apache-2.0
//
// A check finds nothing in a filesystem that is well, whatever happened to it, and what is damaged
// on the disks of one that is not.
#include "strata/ofs/check.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check/stripe_uses.h"
#include "check_sample.h"
#include "format/stripe_head.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/ofs/posix_error.h"
#include "support/rounds.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

// ---- What is on the disks

struct DiskBlock {
  size_t disk = 0;  // In Home::disks.
  block::Lba lba{};
};
DiskBlock BlockOf(const Sample& sample, const ExtentRecord& extent, size_t unit, uint32_t block) {
  const GroupRecord group = Must(DecodeGroup(sample.Get(GroupKey(extent.group))));
  const uint64_t segment_blocks =
      Must(DecodeFormat(sample.Get(FormatKey()))).segment_bytes / kBlockBytes;
  const SegmentPlace place = group.units[unit];
  return {place.disk - 1, block::Lba{kHeadAreaBytes / kBlockBytes + place.segment * segment_blocks +
                                     extent.column + block}};
}

TEST_CASE("rot is found in heads, data and parity, and what is lost is named") {
  Sample sample;
  const ExtentRecord extent = sample.FirstExtent(sample.other).record;
  const uint32_t unit_bytes = extent.unit_blocks * kBlockBytes;
  const auto flip = [&](size_t unit, uint32_t block) {
    const DiskBlock at = BlockOf(sample, extent, unit, block);
    sample.disks[at.disk]->FlipBitAtRest(at.lba, 77);
  };
  for (size_t unit = 0; unit < 6; ++unit) {
    for (const uint32_t block : {0u, 1u, extent.unit_blocks}) {
      CAPTURE(unit, block);
      flip(unit, block);
      sample.Expect({});  // Metadata alone says nothing of it.
      sample.Expect({FindingKind::kDamagedUnit}, true);
      flip(unit, block);
    }
  }
  // Two units may be lost, and of three exactly what lay in those of them that are data is gone.
  flip(1, 2);
  flip(4, 2);
  sample.Expect({FindingKind::kDamagedUnit}, true);
  flip(5, 2);
  sample.Expect({FindingKind::kDamagedUnit, FindingKind::kLostRange}, true);
  const CheckReport report = sample.Examined(true);
  REQUIRE(report.lost.size() == 1);
  CHECK(report.lost[0].inode == sample.other);
  CHECK(report.lost[0].path == "/other");
  CHECK(report.lost[0].offset >= unit_bytes);
  CHECK(report.lost[0].offset + report.lost[0].bytes <= 2 * unit_bytes);
  const uint64_t lost_byte = unit_bytes + kBlockBytes;  // The second block of unit 1.
  CHECK(report.lost[0].offset <= lost_byte);
  CHECK(report.lost[0].offset + report.lost[0].bytes >=
        std::min<uint64_t>(lost_byte + kBlockBytes, 100'000));
  CHECK(report.counts.at(FindingKind::kDamagedUnit) == 3);
}

TEST_CASE("parity that is not that of the data is found, though all checksums are right") {
  Sample sample;
  const ExtentRecord extent = sample.FirstExtent(sample.other).record;
  const block::Buffer block(kBlockBytes);
  const auto transfer = [&](size_t unit, uint32_t number, bool writes) {
    const DiskBlock at = BlockOf(sample, extent, unit, number);
    const auto device = sample.disks[at.disk]->Open();
    const auto channel = Must(device->OpenChannel({}));
    Must(writes ? block::WriteBlocking(*channel, at.lba, block.span())
                : block::ReadBlocking(*channel, at.lba, block.span()));
  };
  transfer(5, 1, false);
  block.span()[100] ^= std::byte{1};
  transfer(5, 1, true);
  Bytes unit;
  for (uint32_t number = 1; number <= extent.unit_blocks; ++number) {
    transfer(5, number, false);
    unit.insert(unit.end(), block.span().begin(), block.span().end());
  }
  for (size_t of = 0; of < 6; ++of) {
    transfer(of, 0, false);
    StripeHead head = Must(DecodeStripeHead(block.span())).head;
    std::vector<uint32_t> checksums;
    AppendChecksums(unit, head.granule_blocks, &checksums);
    std::copy(checksums.begin(), checksums.end(),
              head.checksums.begin() + static_cast<ptrdiff_t>(5 * head.granules_per_unit()));
    EncodeStripeHead(head, static_cast<int>(of), block.span());
    transfer(of, 0, true);
  }
  sample.Expect({}, false);
  sample.Expect({FindingKind::kParity}, true);
}

TEST_CASE("a head that says other bytes than the extents do is found") {
  Sample sample;
  const uint64_t group = sample.FirstExtent(sample.packed).record.group;
  const uint32_t column = sample.FirstExtent(sample.packed).record.column;
  // The extents forget the last byte of the payload, and the allocation does not have it either.
  for (const uint64_t inode : {sample.packed, sample.neighbour}) {
    sample.EditExtent(inode, [](ExtentRecord& record) { ++record.stripe_bytes; });
  }
  sample.EditAllocation(group, [&](AllocationRecord& record) {
    record.partly_dead.push_back({column, 1});
  });
  const Kinds found = sample.Find(true);
  CHECK(found.contains(FindingKind::kStripe));
}

// ---- A check as such

TEST_CASE("a check changes nothing, ends when it is to, and refuses what is no filesystem") {
  Sample sample;
  const uint64_t commits = sample.kv->commit_count();
  std::vector<uint64_t> writes;
  for (const auto& disk : sample.disks) writes.push_back(disk->counts().writes);
  int calls = 0;
  const auto count = [&](const CheckProgress& progress) {
    CHECK(!progress.phase.empty());
    ++calls;
    return true;
  };
  const CheckReport report = Must(Check({.store = sample.store.get(),
                                         .registry = &sample.registry,
                                         .read_data = true,
                                         .progress = count}));
  CHECK(report.is_clean());
  CHECK(report.inodes == 11);
  CHECK(report.names == 12);
  CHECK(report.groups == 2);
  CHECK(report.stripes == 4);
  CHECK(report.bytes_read > 1'000'000);
  CHECK(sample.kv->commit_count() == commits);
  for (size_t i = 0; i < writes.size(); ++i) CHECK(sample.disks[i]->counts().writes == writes[i]);
  for (int stop = 1; stop <= calls; ++stop) {
    int left = stop;
    const auto status = Check({.store = sample.store.get(),
                               .registry = &sample.registry,
                               .read_data = true,
                               .progress = [&](const CheckProgress&) { return --left > 0; }})
                            .status();
    CHECK(absl::IsCancelled(status));
  }
  CHECK(absl::IsInvalidArgument(Check({}).status()));
  CHECK(absl::IsInvalidArgument(Check({.store = sample.store.get(), .memory_bytes = 1}).status()));
  CrashKv empty;
  const auto store = empty.Open();
  CHECK(absl::IsNotFound(Check({.store = store.get()}).status()));
  CHECK(empty.commit_count() == 0);
}

TEST_CASE("findings are kept within limits, and counted") {
  Sample sample;
  const std::string orphan = Encode(OrphanRecord{.since_ns = 1});
  for (uint64_t i = 0; i < 300; ++i) sample.Put(OrphanKey(50'000 + i), orphan);
  const CheckReport report = sample.Examined(false);
  CHECK(report.counts.at(FindingKind::kOrphan) == 300);
  CHECK(report.findings.size() == 100);
}

TEST_CASE("a group below policy is a warning") {
  Home home(6);
  home.absent = {6};
  FileSystem& fs = home.Open();
  const uint64_t inode = MakeFile(fs, "file");
  Must(fs.Write(inode, 0, Pattern(1, 500'000)));
  Must(fs.Close());
  home.Crash();
  home.absent = {};
  const CheckReport report = home.Examine(true);
  CHECK(report.is_clean());
  CHECK(report.counts.at(FindingKind::kBelowPolicy) > 0);
  CHECK(report.findings.at(0).text.find("3+2 instead of 4+2") != std::string::npos);
}

TEST_CASE("uses of stripes are the same with any memory") {
  Random random(test::Seed());
  // A stripe in each 10 columns of a group, in pieces of 100 bytes that come in any order.
  std::vector<std::pair<uint64_t, StripeUse>> all;
  for (uint64_t group = 1; group <= 40; ++group) {
    for (uint32_t stripe = 0; stripe < 20; ++stripe) {
      for (uint32_t piece = 0; piece < 10; ++piece) {
        if (random.Chance(0.2)) continue;
        all.emplace_back(group, StripeUse{.birth = stripe + 1,
                                          .inode = random.Chance(0.2) ? 0 : 1 + random.Uniform(9),
                                          .column = stripe * 10,
                                          .payload_bytes = 1000,
                                          .offset = piece * 100,
                                          .bytes = 100,
                                          .unit_blocks = 9});
      }
    }
  }
  for (size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random.Uniform(i)]);
  std::map<std::pair<uint64_t, uint32_t>, std::pair<uint64_t, uint64_t>> sums;
  for (const auto& [group, use] : all) {
    auto& [live, freed] = sums[{group, use.column}];
    (use.inode == 0 ? freed : live) += use.bytes;
  }
  for (const uint64_t memory_bytes : {1u, 10'000u, 100'000u, 100'000'000u}) {
    CAPTURE(memory_bytes);
    auto left = sums;
    int passes = 0;
    for (uint64_t first = 0; first != UINT64_MAX; ++passes) {
      StripeUses uses(first, memory_bytes);
      for (const auto& [group, use] : all) uses.Add(group, use);
      for (uint64_t from = first, group = 0; uses.FindFrom(from, &group); from = group + 1) {
        REQUIRE(group < uses.end());
        for (const UsedStripe& stripe : uses.Take(group)) {
          const auto it = left.find({group, stripe.column});
          REQUIRE(it != left.end());
          CHECK(it->second == std::pair(stripe.live_bytes, stripe.freed_bytes));
          CHECK(!stripe.has_shared_bytes);
          CHECK((stripe.inode != 0) == (stripe.live_bytes > 0));
          left.erase(it);
        }
      }
      REQUIRE(uses.end() > first);
      first = uses.end();
    }
    CHECK(left.empty());
    CHECK((passes == 1) == (memory_bytes == 100'000'000));
    if (memory_bytes == 1) CHECK(passes == 40);
  }
}

// ---- What is well

// Calls of all kinds on a small tree. Errors of POSIX are as good as success.
class Busy final {
 public:
  // `number` tells those apart that are busy with one filesystem.
  Busy(FileSystem* fs, uint64_t seed, int number) : fs_(*fs), random_(seed), number_(number) {}

  // The last EIO; empty: there was none.
  const std::string& trouble() const { return trouble_; }

  void Step() {
    const uint64_t directory = AnyDirectory();
    const std::string name = AnyName();
    switch (random_.Uniform(16)) {
      case 0:
      case 1:
        return Allow(fs_.Make(directory, name, {.mode = 0644}).status());
      case 2:
        return Allow(
            fs_.Make(directory, name, {.type = FileType::kDirectory, .mode = 0755}).status());
      case 3:
        return Allow(
            fs_.Make(directory, name, {.type = FileType::kSymlink, .symlink_target = "target"})
                .status());
      case 4:
        return Allow(fs_.Link(AnyInode(), directory, name, false).status());
      case 5:
        return Allow(fs_.Unlink(directory, name));
      case 6:
        return Allow(fs_.RemoveDirectory(directory, name));
      case 7:
      case 8:
        return Allow(fs_.Rename(directory, name, AnyDirectory(), AnyName(),
                                static_cast<RenameMode>(random_.Uniform(3))));
      case 9:
        return Allow(
            fs_.SetAttributes(AnyInode(), {.size_bytes = random_.Uniform(500'000)}).status());
      case 10:
        return Allow(fs_.PunchHole(AnyInode(), random_.Uniform(300'000), random_.Uniform(99'999)));
      case 11:
        return Allow(
            fs_.SetExtendedAttribute(AnyInode(), "user." + name, name, AttributeMode::kSet));
      case 12:
        return Allow(random_.Chance(0.3) ? fs_.Upkeep()
                                         : fs_.Sync(random_.Chance(0.5) ? kRootInode : AnyInode()));
      case 13: {
        const auto made = fs_.MakeUnnamed(directory, {.mode = 0600});
        if (!made.ok()) return Allow(made.status());
        Allow(fs_.Write(made->inode, 0, Pattern(1, 1 + random_.Uniform(200'000))));
        if (random_.Chance(0.5)) Allow(fs_.Sync(made->inode));
        if (random_.Chance(0.5)) Allow(fs_.Link(made->inode, directory, name, true).status());
        if (random_.Chance(0.7)) fs_.Release(made->inode);
        return;
      }
      default:
        return Allow(
            fs_.Write(AnyInode(), random_.Uniform(400'000),
                      Pattern(random_.Next64(),
                              1 + random_.Uniform(random_.Chance(0.3) ? 400'000 : 20'000))));
    }
  }

 private:
  void Allow(const absl::Status& status) {
    if (ErrnoOf(status) == EIO) trouble_ = status.ToString();
  }
  std::string AnyName() { return std::string(1, static_cast<char>('a' + random_.Uniform(6))); }
  uint64_t AnyDirectory() {
    uint64_t at = kRootInode;
    for (uint64_t depth = random_.Uniform(4); depth > 0; --depth) {
      const auto next = fs_.Lookup(at, AnyName());
      if (!next.ok() || next->type != FileType::kDirectory) break;
      at = next->inode;
    }
    return at;
  }
  uint64_t AnyInode() {
    for (int i = 0; i < 10; ++i) {
      const auto found = fs_.Lookup(AnyDirectory(), AnyName());
      if (found.ok() && found->type == FileType::kRegular) return found->inode;
    }
    const std::string name = "z" + std::to_string(number_);
    const auto made = fs_.Make(kRootInode, name, {.mode = 0644});
    return made.ok() ? made->inode : Must(fs_.Lookup(kRootInode, name)).inode;
  }

  FileSystem& fs_;
  Random random_;
  const int number_;
  std::string trouble_;
};

TEST_CASE("whatever calls were made, and however a session ended, all is well") {
  const uint64_t rounds = test::Rounds(12);
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint64_t seed = test::Seed() + round;
    CAPTURE(seed);
    Random random(seed);
    Home home(7, 48u << 20, Protection::ReedSolomon(4, 2), seed);
    for (int session = 0; session < 5; ++session) {
      FileSystem& fs = home.Open();
      // Disks that refuse to write or flush cost nothing but time.
      const bool has_faults = random.Chance(0.3);
      for (const block::Op op : {block::Op::kWrite, block::Op::kFlush}) {
        if (!has_faults) continue;
        home.disks[random.Uniform(7)]->Inject({.op = op, .nth = 1 + random.Uniform(60)});
      }
      std::vector<std::unique_ptr<Busy>> busy;
      for (int i = 0; i < (random.Chance(0.3) ? 3 : 1); ++i) {
        busy.push_back(std::make_unique<Busy>(&fs, random.Next64(), i));
      }
      std::vector<std::thread> threads;
      for (const auto& each : busy) {
        threads.emplace_back([&each] {
          for (int step = 0; step < 150; ++step) each->Step();
        });
      }
      for (std::thread& thread : threads) thread.join();
      if (!has_faults) {
        for (const auto& each : busy) CHECK(each->trouble().empty());
      }
      if (random.Chance(0.5)) {
        Must(fs.maintenance().SetDiskState(
            1 + random.Uniform(7), random.Chance(0.5) ? DiskState::kDraining : DiskState::kOnline,
            ""));
        HealReport report;
        for (int i = 0; i < 3; ++i) Must(fs.maintenance().Heal(1u << 20, &report));
      }
      const uint64_t end = random.Uniform(3);
      for (auto& disk : home.disks) disk->ClearFaults();
      if (end == 0) Must(fs.Close());
      if (end == 1) home.Crash();
      if (end == 2) home.CutPower(random.Next64());
      home.Crash();
      home.CheckIsWell(true);
    }
  }
}

}  // namespace
}  // namespace strata::ofs
