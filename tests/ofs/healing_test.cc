// SPDX-License-Identifier: Apache-2.0
//
// Disks fail, leave, come back and rot; what was written is read back, and full redundancy returns.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "disks/disk_rows.h"
#include "format/key_layout.h"
#include "format/superblock.h"
#include "home.h"
#include "hooked_store.h"
#include "support/manual_clock.h"
#include "support/rounds.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

constexpr uint64_t kStep = 1u << 20;
constexpr uint64_t kAll = ~uint64_t{0} / 2;

std::map<uint64_t, Bytes> WriteFiles(FileSystem& fs, uint64_t seed, int count = 12) {
  Random random(seed);
  std::map<uint64_t, Bytes> files;
  for (int i = 0; i < count; ++i) {
    const uint64_t inode = MakeFile(fs, "file" + std::to_string(seed) + "-" + std::to_string(i));
    const size_t size = 5000 + random.Uniform(i % 3 == 0 ? 1'500'000 : 60'000);
    files[inode] = Pattern(random.Next64(), size);
    Must(fs.Write(inode, 0, files[inode]));
  }
  Must(fs.SyncAll());
  return files;
}

void CheckFiles(FileSystem& fs, const std::map<uint64_t, Bytes>& files) {
  for (const auto& [inode, bytes] : files) {
    CAPTURE(inode);
    REQUIRE(ReadAll(fs, inode) == bytes);
  }
}

HealReport HealAll(FileSystem& fs, uint64_t step_bytes = kAll) {
  HealReport report;
  while (!report.is_done) Must(fs.maintenance().Heal(step_bytes, &report));
  return report;
}

ScrubReport ScrubAll(FileSystem& fs, uint64_t step_bytes = kAll) {
  ScrubReport report;
  while (!report.is_done) Must(fs.maintenance().Scrub(step_bytes, &report));
  return report;
}

// Where the units of all groups lie, and whether exactly these segments are taken.
std::map<SegmentPlace, uint64_t> CheckSegments(Home& home) {
  const Metadata metadata = Must(OpenMetadata(home.store.get()));
  const auto snapshot = metadata.store->NewSnapshot();
  std::map<SegmentPlace, uint64_t> used;
  Must(kv::ForEach(*snapshot, metadata.meta, TableRange(Table::kGroup),
                   [&](const kv::KeyValue& row) {
                     const uint64_t group = Must(GroupOf(Table::kGroup, row.key));
                     for (const SegmentPlace& place : Must(DecodeGroup(row.value)).units) {
                       CHECK(used.emplace(place, group).second);
                     }
                     return absl::OkStatus();
                   }));
  Must(kv::ForEach(*snapshot, metadata.meta, TableRange(Table::kAllocation),
                   [&](const kv::KeyValue& row) {
                     const uint64_t group = Must(GroupOf(Table::kAllocation, row.key));
                     for (const SegmentPlace& place : Must(DecodeAllocation(row.value)).moving_to) {
                       used.emplace(place, group);
                     }
                     return absl::OkStatus();
                   }));
  size_t taken = 0;
  Must(kv::ForEach(*snapshot, metadata.meta, TableRange(Table::kSegments),
                   [&](const kv::KeyValue& row) {
                     const Bitmap map = Must(DecodeSegments(row.value)).taken;
                     const SegmentsChunk chunk = Must(SegmentsOf(row.key));
                     for (uint32_t i = 0; i < map.size(); ++i) {
                       if (!map.Test(i)) continue;
                       ++taken;
                       CHECK(used.contains({chunk.disk, chunk.chunk * kSegmentsPerChunk + i}));
                     }
                     return absl::OkStatus();
                   }));
  CHECK(taken == used.size());
  return used;
}

size_t UnitsOn(Home& home, uint32_t disk) {
  size_t count = 0;
  for (const auto& [place, group] : CheckSegments(home)) count += place.disk == disk ? 1 : 0;
  return count;
}

DiskStatus StatusOf(FileSystem& fs, uint32_t number) {
  for (const DiskStatus& disk : fs.maintenance().Disks()) {
    if (disk.number == number) return disk;
  }
  FAIL("there is no disk " << number);
  return {};
}

TEST_CASE("what a lost disk held is on the others again, whatever the protection") {
  for (const Protection& protection :
       {Protection::ReedSolomon(4, 2), Protection::ReedSolomon(2, 1), Protection::Mirror(3),
        Protection::LocallyRepairable(4, 2, 1)}) {
    CAPTURE(ProtectionName(protection));
    Home home(9, 32u << 20, protection);
    const auto files = WriteFiles(home.Open(), 1);
    Must(home.fs->Close());
    home.absent = {2};
    FileSystem& fs = home.Open();
    CHECK(StatusOf(fs, 2).is_present == false);
    CHECK(StatusOf(fs, 2).reason.find("the disk is gone") != std::string::npos);
    CHECK(HealAll(fs).groups_moved == 0);  // Nobody has said that it is lost.
    REQUIRE(UnitsOn(home, 2) > 0);
    Must(fs.maintenance().SetDiskState(2, DiskState::kFailed, "it burnt"));
    CHECK(StatusOf(fs, 2).state == DiskState::kFailed);
    const absl::Status early = fs.maintenance().SetDiskState(2, DiskState::kRemoved, "");
    CHECK(absl::IsFailedPrecondition(early));
    CHECK(early.message().find("still holds units of") != std::string_view::npos);
    const HealReport report = HealAll(fs, kStep);
    CHECK(report.groups_moved > 0);
    CHECK(report.groups_left == 0);
    CHECK(report.stripes_lost == 0);
    CHECK(report.problems.empty());
    CHECK(UnitsOn(home, 2) == 0);
    CheckFiles(fs, files);
    Must(fs.maintenance().SetDiskState(2, DiskState::kRemoved, "sold"));
    Must(fs.Close());
    // As many may be lost again as before.
    for (size_t first = 3; first < 9; ++first) {
      home.absent = {2};
      for (int i = 0; i < protection.tolerated_losses(); ++i) home.absent.insert(first + i);
      CheckFiles(home.Open(), files);
    }
    home.absent = {2};
    CHECK(ScrubAll(home.Open()).units_repaired == 0);
    Must(home.fs->Close());
  }
}

TEST_CASE("without a disk to go to units wait, with the reason; a new disk takes them") {
  Home home(6);
  const auto files = WriteFiles(home.Open(), 2);
  Must(home.fs->Close());
  home.absent = {5};
  FileSystem& fs = home.Open();
  Must(fs.maintenance().SetDiskState(5, DiskState::kFailed, "lost"));
  // Only mirrors, which small files are packed into, have a place on five disks.
  HealReport report = HealAll(fs);
  CHECK(report.groups_left > 0);
  REQUIRE(!report.problems.empty());
  CHECK(report.problems[0].find("has nowhere to go") != std::string::npos);
  CheckSegments(home);

  const std::string uri = home.AddDisk(32u << 20, 77);
  CHECK(Must(fs.maintenance().AddDisk({.uri = uri}, false)) == 7);
  const absl::Status twice = fs.maintenance().AddDisk({.uri = uri}, true).status();
  CHECK(twice.message().find("is disk 7 of this filesystem") != std::string_view::npos);
  report = HealAll(fs, kStep);
  CHECK(report.groups_left == 0);
  CHECK(UnitsOn(home, 5) == 0);
  CHECK(UnitsOn(home, 7) > 0);
  Must(fs.maintenance().SetDiskState(5, DiskState::kRemoved, ""));
  const auto more = WriteFiles(fs, 3);
  Must(fs.Close());
  home.absent = {5, 1, 7};
  CheckFiles(home.Open(), files);
  CheckFiles(*home.fs, more);
}

TEST_CASE("a new disk may have the name of the lost one that it replaces") {
  Home home;
  const auto files = WriteFiles(home.Open(), 1);
  Must(home.fs->Close());
  home.disks[1] = std::make_unique<FaultDisk>(
      block::FaultDiskOptions{.block_count = (32u << 20) / 4096, .seed = 7});
  home.expected = {FindingKind::kAbsentDisk};
  FileSystem* fs = &home.Open();
  CHECK_FALSE(StatusOf(*fs, 2).is_present);
  home.expected = {};
  REQUIRE(Must(fs->maintenance().AddDisk({.uri = "fault:2"}, false)) == 7);
  Must(fs->maintenance().SetDiskState(2, DiskState::kFailed, "replaced"));
  // Both have a row until the healing has ended.
  Must(fs->Close());
  fs = &home.Open();
  CHECK_FALSE(StatusOf(*fs, 2).is_present);
  CHECK(StatusOf(*fs, 7).is_present);
  CHECK(fs->maintenance().AddDisk({.uri = "fault:2"}, true).status().message().find("is disk 7") !=
        std::string_view::npos);
  const HealReport report = HealAll(*fs);
  CHECK(report.groups_left == 0);
  CHECK(report.problems.empty());
  CHECK(UnitsOn(home, 2) == 0);
  Must(fs->maintenance().SetDiskState(2, DiskState::kRemoved, "burnt"));
  Must(fs->Close());
  home.absent = {1, 6};  // As many may be lost again as before.
  CheckFiles(home.Open(), files);
  Must(home.fs->Close());
}

TEST_CASE("a disk that drains is emptied while others write, read and delete") {
  Home home(8, 64u << 20);
  FileSystem& fs = home.Open();
  const auto files = WriteFiles(fs, 4);
  Must(fs.maintenance().SetDiskState(3, DiskState::kDraining, "to be replaced"));
  std::atomic<bool> ends{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Random random(static_cast<uint64_t>(t) + 1);
      const std::string name = "busy" + std::to_string(t);
      for (int i = 0; !ends.load(); ++i) {
        const auto made = fs.Make(kRootInode, name, {.mode = 0644});
        const Bytes bytes = Pattern(random.Next64(), 1000 + random.Uniform(400'000));
        Bytes out(bytes.size());
        const bool good = made.ok() && fs.Write(made->inode, 0, bytes).ok() &&
                          fs.Sync(made->inode).ok() && fs.Read(made->inode, 0, out).ok() &&
                          out == bytes && fs.Unlink(kRootInode, name).ok() && fs.Upkeep().ok();
        if (!good) ++wrong;
      }
    });
  }
  std::vector<std::string> problems;
  for (int rounds = 0; UnitsOn(home, 3) > 0; ++rounds) {
    HealReport report;
    Must(fs.maintenance().Heal(kStep, &report));
    problems = report.problems;
    CheckFiles(fs, files);
    Must(fs.maintenance().SetDiskState(3, DiskState::kDraining, "still"));  // Plan again.
    REQUIRE(rounds < 10'000);
  }
  ends = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CheckFiles(fs, files);
  Must(fs.maintenance().SetDiskState(3, DiskState::kRemoved, ""));
  Must(fs.Close());
  home.absent = {3};
  CheckFiles(home.Open(), files);
  CHECK(ScrubAll(*home.fs).units_repaired == 0);
  CheckSegments(home);
}

TEST_CASE("a power cut while units move costs nothing, wherever it comes") {
  const uint64_t rounds = test::Rounds(25);
  bool is_whole = false;
  for (uint64_t round = 0; round < rounds || !is_whole; ++round) {
    const uint64_t seed = test::Seed() + round;
    CAPTURE(seed);
    Random random(seed);
    Home home(8, 32u << 20, Protection::ReedSolomon(4, 2), seed);
    FileSystem* fs = &home.Open();
    const auto files = WriteFiles(*fs, seed, 6);
    Must(fs->Close());
    home.absent = {1};
    fs = &home.Open();
    Must(fs->maintenance().SetDiskState(1, DiskState::kFailed, "lost"));
    const auto cut = [&] {
      for (auto& disk : home.disks) disk->CutPowerAfter(0);
    };
    const uint64_t where = random.Uniform(3);
    if (where == 0) {
      home.kv->CutPowerAfter(random.Uniform(12), cut);
    } else if (where == 1) {
      home.disks[1 + random.Uniform(7)]->CutPowerAfter(random.Uniform(10));
    }
    HealReport report;
    absl::Status status;
    while (status.ok() && !report.is_done && report.problems.empty()) {
      status = fs->maintenance().Heal(kStep, &report);
    }
    is_whole = is_whole || (status.ok() && report.groups_left == 0);
    home.CutPower(random.Next64());
    fs = &home.Open();
    CheckSegments(home);
    CheckFiles(*fs, files);
    if (status.ok() && report.groups_left == 0) CHECK(UnitsOn(home, 1) == 0);
    CHECK(HealAll(*fs).groups_left == 0);
    CHECK(UnitsOn(home, 1) == 0);
    Must(fs->Close());
    home.absent = {1, 2 + random.Uniform(3), 5 + random.Uniform(3)};
    CheckFiles(home.Open(), files);
  }
}

TEST_CASE("units go to no segment that a power cut could give back to somebody else") {
  const uint64_t rounds = test::Rounds(20);
  uint64_t moved = 0;  // Rounds in which a group that lives lay on the disk.
  for (uint64_t seed = test::Seed(); moved < rounds; ++seed) {
    CAPTURE(seed);
    Home home(7, 32u << 20, Protection::ReedSolomon(4, 2), seed);
    const auto files = WriteFiles(home.Open(), seed, 6);
    Must(home.fs->Close());
    FileSystem* fs = &home.Open();
    const uint64_t victim = MakeFile(*fs, "victim");
    const Bytes bytes = Pattern(seed, 20'000'000);  // It has groups of its own.
    Must(fs->Write(victim, 0, bytes));
    Must(fs->Close());
    home.Crash();
    home.store = home.kv->Open();
    {
      HookedStore hooked(home.store.get());
      const auto session = Must(FileSystem::Open({.store = &hooked, .registry = &home.registry}));
      const uint64_t other = MakeFile(*session, "other");
      Must(session->Write(other, 0, Pattern(1, 1)));
      Must(session->Unlink(kRootInode, "other"));
      Must(session->maintenance().SetDiskState(1, DiskState::kDraining, ""));
      // Upkeep() makes everything durable, and frees: also what is deleted between the two.
      hooked.before_commit = [&] { Must(session->PunchHole(victim, 0, bytes.size())); };
      Must(session->Upkeep());
      REQUIRE(!hooked.before_commit);
      HealReport report;
      for (int i = 0; i < 4; ++i) Must(session->maintenance().Heal(1, &report));
      moved += report.bytes_written > 0 ? 1 : 0;
    }
    home.CutPower(seed);
    const Bytes now = ReadAll(home.Open(), victim);
    CHECK((now == bytes || now == Bytes(bytes.size())));
    CheckFiles(*home.fs, files);
    CHECK(ScrubAll(*home.fs).units_repaired == 0);  // No unit of it was overwritten.
  }
}

TEST_CASE("commits that fail while units move, applied or not, cost nothing") {
  const uint64_t rounds = test::Rounds(20);
  int failed = 0;
  for (uint64_t round = 0; round < rounds || failed < 20; ++round) {
    const uint64_t seed = test::Seed() + round;
    CAPTURE(seed);
    Random random(seed);
    Home home(8, 32u << 20, Protection::ReedSolomon(4, 2), seed);
    home.store = home.kv->Open();
    HookedStore hooked(home.store.get());
    std::unique_ptr<FileSystem> fs =
        Must(FileSystem::Open({.store = &hooked, .registry = &home.registry}));
    const auto files = WriteFiles(*fs, seed, 6);
    Must(fs->maintenance().SetDiskState(1, DiskState::kDraining, "old"));
    hooked.FailSome(&random, 0.3, &failed);
    HealReport report;
    for (int i = 0; i < 20; ++i) {
      (void)fs->maintenance().Heal(kStep, &report);
      CheckFiles(*fs, files);
    }
    hooked.before_commit = nullptr;
    fs.reset();
    home.Open();
    CheckSegments(home);
    CheckFiles(*home.fs, files);
    CHECK(HealAll(*home.fs).groups_left == 0);
    CHECK(UnitsOn(home, 1) == 0);
    CheckFiles(*home.fs, files);
    Must(home.fs->Close());
  }
}

TEST_CASE("the disk that units go to fails, and another one takes them") {
  Home home(9);
  FileSystem& fs = home.Open();
  const auto files = WriteFiles(fs, 6);
  Must(fs.maintenance().SetDiskState(1, DiskState::kFailed, "lost"));
  std::set<size_t> broken;
  // Whichever disk gets the first unit.
  for (size_t i = 1; i < 9; ++i) {
    home.disks[i]->Inject({.op = block::Op::kWrite, .nth = 3});
  }
  HealReport report;
  for (int i = 0; i < 20 && (i == 0 || report.groups_left > 0); ++i) {
    Must(fs.maintenance().SetDiskState(1, DiskState::kFailed, "lost"));  // Plan again.
    report = HealAll(fs);
  }
  CheckFiles(fs, files);
  CheckSegments(home);
  for (const DiskStatus& disk : fs.maintenance().Disks()) {
    if (!disk.takes_writes) broken.insert(disk.number);
  }
  CHECK(!broken.empty());
  for (auto& disk : home.disks) disk->ClearFaults();
  Must(fs.Close());
  CHECK(HealAll(home.Open()).groups_left == 0);
  CHECK(UnitsOn(home, 1) == 0);
  CheckFiles(*home.fs, files);
  Must(home.fs->Close());
}

TEST_CASE("the group with the least redundancy is moved first") {
  Home home(10, 64u << 20);
  FileSystem* fs = &home.Open();
  std::map<uint64_t, Bytes> files;
  // Many groups, so that they lie on different disks.
  for (uint64_t i = 0; i < 6; ++i) {
    files.merge(WriteFiles(*fs, 10 + i, 3));
    Must(fs->Close());
    fs = &home.Open();
  }
  Must(fs->Close());
  home.absent = {1, 2};
  fs = &home.Open();
  std::map<uint64_t, int> lost;
  for (const auto& [place, group] : CheckSegments(home)) lost[group] += place.disk <= 2 ? 1 : 0;
  int most = 0;
  for (const auto& [group, count] : lost) most += count == 2 ? 1 : 0;
  int some = 0;
  for (const auto& [group, count] : lost) some += count == 1 ? 1 : 0;
  REQUIRE(most > 0);
  REQUIRE(some > 0);
  Must(fs->maintenance().SetDiskState(1, DiskState::kFailed, ""));
  Must(fs->maintenance().SetDiskState(2, DiskState::kFailed, ""));
  HealReport report;
  while (report.groups_moved < static_cast<uint64_t>(most)) {
    Must(fs->maintenance().Heal(1, &report));
  }
  std::map<uint64_t, int> left;
  for (const auto& [place, group] : CheckSegments(home)) left[group] += place.disk <= 2 ? 1 : 0;
  for (const auto& [group, count] : left) CHECK(count < 2);
  CHECK(HealAll(*fs).groups_left == 0);
  CheckFiles(*fs, files);
}

TEST_CASE("a silent disk is taken for failed in time, and serves again when it comes back") {
  test::ManualClock clock;
  Home home(8, 64u << 20);
  home.clock = &clock;
  home.fail_after_ms = 60'000;
  const auto files = WriteFiles(home.Open(), 7);
  Must(home.fs->Close());
  home.absent = {4};
  FileSystem* fs = &home.Open();
  CHECK(HealAll(*fs).groups_moved == 0);
  clock.now_ns += 59'000'000'000;
  CHECK(HealAll(*fs).groups_moved == 0);
  CHECK(StatusOf(*fs, 4).state == DiskState::kOnline);
  clock.now_ns += 2'000'000'000;
  CHECK(HealAll(*fs).groups_moved > 0);
  CHECK(StatusOf(*fs, 4).state == DiskState::kFailed);
  // What is deleted and written meanwhile must not come back with it.
  Must(fs->Unlink(kRootInode, "file7-0"));
  const auto more = WriteFiles(*fs, 8);
  Must(fs->Close());
  home.absent = {};
  fs = &home.Open();
  CHECK(StatusOf(*fs, 4).is_present);
  CHECK(StatusOf(*fs, 4).state == DiskState::kFailed);
  CHECK(UnitsOn(home, 4) == 0);
  Must(fs->maintenance().SetDiskState(4, DiskState::kOnline, "the cable was loose"));
  auto kept = files;
  std::erase_if(kept, [&](const auto& file) { return !fs->GetAttributes(file.first).ok(); });
  CHECK(kept.size() == files.size() - 1);
  CheckFiles(*fs, kept);
  const auto after = WriteFiles(*fs, 9, 60);
  Must(fs->Close());
  fs = &home.Open();
  CHECK(UnitsOn(home, 4) > 0);
  CheckFiles(*fs, kept);
  CheckFiles(*fs, more);
  CheckFiles(*fs, after);
  CHECK(ScrubAll(*fs).units_repaired == 0);
}

// The first block of a disk after its segments begin that a unit lies in.
block::Lba BlockOf(const SegmentPlace& place, uint32_t segment_blocks, uint32_t column) {
  return block::Lba{kHeadAreaBytes / kBlockBytes + uint64_t{place.segment} * segment_blocks +
                    column};
}

TEST_CASE("what a reader finds damaged is repaired in place") {
  Home home(6);
  FileSystem* fs = &home.Open();
  const uint64_t inode = MakeFile(*fs, "file");
  const Bytes bytes = Pattern(1, 500'000);
  Must(fs->Write(inode, 0, bytes));
  Must(fs->Close());
  fs = &home.Open();
  const auto places = CheckSegments(home);
  const uint32_t segment_blocks =
      static_cast<uint32_t>(StatusOf(*fs, 1).segment_bytes / kBlockBytes);
  REQUIRE(places.size() == 6);
  // A block of data in one unit, a head in another.
  auto at = places.begin();
  home.disks[at->first.disk - 1]->FlipBitAtRest(BlockOf(at->first, segment_blocks, 5), 100);
  ++at;
  home.disks[at->first.disk - 1]->FlipBitAtRest(BlockOf(at->first, segment_blocks, 0), 100);
  CHECK(ReadAll(*fs, inode) == bytes);
  const HealReport report = HealAll(*fs);
  CHECK(report.units_repaired >= 1);
  CHECK(ReadAll(*fs, inode) == bytes);
  // A scrub repairs what nobody has read, and finds nothing then.
  const ScrubReport scrubbed = ScrubAll(*fs);
  CHECK(report.units_repaired + scrubbed.units_repaired == 2);
  CHECK(scrubbed.groups == 1);
  CHECK(scrubbed.stripes == 1);
  CHECK(ScrubAll(*fs).units_repaired == 0);
  Must(fs->Close());
  // Two whole disks may be lost besides: the repaired units are as good as the others.
  home.absent = {places.rbegin()->first.disk, std::next(places.rbegin())->first.disk};
  CHECK(ReadAll(home.Open(), inode) == bytes);
}

TEST_CASE("a lost write leaves an older stripe's head, and does not hide the newer one") {
  Home home(8);
  FileSystem* fs = &home.Open();
  const size_t two_stripes = 2 * 4 * 32 * kBlockBytes;
  const uint64_t old = MakeFile(*fs, "old");
  const uint64_t kept = MakeFile(*fs, "kept");
  Must(fs->Write(old, 0, Pattern(1, two_stripes)));
  Must(fs->Write(kept, 0, Pattern(2, two_stripes)));
  Must(fs->Close());
  fs = &home.Open();
  Must(fs->Unlink(kRootInode, "old"));
  Must(fs->Upkeep());
  const auto places = CheckSegments(home);
  const uint32_t liar = places.begin()->first.disk;
  home.disks[liar - 1]->Inject({.kind = block::Fault::Kind::kLose, .op = block::Op::kWrite});
  const uint64_t fresh = MakeFile(*fs, "new");
  const Bytes bytes = Pattern(3, two_stripes);
  Must(fs->Write(fresh, 0, bytes));
  Must(fs->Close());
  home.disks[liar - 1]->ClearFaults();
  fs = &home.Open();
  REQUIRE(CheckSegments(home) == places);  // In the columns of the old one.
  const uint32_t lost = places.rbegin()->first.disk;
  Must(fs->maintenance().SetDiskState(lost, DiskState::kDraining, ""));
  const HealReport report = HealAll(*fs);
  CHECK(report.groups_moved == 1);
  CHECK(report.stripes_lost == 0);
  CHECK(ScrubAll(*fs).units_repaired + report.units_repaired == 2);
  CHECK(ReadAll(*fs, fresh) == bytes);
  Must(fs->Close());
  home.absent = {lost, std::next(places.rbegin())->first.disk};
  CHECK(ReadAll(home.Open(), fresh) == bytes);
  CHECK(ReadAll(*home.fs, kept) == Pattern(2, two_stripes));
}

TEST_CASE("a scrub repairs what rots, and names the bytes that are lost") {
  const uint64_t rounds = test::Rounds(10);
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint64_t seed = test::Seed() + round;
    CAPTURE(seed);
    Random random(seed);
    Home home(6, 32u << 20, Protection::ReedSolomon(4, 2), seed);
    FileSystem* fs = &home.Open();
    const auto files = WriteFiles(*fs, seed);
    const uint64_t lost = MakeFile(*fs, "lost");
    const Bytes bytes = Pattern(seed, 1'000'000);
    Must(fs->Write(lost, 0, bytes));
    Must(fs->Sync(lost));
    // On two disks anything may rot.
    home.expected = {FindingKind::kSuperblock};
    const uint64_t blocks = (32u << 20) / kBlockBytes;
    for (int i = 0; i < 2000; ++i) {
      const uint64_t first = kHeadAreaBytes / kBlockBytes;
      const uint64_t block = first + random.Uniform(blocks - first);
      home.disks[random.Chance(0.5) ? 1 : 4]->FlipBitAtRest(block::Lba{block},
                                                            random.Uniform(8 * kBlockBytes));
    }
    const ScrubReport first = ScrubAll(*fs, kStep);
    CHECK(first.units_repaired > 0);
    CHECK(first.lost_ranges == 0);
    CHECK(first.groups_skipped == 0);
    CHECK(first.problems.empty());
    CHECK(ScrubAll(*fs).units_repaired == 0);
    CheckFiles(*fs, files);
    Must(fs->Close());
    home.absent = {1, 3};
    CheckFiles(home.Open(), files);
    CHECK(ReadAll(*home.fs, lost) == bytes);
    Must(home.fs->Close());
    home.absent = {};
    fs = &home.Open();
    // Every block of three disks but the heads: what lies there is gone.
    home.expected.insert({FindingKind::kDamagedUnit, FindingKind::kLostRange});
    std::set<uint64_t> gone;
    for (const auto& [place, group] : CheckSegments(home)) gone.insert(group);
    const uint32_t segment_blocks =
        static_cast<uint32_t>(StatusOf(*fs, 1).segment_bytes / kBlockBytes);
    for (const auto& [place, group] : CheckSegments(home)) {
      if (place.disk > 3) continue;
      for (uint32_t column = 1; column < 33; ++column) {
        home.disks[place.disk - 1]->FlipBitAtRest(BlockOf(place, segment_blocks, column), 1);
      }
    }
    const ScrubReport second = ScrubAll(*fs);
    CHECK(second.lost_ranges > 0);
    // Exactly these ranges are unreadable.
    std::map<uint64_t, std::vector<bool>> is_lost;
    for (const LostRange& range : second.lost) {
      CHECK(range.path.starts_with("/"));
      CHECK(Must(fs->Lookup(kRootInode, range.path.substr(1))).inode == range.inode);
      std::vector<bool>& of_file = is_lost[range.inode];
      of_file.resize(2'000'000 / 512);
      for (uint64_t b = range.offset / 512; b < (range.offset + range.bytes + 511) / 512; ++b) {
        of_file[b] = true;
      }
    }
    auto all = files;
    all[lost] = bytes;
    for (const auto& [inode, content] : all) {
      std::vector<bool>& of_file = is_lost[inode];
      of_file.resize(2'000'000 / 512);
      for (uint64_t offset = 0; offset < content.size(); offset += 512) {
        Bytes out(std::min<uint64_t>(512, content.size() - offset));
        const auto read = fs->Read(inode, offset, out);
        if (read.ok()) {
          REQUIRE(
              std::equal(out.begin(), out.end(), content.begin() + static_cast<ptrdiff_t>(offset)));
        }
        REQUIRE(read.ok() != of_file[offset / 512]);
      }
    }
  }
}

TEST_CASE("different blocks of all units are damaged, and nothing is lost") {
  Home home;
  FileSystem* fs = &home.Open();
  const uint64_t inode = MakeFile(*fs, "file");
  const Bytes bytes = Pattern(3, 4 * 32 * kBlockBytes);  // A stripe.
  Must(fs->Write(inode, 0, bytes));
  Must(fs->Sync(inode));
  Must(fs->Close());
  const auto segment_blocks =
      static_cast<uint32_t>(StatusOf(home.Open(), 1).segment_bytes / kBlockBytes);
  const auto damage_all = [&] {
    for (const auto& [place, group] : CheckSegments(home)) {
      home.disks[place.disk - 1]->FlipBitAtRest(BlockOf(place, segment_blocks, 1 + place.disk), 5);
    }
  };
  damage_all();
  fs = &home.Open();
  CHECK(ReadAll(*fs, inode) == bytes);
  const ScrubReport report = ScrubAll(*fs);
  CHECK(report.units_repaired == 6);
  CHECK(report.lost_ranges == 0);
  CHECK(report.problems.empty());
  CHECK(ScrubAll(*fs).units_repaired == 0);
  Must(fs->Close());
  home.absent = {1, 2};
  CHECK(ReadAll(home.Open(), inode) == bytes);
  // The same while two units have to move.
  Must(home.fs->Close());
  home.absent = {};
  fs = &home.Open();
  damage_all();
  const std::string uri = home.AddDisk(32u << 20, 99);
  REQUIRE(Must(fs->maintenance().AddDisk({.uri = uri}, false)) == 7);
  Must(fs->maintenance().SetDiskState(3, DiskState::kDraining, ""));
  const HealReport healed = HealAll(*fs);
  CHECK(healed.stripes_lost == 0);
  CHECK(healed.groups_left == 0);
  CHECK(ReadAll(*fs, inode) == bytes);
  CHECK(ScrubAll(*fs).lost_ranges == 0);
  Must(fs->Close());
}

TEST_CASE("a scrub names the bytes of stripes that have no head any more") {
  Home home;
  FileSystem* fs = &home.Open();
  auto files = WriteFiles(*fs, 5);
  const uint64_t segment_blocks = StatusOf(*fs, 1).segment_bytes / kBlockBytes;
  for (const auto& [place, group] : CheckSegments(home)) {
    home.disks[place.disk - 1]->FlipBitAtRest(
        BlockOf(place, static_cast<uint32_t>(segment_blocks), 0), 77);
  }
  Must(fs->Close());
  fs = &home.Open();  // The session that wrote them has the heads in memory.
  const ScrubReport report = ScrubAll(*fs);
  CHECK(report.lost_ranges > 0);
  CHECK(report.lost_ranges == report.lost.size());
  REQUIRE_FALSE(report.problems.empty());
  CHECK(report.problems[0].find("no unit has a head") != std::string::npos);
  home.expected = {FindingKind::kDamagedUnit, FindingKind::kLostRange};
  for (const LostRange& range : report.lost) {
    CHECK(Must(fs->Lookup(kRootInode, range.path.substr(1))).inode == range.inode);
    Bytes out(1);
    for (uint64_t at = range.offset; at < range.offset + range.bytes; at += 1000) {
      REQUIRE_FALSE(fs->Read(range.inode, at, out).ok());
    }
  }
  // Nothing else is.
  for (const auto& [inode, content] : files) {
    for (uint64_t offset = 0; offset < content.size(); offset += 1000) {
      const bool is_lost =
          std::any_of(report.lost.begin(), report.lost.end(), [&](const LostRange& range) {
            return range.inode == inode && range.offset <= offset &&
                   offset < range.offset + range.bytes;
          });
      Bytes out(1);
      const auto read = fs->Read(inode, offset, out);
      REQUIRE(read.ok() != is_lost);
      if (read.ok()) REQUIRE(out[0] == content[offset]);
    }
  }
}

TEST_CASE("disks that cannot be added or changed are refused by name") {
  Home home(6);
  FileSystem& fs = home.Open();
  Maintenance& maintenance = fs.maintenance();
  CHECK(absl::IsNotFound(maintenance.SetDiskState(9, DiskState::kFailed, "")));
  const absl::Status online = maintenance.SetDiskState(1, DiskState::kRemoved, "");
  CHECK(online.message().find("disk 1 is online") != std::string_view::npos);
  CHECK(maintenance.AddDisk({.uri = "fault:1"}, true).status().message().find("is disk 1") !=
        std::string_view::npos);
  CHECK(!maintenance.AddDisk({.uri = "nothing:1"}, true).ok());
  // What carries something is taken by force alone.
  Home other(6);
  home.disks.push_back(std::move(other.disks[0]));
  other.expected = {FindingKind::kAbsentDisk};
  const absl::Status foreign = maintenance.AddDisk({.uri = "fault:7"}, false).status();
  CHECK(absl::IsFailedPrecondition(foreign));
  CHECK(foreign.message().find("fault:7") != std::string_view::npos);
  const uint32_t number = Must(maintenance.AddDisk({.uri = "fault:7"}, true));
  Must(maintenance.SetDiskState(number, DiskState::kDraining, ""));
  Must(maintenance.SetDiskState(number, DiskState::kRemoved, ""));
  const absl::Status back = maintenance.SetDiskState(number, DiskState::kOnline, "");
  CHECK(back.message().find("was removed") != std::string_view::npos);
  Must(fs.Close());
  Must(home.Open().Close());
}

}  // namespace
}  // namespace strata::ofs
