// SPDX-License-Identifier: Apache-2.0
//
// A check finds what is damaged of disks, groups, segments, columns and stripes, and nothing
// besides.
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "check_sample.h"
#include "disks/format_disks.h"
#include "format/superblock.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"

namespace strata::ofs {
namespace {

TEST_CASE("a malformed row is found in each table, and nothing besides") {
  for (const Table table :
       {Table::kFormat, Table::kInode, Table::kTouch, Table::kEntry, Table::kLink,
        Table::kAttribute, Table::kExtent, Table::kGroup, Table::kAllocation, Table::kSegments,
        Table::kDisk, Table::kPool, Table::kCounter, Table::kJob}) {
    Sample sample;
    const std::vector<Row> rows = sample.Rows(table);
    for (const auto& [key, value] : rows) {
      CAPTURE(key);
      sample.Put(key, "nonsense");
      sample.Expect({FindingKind::kRow}, true);
      sample.Put(key, value);
    }
    sample.Expect({}, true);
    // One that is not there in the sample, with a malformed key.
    const std::string key = std::string(1, static_cast<char>(table)) + "!";
    if (table == Table::kCounter || table == Table::kJob || table == Table::kPool) continue;
    sample.Put(key, rows[0].second);
    sample.Expect({FindingKind::kRow});
  }
  Sample sample;
  for (const std::string& key :
       {OrphanKey(5), FreedKey(1, 1), SessionKey(1), HeartbeatKey(1), EpochKey()}) {
    CAPTURE(key);
    sample.Put(key, "nonsense");
    const Kinds found = sample.Find();
    CHECK(found.contains(FindingKind::kRow));
    sample.Delete(key);
    sample.Expect({});
  }
}

TEST_CASE("rows of tables that nobody knows are found") {
  Sample sample;
  for (const std::string key : {"Hx", "Qx", "K", "k2", "\xff", "hx"}) {
    sample.Put(key, "value");
    sample.Expect({FindingKind::kUnknownRow});
    sample.Delete(key);
  }
}

TEST_CASE("numbers that no counter has given out are found") {
  Sample sample;
  for (const std::string_view counter : {"inode", "group", "session", "disk"}) {
    CAPTURE(counter);
    const std::string row = sample.Get(CounterKey(counter));
    sample.Put(CounterKey(counter), Encode(CounterRecord{.next = 1}));
    sample.Expect({FindingKind::kCounter});
    sample.Delete(CounterKey(counter));
    sample.Expect({FindingKind::kCounter});
    sample.Put(CounterKey(counter), row);
  }
  const uint64_t next = Must(DecodeCounter(sample.Get(CounterKey("session")))).next;
  sample.Put(FreedKey(static_cast<uint32_t>(next), 1), Encode(FreedRecord{}));
  CHECK(sample.Find().contains(FindingKind::kRow));  // A row without pieces is none.
  sample.Delete(FreedKey(static_cast<uint32_t>(next), 1));
  sample.Put(SessionKey(static_cast<uint32_t>(next)), Encode(SessionRecord{}));
  sample.Expect({FindingKind::kCounter});
}

TEST_CASE("a heartbeat without a session is found") {
  Sample sample;
  sample.Put(SessionKey(1), Encode(SessionRecord{.host = "here"}));
  sample.Put(HeartbeatKey(1), Encode(HeartbeatRecord{.beat_ns = 1}));
  sample.Expect({});  // A session that did not end.
  CHECK(sample.Examined(false).unended_sessions == 1);
  sample.Delete(SessionKey(1));
  sample.Expect({FindingKind::kSession});
}

TEST_CASE("disks that contradict their rows are found") {
  Sample sample;
  const std::string row = sample.Get(DiskKey(2));
  const auto expect = [&](const Kinds& kinds, const std::function<void(DiskRecord&)>& change) {
    sample.Edit(DiskKey(2), DecodeDisk, change);
    sample.Expect(kinds);
    sample.Put(DiskKey(2), row);
    sample.Expect({});
  };
  expect({FindingKind::kPool}, [](DiskRecord& disk) { disk.pool = 7; });
  expect({FindingKind::kDisk}, [](DiskRecord& disk) { disk.disk_class = DiskClass::kArchive; });
  expect({FindingKind::kDisk}, [](DiskRecord& disk) { disk.domain = "rack9/disk9"; });
  expect({FindingKind::kDisk}, [](DiskRecord& disk) { disk.domain += "//"; });
  expect({FindingKind::kDisk}, [](DiskRecord& disk) { disk.disk[0] ^= std::byte{1}; });
  expect({FindingKind::kAbsentDisk}, [](DiskRecord& disk) { disk.uri = "fault:3"; });
  expect({FindingKind::kPlace}, [](DiskRecord& disk) { disk.state = DiskState::kRemoved; });
  sample.Put(PoolKey("second"), Encode(PoolRecord{.number = kDefaultPool}));
  sample.Expect({FindingKind::kPool});
  sample.Delete(PoolKey("second"));

  sample.absent = {2};
  sample.Expect({FindingKind::kAbsentDisk}, true);
  CHECK(sample.Examined(false).counts.at(FindingKind::kDegraded) > 0);
  sample.Edit(DiskKey(2), DecodeDisk, [](DiskRecord& disk) { disk.state = DiskState::kFailed; });
  sample.Expect({}, true);
  sample.Put(DiskKey(2), row);
  sample.absent = {};
  sample.disks[1]->FlipBitAtRest(block::Lba{0}, 1000);
  sample.Expect({FindingKind::kSuperblock}, true);
}

TEST_CASE("groups whose rows contradict each other are found") {
  Sample sample;
  const std::string key = sample.Rows(Table::kAllocation)[0].first;
  const uint64_t group = Must(GroupOf(Table::kAllocation, key));
  const std::string allocation = sample.Get(key);
  const std::string places = sample.Get(GroupKey(group));
  sample.Delete(key);
  sample.Expect({FindingKind::kGroup}, true);
  sample.Put(key, allocation);
  sample.Delete(GroupKey(group));
  sample.Expect({FindingKind::kGroup, FindingKind::kLeakedSegment}, true);
  sample.Put(GroupKey(group), places);
  sample.EditAllocation(group, [](AllocationRecord& record) {
    Bitmap larger(record.taken.size() * 2);
    for (uint32_t i = 0; i < record.taken.size(); ++i) {
      if (record.taken.Test(i)) larger.Set(i, 1);
    }
    record.taken = larger;
  });
  sample.Expect({FindingKind::kGroup}, true);
  sample.Put(key, allocation);
  sample.Edit(GroupKey(group), DecodeGroup, [](GroupRecord& record) { record.pool = 9; });
  sample.Expect({FindingKind::kPool});
  sample.Put(GroupKey(group), places);
  sample.EditAllocation(group, [&](AllocationRecord& record) {
    record.state = AllocationState::kEvacuating;
    record.owner = 1;
    record.moving_to = Must(DecodeGroup(places)).units;
  });
  sample.Expect({}, true);  // Nothing moves.
  CHECK(sample.Examined(false).unsealed_groups == 1);
  sample.EditAllocation(group, [](AllocationRecord& record) { record.moving_to.pop_back(); });
  sample.Expect({FindingKind::kGroup});
  sample.EditAllocation(group, [](AllocationRecord& record) {
    record.moving_to.clear();
    record.owner = kMaxSession;
  });
  sample.Expect({FindingKind::kCounter});
}

TEST_CASE("segments that do not belong to one group each are found") {
  Sample sample;
  std::vector<Row> groups = sample.Rows(Table::kGroup);
  REQUIRE(groups.size() == 2);
  // The mirror first: the other one has units on all disks.
  if (Must(DecodeGroup(groups[0].second)).units.size() == 6) std::swap(groups[0], groups[1]);
  const GroupRecord first = Must(DecodeGroup(groups[0].second));
  const SegmentPlace mine = first.units[0];
  const uint32_t count = Must(DecodeDisk(sample.Get(DiskKey(mine.disk)))).segment_count;

  sample.SetTaken({mine.disk, count - 1}, true);
  sample.Expect({FindingKind::kLeakedSegment});
  sample.SetTaken({mine.disk, count - 1}, false);
  sample.SetTaken(mine, false);
  sample.Expect({FindingKind::kFreeSegment}, true);

  const auto move = [&](const SegmentPlace& to) {
    sample.Edit(groups[0].first, DecodeGroup, [&](GroupRecord& record) { record.units[0] = to; });
  };
  move({mine.disk, count + 5});
  sample.Expect({FindingKind::kPlace});
  move({1000, 1});
  sample.Expect({FindingKind::kPlace});
  SegmentPlace theirs;
  for (const SegmentPlace& place : Must(DecodeGroup(groups[1].second)).units) {
    if (place.disk == mine.disk) theirs = place;
  }
  REQUIRE(theirs.disk == mine.disk);
  move(theirs);
  sample.Expect({FindingKind::kSharedSegment});
  move(mine);
  sample.SetTaken(mine, true);
  sample.Expect({}, true);

  // A unit on its way holds its new segment, too.
  const uint64_t group = Must(GroupOf(Table::kGroup, groups[0].first));
  sample.EditAllocation(group, [&](AllocationRecord& record) {
    record.state = AllocationState::kEvacuating;
    record.owner = 1;
    record.moving_to = first.units;
    record.moving_to[0].segment = count - 1;
  });
  sample.Expect({FindingKind::kFreeSegment});
  sample.SetTaken({mine.disk, count - 1}, true);
  sample.Expect({}, true);
  sample.Put(SegmentsKey(1000, 0), sample.Get(SegmentsKey(1, 0)));
  sample.Expect({FindingKind::kRow});
}

TEST_CASE("two units in one failure domain are found") {
  Sample sample;
  const std::string domain = Must(DecodeDisk(sample.Get(DiskKey(1)))).domain;
  sample.Edit(DiskKey(2), DecodeDisk, [&](DiskRecord& disk) { disk.domain = domain; });
  const std::unique_ptr<block::Device> device = sample.disks[1]->Open();
  const block::Buffer block(kBlockBytes);
  {
    const auto channel = Must(device->OpenChannel({}));
    Must(block::ReadBlocking(*channel, block::Lba{0}, block.span()));
  }
  Superblock superblock = Must(DecodeSuperblock(block.span(), 0));
  superblock.domain = domain;
  Must(WriteSuperblock(*device, superblock));
  sample.Expect({FindingKind::kSharedDomain}, true);
}

TEST_CASE("columns that do not belong to one stripe each are found") {
  Sample sample;
  const ExtentRecord extent = sample.FirstExtent(sample.packed).record;
  const std::string row = sample.Get(AllocationKey(extent.group));
  const auto restore = [&] { sample.Put(AllocationKey(extent.group), row); };
  sample.EditAllocation(
      extent.group, [](AllocationRecord& record) { record.taken.Set(record.taken.size() - 3, 2); });
  sample.Expect({FindingKind::kLeakedColumn});
  CHECK(sample.Examined(false).counts.at(FindingKind::kLeakedColumn) == 1);
  restore();
  sample.EditAllocation(
      extent.group, [&](AllocationRecord& record) { record.taken.Clear(extent.column + 1, 1); });
  sample.Expect({FindingKind::kFreeColumn}, true);
  restore();
  // Another stripe begins in the middle of it.
  sample.EditExtent(sample.neighbour, [](ExtentRecord& record) {
    ++record.column;
    record.unit_blocks = 1;
    ++record.birth;
    record.stripe_bytes = 4096;
    record.payload_offset = 0;
    record.length_bytes = 4096;
  });
  sample.EditInode(sample.neighbour, [](InodeRecord& record) { record.stored_blocks = 1; });
  sample.EditAllocation(extent.group, [&](AllocationRecord& record) {
    record.partly_dead.push_back({extent.column, 8192});
  });
  sample.Expect({FindingKind::kSharedColumn});
}

TEST_CASE("bytes of a stripe that are in use twice, or not counted, are found") {
  Sample sample;
  const ExtentRecord extent = sample.FirstExtent(sample.packed).record;
  REQUIRE(sample.FirstExtent(sample.neighbour).record.birth == extent.birth);
  const std::string row = sample.Get(AllocationKey(extent.group));
  const std::string neighbour = sample.Get(ExtentKey(sample.neighbour, 0));
  sample.EditExtent(sample.neighbour,
                    [&](ExtentRecord& record) { record.payload_offset = extent.payload_offset; });
  sample.Expect({FindingKind::kSharedBytes}, true);
  sample.Put(ExtentKey(sample.neighbour, 0), neighbour);

  const auto expect = [&](const Kinds& kinds,
                          const std::function<void(AllocationRecord&)>& change) {
    sample.EditAllocation(extent.group, change);
    sample.Expect(kinds);
    sample.Put(AllocationKey(extent.group), row);
  };
  expect({FindingKind::kDeadBytes}, [&](AllocationRecord& record) {
    record.partly_dead.push_back({extent.column, 1});
  });
  expect({FindingKind::kDeadBytes}, [&](AllocationRecord& record) {
    record.partly_dead.push_back({extent.column + 1, 1});
  });
  const uint64_t group = sample.FirstExtent(sample.other).record.group;
  const std::string partly = sample.Get(AllocationKey(group));
  REQUIRE(Must(DecodeAllocation(partly)).partly_dead.size() == 1);
  sample.EditAllocation(group, [](AllocationRecord& record) { record.partly_dead.clear(); });
  sample.Expect({FindingKind::kDeadBytes});
  sample.Put(AllocationKey(group), partly);

  // Freed bytes count until they are folded.
  FreedPiece piece{.group = extent.group,
                   .column = extent.column,
                   .unit_blocks = extent.unit_blocks,
                   .payload_bytes = extent.stripe_bytes,
                   .freed_bytes = 100,
                   .birth = extent.birth};
  sample.Put(FreedKey(1, 1), Encode(FreedRecord{{piece}}));
  sample.Expect({FindingKind::kSharedBytes});
  sample.EditExtent(sample.neighbour, [](ExtentRecord& record) { record.length_bytes -= 100; });
  sample.Expect({}, true);
  sample.EditAllocation(extent.group, [&](AllocationRecord& record) {
    record.partly_dead.push_back({extent.column, 1});
  });
  sample.Expect({FindingKind::kDeadBytes});
  sample.Put(AllocationKey(extent.group), row);
  piece.birth = uint64_t{kMaxSession} << kBirthSequenceBits;
  sample.Put(FreedKey(1, 1), Encode(FreedRecord{{piece}}));
  CHECK(sample.Find().contains(FindingKind::kCounter));
  sample.Delete(FreedKey(1, 1));
  sample.Expect({FindingKind::kDeadBytes});
}

TEST_CASE("of a group that a dead session left open the new columns are in no row") {
  Sample sample;
  const ExtentRecord extent = sample.FirstExtent(sample.packed).record;
  sample.EditAllocation(extent.group, [&](AllocationRecord& record) {
    record.state = AllocationState::kOpen;
    record.owner = 1;
  });
  sample.Expect({}, true);
  sample.EditAllocation(extent.group, [&](AllocationRecord& record) {
    record.taken = Bitmap(record.taken.size());
    record.partly_dead.clear();
  });
  sample.Expect({}, true);
  CHECK(sample.Examined(false).unsealed_groups == 1);
  sample.EditAllocation(extent.group,
                        [&](AllocationRecord& record) { record.taken.Set(extent.column, 1); });
  sample.Expect({FindingKind::kFreeColumn});
  sample.EditAllocation(extent.group, [&](AllocationRecord& record) {
    record.taken = Bitmap(record.taken.size());
    record.taken.Set(record.taken.size() - 1, 1);
  });
  sample.Expect({FindingKind::kLeakedColumn});
}

TEST_CASE("extents that name stripes that cannot be are found") {
  Sample sample;
  const ExtentRecord extent = sample.FirstExtent(sample.packed).record;
  const auto forget = [&] {
    sample.EditAllocation(extent.group, [&](AllocationRecord& record) {
      record.taken.Clear(extent.column, 1 + extent.unit_blocks);
    });
  };
  const std::string row = sample.Get(AllocationKey(extent.group));
  forget();
  for (const uint64_t inode : {sample.packed, sample.neighbour}) {
    sample.EditExtent(inode, [](ExtentRecord& record) { record.group = 50'000; });
  }
  sample.Expect({FindingKind::kStripe}, true);
  for (const uint64_t inode : {sample.packed, sample.neighbour}) {
    sample.EditExtent(inode, [&](ExtentRecord& record) {
      record.group = extent.group;
      record.column = 100'000;
    });
  }
  sample.Expect({FindingKind::kStripe}, true);
  sample.Put(AllocationKey(extent.group), row);
  for (const uint64_t inode : {sample.packed, sample.neighbour}) {
    sample.EditExtent(inode, [&](ExtentRecord& record) {
      record.column = extent.column;
      record.birth = uint64_t{kMaxSession} << kBirthSequenceBits;
    });
  }
  sample.Expect({FindingKind::kCounter});
}

}  // namespace
}  // namespace strata::ofs
