// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "groups/allocator.h"
#include "groups/freed_pieces.h"
#include "groups/placement.h"
#include "ofs/rig.h"
#include "strata/base/random.h"
#include "support/rounds.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

bool Says(const absl::Status& status, std::string_view text) {
  INFO(status.ToString());
  const bool says = std::string_view(status.message().data(), status.message().size()).find(text) !=
                    std::string_view::npos;
  CHECK(says);
  return says;
}

// ---- Placement

std::vector<DiskSpace> Disks(const std::vector<uint32_t>& free, int per_domain = 1) {
  std::vector<DiskSpace> disks;
  for (uint32_t i = 0; i < free.size(); ++i) {
    disks.push_back({i + 1, "d" + std::to_string(i / per_domain), free[i], 100});
  }
  return disks;
}

TEST_CASE("Domains are the first components of a path") {
  CHECK(DomainOf("rack1/node2/disk3", 0) == "rack1/node2/disk3");
  CHECK(DomainOf("rack1/node2/disk3", 1) == "rack1");
  CHECK(DomainOf("rack1/node2/disk3", 2) == "rack1/node2");
  CHECK(DomainOf("rack1/node2/disk3", 3) == "rack1/node2/disk3");
  CHECK(DomainOf("rack1/node2/disk3", 9) == "rack1/node2/disk3");
}

TEST_CASE("Units go to the least full disks, each in a domain of its own") {
  const Placement placement =
      Must(Place(Protection::ReedSolomon(2, 1), Disks({10, 90, 80, 0, 70, 20}), 1));
  CHECK(std::set<uint32_t>(placement.disks.begin(), placement.disks.end()) ==
        std::set<uint32_t>{2, 3, 5});
  // Two disks to a domain: the better one of each.
  const Placement pairs =
      Must(Place(Protection::ReedSolomon(2, 1), Disks({10, 90, 80, 85, 70, 20}, 2), 1));
  CHECK(std::set<uint32_t>(pairs.disks.begin(), pairs.disks.end()) == std::set<uint32_t>{2, 4, 5});
}

TEST_CASE("Each disk holds each unit about as often as the others") {
  std::map<std::pair<uint32_t, size_t>, int> count;
  for (uint64_t group = 1; group <= 600; ++group) {
    const Placement placement =
        Must(Place(Protection::ReedSolomon(4, 2), Disks({50, 50, 50, 50, 50, 50}), group));
    for (size_t unit = 0; unit < 6; ++unit) ++count[{placement.disks[unit], unit}];
  }
  CHECK(count.size() == 36);
  for (const auto& [key, times] : count) CHECK(times == 100);
}

TEST_CASE("Too few domains: k shrinks, the tolerated losses stay") {
  const auto shrunk = [](const Protection& wanted, size_t domains) {
    const std::optional<Protection> protection = Shrink(wanted, domains);
    return protection.has_value() ? ProtectionName(*protection) : "none";
  };
  CHECK(shrunk(Protection::ReedSolomon(4, 2), 7) == "4+2");
  CHECK(shrunk(Protection::ReedSolomon(4, 2), 5) == "3+2");
  CHECK(shrunk(Protection::ReedSolomon(4, 2), 3) == "mirror(3)");
  CHECK(shrunk(Protection::ReedSolomon(4, 2), 2) == "none");
  CHECK(shrunk(Protection::Mirror(3), 2) == "none");
  CHECK(shrunk(Protection::LocallyRepairable(12, 2, 2), 15) == "12+3");
  CHECK(shrunk(Protection::LocallyRepairable(12, 2, 2), 10) == "7+3");
  Says(Place(Protection::ReedSolomon(4, 2), Disks({1, 1, 0}), 1).status(),
       "protection 4+2 needs at least 3 failure domains with free space, and there are 2");
}

// ---- Freed pieces

TEST_CASE("A stripe's columns are free when all of its payload is dead") {
  AllocationRecord allocation{.state = AllocationState::kSealed, .taken = Bitmap(100)};
  allocation.taken.Set(10, 20);
  const FreedPiece part{1, 10, 4, 1000, 400, 9};
  Must(Fold(part, &allocation));
  CHECK(allocation.partly_dead == std::vector<PartlyDead>{{10, 400}});
  CHECK(allocation.taken.set_count() == 20);
  Must(Fold({1, 15, 4, 1000, 1, 9}, &allocation));
  Must(Fold({1, 10, 4, 1000, 600, 9}, &allocation));
  CHECK(allocation.partly_dead == std::vector<PartlyDead>{{15, 1}});
  CHECK(allocation.taken.AllClear(10, 5));
  CHECK(allocation.taken.set_count() == 15);

  const AllocationRecord before = allocation;
  Says(Fold(part, &allocation), "group 1, column 10: 400 bytes are freed, and the stripe was free");
  Says(Fold({1, 15, 4, 1000, 1000, 9}, &allocation), "and some of them were freed before");
  Says(Fold({1, 97, 4, 1000, 1, 9}, &allocation), "beyond the end of the group");
  CHECK(allocation == before);
}

TEST_CASE("Freed pieces are cut into rows of at most 32 groups") {
  std::vector<FreedPiece> pieces;
  for (uint64_t i = 0; i < 100; ++i) {
    pieces.push_back({1 + i / 2, static_cast<uint32_t>(i), 1, 1, 1, i});
  }
  const std::vector<FreedRecord> rows = CutIntoRows(pieces);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].pieces.size() == 64);
  CHECK(rows[1].pieces.size() == 36);
  CHECK(CutIntoRows({}).empty());
  CHECK(CutIntoRows(std::vector<FreedPiece>(kMaxFreedPieces + 1, pieces[0])).size() == 2);
}

// ---- The allocator

FreedPiece PieceOf(const Columns& columns, uint32_t payload_bytes, uint32_t freed_bytes) {
  return {columns.group, columns.column, columns.unit_blocks,
          payload_bytes, freed_bytes,    columns.birth};
}

absl::Status FreeNow(Rig& rig, const std::vector<FreedPiece>& pieces) {
  return kv::RunTransaction(*rig.metadata.store, kv::Durability::kAsync,
                            [&](kv::Transaction& txn) { return rig.allocator->Free(txn, pieces); });
}

AllocationRecord AllocationOf(Rig& rig, uint64_t group) {
  const auto row =
      Must(rig.metadata.store->NewSnapshot()->Get(rig.metadata.meta, AllocationKey(group)));
  return row.has_value() ? Must(DecodeAllocation(*row)) : AllocationRecord{};
}

size_t CountRows(Rig& rig, Table table) {
  size_t count = 0;
  Must(kv::ForEach(*rig.metadata.store, rig.metadata.meta, TableRange(table),
                   [&](const kv::KeyValue&) {
                     ++count;
                     return absl::OkStatus();
                   }));
  return count;
}

const GroupKind k42{.wanted = Protection::ReedSolomon(4, 2)};

TEST_CASE("Columns cost a transaction for each group, not for each stripe") {
  Machine machine = MakeMachine({});
  Rig rig(machine);
  Must(rig.started);
  const uint64_t before = machine.kv->commit_count();
  std::vector<Columns> taken;
  for (int i = 0; i < 7; ++i) taken.push_back(Must(rig.allocator->Take(k42, 512u << 10)));
  CHECK(machine.kv->commit_count() == before + 2);  // A range of group numbers, and the group.
  std::set<uint64_t> births;
  for (const Columns& columns : taken) {
    CHECK(columns.group == taken[0].group);
    CHECK(columns.unit_blocks == 32);
    births.insert(columns.birth);
  }
  CHECK(births.size() == 7);
  CHECK(taken[0].birth >> kBirthSequenceBits == rig.session);
  // 256 columns hold 7 stripes of 33; the rest is left for smaller ones.
  CHECK(Must(rig.allocator->Take(k42, 512u << 10)).group != taken[0].group);
  CHECK(Must(rig.allocator->Take(k42, 4 * 4096)).group == taken[0].group);
}

TEST_CASE("Sealing writes what was kept; an empty group gives its segments back") {
  Machine machine = MakeMachine({});
  Rig rig(machine);
  const Columns kept = Must(rig.allocator->Take(k42, 100'000));
  const Columns dropped = Must(rig.allocator->Take(k42, 100'000));
  const Columns other = Must(rig.allocator->Take({.wanted = Protection::Mirror(3)}, 4096));
  rig.allocator->Keep(kept);
  rig.allocator->Drop(dropped);
  rig.allocator->Drop(other);
  CHECK(AllocationOf(rig, kept.group).state == AllocationState::kOpen);
  Must(rig.Close());
  const AllocationRecord sealed = AllocationOf(rig, kept.group);
  CHECK(sealed.state == AllocationState::kSealed);
  CHECK(sealed.taken.set_count() == 8);
  CHECK(sealed.taken.AllSet(kept.column, 8));
  CHECK(CountRows(rig, Table::kGroup) == 1);
  uint32_t free = 0;
  for (uint32_t disk = 1; disk <= 6; ++disk) free += rig.allocator->space().free_segments(disk);
  CHECK(free == 30);
  // Nothing is done in a session that was ended.
  Says(rig.allocator->Take(k42, 4096).status(), "was ended");
}

TEST_CASE("Freed columns are used again, after their row was folded") {
  Machine machine = MakeMachine({});
  Rig rig(machine);
  std::vector<Columns> taken;
  for (int i = 0; i < 7; ++i) taken.push_back(Must(rig.allocator->Take(k42, 512u << 10)));
  for (const Columns& columns : taken) rig.allocator->Keep(columns);
  const uint64_t group = taken[0].group;
  for (int i = 0; i < 4; ++i) Must(FreeNow(rig, {PieceOf(taken[i], 512u << 10, 512u << 10)}));
  // The group is open: the rows stay.
  CHECK(Must(rig.allocator->FoldFreed(100)).pieces_left == 4);
  CHECK(CountRows(rig, Table::kFreed) == 4);
  rig.allocator->Retire(group);
  Must(rig.allocator->SealRetired());
  CHECK(Must(rig.allocator->FoldFreed(100)).rows == 4);
  CHECK(CountRows(rig, Table::kFreed) == 0);
  const Columns again = Must(rig.allocator->Take(k42, 512u << 10));
  CHECK(again.group == group);
  CHECK(again.column == taken[0].column);
  CHECK(again.birth > taken[6].birth);
  rig.allocator->Drop(again);
  Must(rig.allocator->Close());
  for (int i = 4; i < 7; ++i) Must(FreeNow(rig, {PieceOf(taken[i], 512u << 10, 512u << 10)}));
  CHECK(Must(rig.allocator->FoldFreed(100)).groups_freed == 1);
  CHECK(CountRows(rig, Table::kGroup) == 0);
  CHECK(absl::IsNotFound(rig.groups->FindAgain(group).status()));
}

TEST_CASE("A double free is refused by name and frees nothing") {
  Machine machine = MakeMachine({});
  Rig rig(machine);
  const Columns one = Must(rig.allocator->Take(k42, 1000));
  const Columns two = Must(rig.allocator->Take(k42, 1000));
  rig.allocator->Keep(one);
  rig.allocator->Keep(two);
  Must(rig.allocator->Close());
  Must(FreeNow(rig, {PieceOf(one, 1000, 1000), PieceOf(one, 1000, 1)}));
  Must(FreeNow(rig, {PieceOf(two, 1000, 600)}));
  Says(rig.allocator->FoldFreed(100).status(), "and the stripe was free already");
  const AllocationRecord allocation = AllocationOf(rig, one.group);
  CHECK(allocation.taken.set_count() == 4);
  CHECK(allocation.partly_dead == std::vector<PartlyDead>{{two.column, 600}});
  CHECK(CountRows(rig, Table::kFreed) == 1);  // The bad row stays for the check.
}

TEST_CASE("With too few domains groups are narrower and say so") {
  Machine machine = MakeMachine({.disks = 8, .disks_per_domain = 2});  // 4 domains.
  Rig rig(machine);
  const Columns columns = Must(rig.allocator->Take(k42, 100'000));
  CHECK(ProtectionName(columns.record->protection) == "2+2");
  CHECK(columns.record->wanted == Protection::ReedSolomon(4, 2));
  Says(rig.allocator->Take(k42, 512u << 10).status(), "a stripe of 4+2 has at most 262144 bytes");
  CHECK(absl::IsOutOfRange(rig.allocator->Take(k42, 512u << 10).status()));
  Says(rig.allocator->Take({.wanted = Protection::Mirror(5)}, 1).status(),
       "pool default: protection mirror(5) needs at least 5 failure domains");
  Says(rig.allocator->Take(k42, (512u << 10) + 1).status(), "has 1 to 524288 bytes");
  Says(rig.allocator->Take(k42, 0).status(), "has 1 to 524288 bytes");
}

TEST_CASE("Disks that are not online or take no writes get no groups") {
  Machine machine = MakeMachine({.disks = 7});
  Rig rig(machine, {3});
  rig.rows.disks[5].state = DiskState::kSuspect;
  rig.allocator->SetDisks(rig.rows.disks);
  const Columns first = Must(rig.allocator->Take(k42, 1000));
  for (const SegmentPlace& place : first.record->units) {
    CHECK((place.disk != 3 && place.disk != 5));
  }
  CHECK(ProtectionName(first.record->protection) == "3+2");
  rig.disks->Find(1)->StopWriting();
  const Columns second = Must(rig.allocator->Take(k42, 1000));
  CHECK(second.group != first.group);  // An open group with such a disk gives out no more.
  CHECK(ProtectionName(second.record->protection) == "2+2");
}

TEST_CASE("A full pool is ResourceExhausted, and freeing makes room again") {
  Machine machine = MakeMachine({});
  Rig rig(machine);
  std::vector<Columns> taken;
  absl::Status full;
  while (full.ok()) {
    absl::StatusOr<Columns> columns = rig.allocator->Take(k42, 512u << 10);
    full = columns.status();
    if (!columns.ok()) break;
    rig.allocator->Keep(*columns);
    taken.push_back(*std::move(columns));
  }
  CHECK(absl::IsResourceExhausted(full));
  CHECK(taken.size() == 42);  // 6 groups of 7 stripes.
  Must(FreeNow(rig, {PieceOf(taken[0], 512u << 10, 512u << 10)}));
  Must(rig.allocator->Close());
  Must(rig.allocator->FoldFreed(10));
  CHECK(Must(rig.allocator->Take(k42, 512u << 10)).column == taken[0].column);
}

TEST_CASE("Many threads take columns and none gets another's") {
  Machine machine = MakeMachine({.disk_blocks = 8192});
  Rig rig(machine);
  std::vector<std::vector<Columns>> taken(4);
  {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < taken.size(); ++i) {
      threads.emplace_back([&, i] {
        Random random(i);
        for (int turn = 0; turn < 200; ++turn) {
          const auto bytes = static_cast<uint32_t>(1 + random.Uniform(100'000));
          const Columns columns = Must(rig.allocator->Take(k42, bytes));
          if (random.Chance(0.2)) {
            rig.allocator->Drop(columns);
          } else {
            rig.allocator->Keep(columns);
            taken[i].push_back(columns);
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  Must(rig.Close());
  std::map<uint64_t, Bitmap> bitmaps;
  for (const auto& of_thread : taken) {
    for (const Columns& columns : of_thread) {
      Bitmap& bitmap = bitmaps.try_emplace(columns.group, 256).first->second;
      REQUIRE(bitmap.AllClear(columns.column, 1 + columns.unit_blocks));
      bitmap.Set(columns.column, 1 + columns.unit_blocks);
    }
  }
  for (const auto& [group, bitmap] : bitmaps) CHECK(AllocationOf(rig, group).taken == bitmap);
}

// ---- Against a model

struct ModelStripe {
  Columns columns;
  GroupKind kind;
  uint32_t payload_bytes = 0;
  uint32_t live_bytes = 0;
};

// What the rows must say once everything is sealed and folded.
void CheckAgainst(Rig& rig, const std::vector<ModelStripe>& model) {
  std::map<uint64_t, AllocationRecord> expected;
  for (const ModelStripe& stripe : model) {
    AllocationRecord& record = expected[stripe.columns.group];
    if (record.taken.size() == 0) record.taken = Bitmap(256);
    record.state = AllocationState::kSealed;
    REQUIRE(record.taken.AllClear(stripe.columns.column, 1 + stripe.columns.unit_blocks));
    record.taken.Set(stripe.columns.column, 1 + stripe.columns.unit_blocks);
    if (stripe.live_bytes < stripe.payload_bytes) {
      record.partly_dead.push_back(
          {stripe.columns.column, stripe.payload_bytes - stripe.live_bytes});
    }
  }
  std::map<uint32_t, std::set<uint32_t>> segments;
  size_t groups = 0;
  Must(kv::ForEach(*rig.metadata.store, rig.metadata.meta, TableRange(Table::kGroup),
                   [&](const kv::KeyValue& row) {
                     const uint64_t group = Must(GroupOf(Table::kGroup, row.key));
                     AllocationRecord record = AllocationOf(rig, group);
                     REQUIRE(record.state == AllocationState::kSealed);
                     AllocationRecord& wanted = expected[group];
                     if (wanted.taken.size() == 0) wanted.taken = Bitmap(256);
                     std::sort(wanted.partly_dead.begin(), wanted.partly_dead.end(),
                               [](auto& a, auto& b) { return a.column < b.column; });
                     REQUIRE(record.taken == wanted.taken);
                     REQUIRE(record.partly_dead == wanted.partly_dead);
                     for (const SegmentPlace& place : Must(DecodeGroup(row.value)).units) {
                       REQUIRE(segments[place.disk].insert(place.segment).second);
                     }
                     ++groups;
                     return absl::OkStatus();
                   }));
  REQUIRE(groups == expected.size());
  REQUIRE(CountRows(rig, Table::kAllocation) == groups);
  for (const auto& [number, disk] : rig.rows.disks) {
    REQUIRE(rig.allocator->space().free_segments(number) ==
            disk.segment_count - segments[number].size());
  }
}

TEST_CASE("Random allocation, freeing and restarts agree with a model") {
  Random random(strata::test::Seed());
  for (uint64_t round = 0; round < strata::test::Rounds(10); ++round) {
    Machine machine = MakeMachine({.disks = 7, .disk_blocks = 4096, .seed = round});
    std::vector<ModelStripe> model;
    const GroupKind kinds[] = {
        k42, {.wanted = Protection::Mirror(3)}, {.wanted = Protection::ReedSolomon(2, 1)}};
    auto rig = std::make_unique<Rig>(machine);
    for (int step = 0; step < 300; ++step) {
      const uint64_t dice = random.Uniform(100);
      if (dice < 55) {
        const GroupKind& kind = kinds[random.Uniform(3)];
        const auto bytes = static_cast<uint32_t>(
            1 + random.Uniform(random.Chance(0.5) ? 20'000 : MostPayloadBytes(kind.wanted)));
        const absl::StatusOr<Columns> columns = rig->allocator->Take(kind, bytes);
        if (!columns.ok()) {
          REQUIRE(absl::IsResourceExhausted(columns.status()));
          continue;
        }
        if (random.Chance(0.2)) {
          rig->allocator->Drop(*columns);
        } else {
          rig->allocator->Keep(*columns);
          model.push_back({*columns, kind, bytes, bytes});
        }
      } else if (dice < 90 && !model.empty()) {
        std::vector<FreedPiece> pieces;
        for (uint64_t i = random.Uniform(4); i < 4 && !model.empty(); ++i) {
          ModelStripe& stripe = model[random.Uniform(model.size())];
          const auto freed = static_cast<uint32_t>(
              random.Chance(0.5) ? stripe.live_bytes : 1 + random.Uniform(stripe.live_bytes));
          pieces.push_back(PieceOf(stripe.columns, stripe.payload_bytes, freed));
          stripe.live_bytes -= freed;
          std::erase_if(model, [](const ModelStripe& s) { return s.live_bytes == 0; });
        }
        if (!pieces.empty()) Must(FreeNow(*rig, pieces));
      } else if (dice < 96) {
        Must(rig->allocator->FoldFreed(1 + random.Uniform(10)));
      } else {
        Must(rig->Close());
        rig = std::make_unique<Rig>(machine);
      }
    }
    Must(rig->Close());
    rig = std::make_unique<Rig>(machine);
    while (CountRows(*rig, Table::kFreed) > 0) Must(rig->allocator->FoldFreed(100));
    CheckAgainst(*rig, model);
  }
}

}  // namespace
}  // namespace strata::ofs
