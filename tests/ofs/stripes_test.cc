// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <thread>

#include "disks/transfers.h"
#include "ofs/rig.h"
#include "strata/base/random.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "support/rounds.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

using block::Op;

bool Says(const absl::Status& status, std::string_view text) {
  INFO(status.ToString());
  const bool says = std::string_view(status.message().data(), status.message().size()).find(text) !=
                    std::string_view::npos;
  CHECK(says);
  return says;
}

std::vector<std::byte> RandomBytes(size_t size, uint64_t seed) {
  std::vector<std::byte> bytes(size);
  Random(seed).Fill(bytes);
  return bytes;
}

// One uncompressed piece of a file that fills the payload.
std::vector<StripeRecord> OnePiece(size_t size, uint64_t inode = 1) {
  return {{.inode = inode,
           .stored_bytes = static_cast<uint32_t>(size),
           .raw_bytes = static_cast<uint32_t>(size)}};
}

WrittenStripe WriteOne(Rig& rig, const Protection& protection, std::span<const std::byte> bytes,
                       uint64_t inode = 1) {
  const WrittenStripe stripe = Must(rig.writer->Write({.kind = {.wanted = protection},
                                                       .records = OnePiece(bytes.size(), inode),
                                                       .payload = bytes}));
  Must(rig.writer->Flush({&stripe, 1}));
  rig.allocator->Keep(stripe.columns);
  return stripe;
}

absl::Status ReadsAs(Rig& rig, const StripeName& name, std::span<const std::byte> bytes,
                     size_t offset, size_t size) {
  std::vector<std::byte> out(size);
  STRATA_RETURN_IF_ERROR(rig.reader->Read(name, offset, out));
  if (std::equal(out.begin(), out.end(), bytes.begin() + static_cast<ptrdiff_t>(offset))) {
    return absl::OkStatus();
  }
  return absl::InternalError("other bytes");
}

absl::Status ReadsAs(Rig& rig, const StripeName& name, std::span<const std::byte> bytes) {
  return ReadsAs(rig, name, bytes, 0, bytes.size());
}

// Reads with a reader that has nothing in memory.
absl::Status ReadsColdAs(Rig& rig, const StripeName& name, std::span<const std::byte> bytes,
                         size_t offset, size_t size) {
  rig.reader = std::make_unique<StripeReader>(
      StripeReaderOptions{RigUuid(), rig.disks.get(), rig.groups.get(), &rig.codes,
                          [&rig](const Damage& one) { rig.damage.push_back(one); }});
  return ReadsAs(rig, name, bytes, offset, size);
}

// Where a block of a unit is: 0 is the head.
block::Lba LbaOf(Rig& rig, const WrittenStripe& stripe, int unit, uint32_t block) {
  const SegmentPlace& place = stripe.columns.record->units[static_cast<size_t>(unit)];
  const uint64_t at = rig.disks->Find(place.disk)->SegmentOffset(place.segment);
  return block::Lba{at / kBlockBytes + stripe.columns.column + block};
}
uint32_t DiskOfUnit(const WrittenStripe& stripe, int unit) {
  return stripe.columns.record->units[static_cast<size_t>(unit)].disk;
}

const Protection kAll[] = {Protection::ReedSolomon(4, 2), Protection::ReedSolomon(6, 3),
                           Protection::ReedSolomon(2, 1), Protection::Mirror(1),
                           Protection::Mirror(3),         Protection::LocallyRepairable(4, 2, 2)};

TEST_CASE("What is written is read, whole and in any range, whatever the protection") {
  Random random(strata::test::Seed());
  for (const Protection& protection : kAll) {
    INFO(ProtectionName(protection));
    Machine machine = MakeMachine({.disks = 9});
    Rig rig(machine);
    const size_t most = MostPayloadBytes(protection);
    for (const size_t size : {size_t{1}, size_t{4096}, size_t{50'001}, most - 1, most}) {
      const auto bytes = RandomBytes(std::min(size, most), size);
      const WrittenStripe stripe = WriteOne(rig, protection, bytes);
      CHECK(ReadsAs(rig, NameOf(stripe), bytes).ok());
      for (int i = 0; i < 20; ++i) {
        const size_t offset = random.Uniform(bytes.size());
        const size_t length = 1 + random.Uniform(bytes.size() - offset);
        CHECK(ReadsAs(rig, NameOf(stripe), bytes, offset, length).ok());
      }
      Says(ReadsAs(rig, NameOf(stripe), bytes, 0, bytes.size() + 1), "bytes 0 to");
      rig.allocator->Retire(stripe.columns.group);
    }
    CHECK(rig.damage.empty());
  }
}

TEST_CASE("A head tells what its stripe holds") {
  Machine machine = MakeMachine({});
  Rig rig(machine);
  const auto bytes = RandomBytes(30'000, 1);
  const std::vector<StripeRecord> records = {
      {.inode = 7, .file_offset = 4096, .stored_bytes = 20'000, .raw_bytes = 20'000},
      {.inode = 8,
       .payload_offset = 20'000,
       .stored_bytes = 10'000,
       .raw_bytes = 12'000,
       .codec = Codec::kLz4}};
  const WrittenStripe stripe = Must(rig.writer->Write(
      {.kind = {.wanted = Protection::Mirror(3)}, .records = records, .payload = bytes}));
  const HeadPointer head = Must(rig.reader->ReadHead(NameOf(stripe)));
  CHECK(head->records == records);
  CHECK(head->payload_bytes == 30'000);
  CHECK(head->birth == stripe.columns.birth);
  CHECK(head->checksums.size() == 8);
  // What makes no sense is refused before it is written, and takes no columns.
  std::vector<StripeRecord> bad = records;
  bad[1].payload_offset = 19'999;
  const uint64_t writes = machine.disks[0]->counts().writes;
  Says(rig.writer
           ->Write({.kind = {.wanted = Protection::Mirror(3)}, .records = bad, .payload = bytes})
           .status(),
       "record 1 overlaps the one before it");
  CHECK(machine.disks[0]->counts().writes == writes);
  rig.allocator->Drop(stripe.columns);
  Must(rig.Close());
}

// Every combination of so many of the disks.
void ForEachLoss(int disks, int losses, const std::function<void(std::vector<uint32_t>)>& visit) {
  for (uint32_t set = 0; set < 1u << disks; ++set) {
    if (__builtin_popcount(set) != losses) continue;
    std::vector<uint32_t> lost;
    for (int i = 0; i < disks; ++i) {
      if ((set >> i & 1) != 0) lost.push_back(static_cast<uint32_t>(i + 1));
    }
    visit(lost);
  }
}

TEST_CASE("Every loss of as many disks as the protection tolerates: all bytes read right") {
  struct Case {
    Protection protection;
    int disks;
  };
  for (const Case& test :
       {Case{Protection::ReedSolomon(4, 2), 6}, Case{Protection::ReedSolomon(6, 3), 9},
        Case{Protection::Mirror(3), 3}, Case{Protection::LocallyRepairable(4, 2, 2), 8}}) {
    INFO(ProtectionName(test.protection));
    Machine machine = MakeMachine({.disks = test.disks});
    const auto bytes = RandomBytes(MostPayloadBytes(test.protection) - 5000, 1);
    const auto small = RandomBytes(5000, 2);
    std::vector<std::pair<WrittenStripe, std::span<const std::byte>>> stripes;
    {
      Rig rig(machine);
      stripes.emplace_back(WriteOne(rig, test.protection, bytes), bytes);
      stripes.emplace_back(WriteOne(rig, test.protection, small), small);
      Must(rig.Close());
    }
    for (int losses = 1; losses <= test.protection.tolerated_losses(); ++losses) {
      ForEachLoss(test.disks, losses, [&](std::vector<uint32_t> lost) {
        Rig rig(machine, lost);
        for (const auto& [stripe, content] : stripes) {
          REQUIRE(ReadsAs(rig, NameOf(stripe), content).ok());
          REQUIRE(ReadsAs(rig, NameOf(stripe), content, 4000, 200).ok());
          REQUIRE(ReadsAs(rig, NameOf(stripe), content, content.size() - 1, 1).ok());
        }
      });
    }
  }
}

TEST_CASE("One loss too many is DataLoss, names the disks, and the rest reads") {
  Machine machine = MakeMachine({});
  const auto bytes = RandomBytes(512u << 10, 1);
  WrittenStripe stripe;
  {
    Rig rig(machine);
    stripe = WriteOne(rig, Protection::ReedSolomon(4, 2), bytes);
    Must(rig.Close());
  }
  const std::vector<uint32_t> lost = {DiskOfUnit(stripe, 0), DiskOfUnit(stripe, 2),
                                      DiskOfUnit(stripe, 5)};
  Rig rig(machine, lost);
  const absl::Status status = ReadsAs(rig, NameOf(stripe), bytes);
  CHECK(absl::IsDataLoss(status));
  Says(status, "too many units are lost");
  for (const uint32_t disk : lost) Says(status, "disk " + std::to_string(disk) + " is absent");
  CHECK(ReadsAs(rig, NameOf(stripe), bytes, 128u << 10, 128u << 10).ok());  // Unit 1.
  CHECK(absl::IsDataLoss(ReadsAs(rig, NameOf(stripe), bytes, (256u << 10) - 1, 2)));
  CHECK(absl::IsNotFound(ReadsAs(rig, {99, 0, 1, 1}, bytes, 0, 1)));
  // Names and ranges that no stripe has are refused before anything is read.
  std::vector<std::byte> out(10);
  StripeName name = NameOf(stripe);
  CHECK(absl::IsInvalidArgument(rig.reader->Read(name, ~uint64_t{0} - 3, out)));
  CHECK(absl::IsInvalidArgument(rig.reader->Read(name, 100 << 20, out)));
  name.column = 250;
  Says(rig.reader->Read(name, 0, out), "column 250: a stripe of 32 blocks does not fit there");
  name.unit_blocks = 0;
  CHECK(absl::IsInvalidArgument(rig.reader->Read(name, 0, out)));
  name.unit_blocks = 33;
  CHECK(absl::IsInvalidArgument(rig.reader->Read(name, 0, out)));
}

TEST_CASE("A flipped bit in data, parity or head is noticed, counted, reported and repaired over") {
  for (const Protection& protection : {Protection::ReedSolomon(4, 2), Protection::Mirror(3)}) {
    INFO(ProtectionName(protection));
    Machine machine = MakeMachine({});
    Rig rig(machine);
    const auto bytes = RandomBytes(MostPayloadBytes(protection), 1);
    const WrittenStripe stripe = WriteOne(rig, protection, bytes);
    Random random(strata::test::Seed());
    for (int unit = 0; unit < protection.total_units(); ++unit) {
      const uint32_t disk = DiskOfUnit(stripe, unit);
      for (const uint32_t block : {0u, 1u, 20u, 32u}) {
        INFO("unit " << unit << " block " << block);
        const uint64_t bit = random.Uniform(8 * kBlockBytes);
        rig.disk(disk).FlipBitAtRest(LbaOf(rig, stripe, unit, block), bit);
        rig.damage.clear();
        REQUIRE(ReadsColdAs(rig, NameOf(stripe), bytes, 0, bytes.size()).ok());
        for (const Damage& damage : rig.damage) {
          CHECK(damage.disk == disk);
          CHECK(damage.unit == unit);
          CHECK(damage.stripe.group == stripe.columns.group);
          CHECK(damage.stripe.column == stripe.columns.column);
          CHECK((damage.fault == DiskFault::kHead) == (block == 0));
          Says(damage.status, "on disk " + std::to_string(disk) + " (fault:");
        }
        const bool is_read = protection.kind == Protection::Kind::kReedSolomon &&
                             unit < protection.data_units && (block > 0 || unit == 0);
        if (is_read) CHECK(rig.damage.size() == 1);
        rig.disk(disk).FlipBitAtRest(LbaOf(rig, stripe, unit, block), bit);
      }
      // Two damaged units at once, and the parity that the repair of the first would read.
      const int other = (unit + 1) % protection.total_units();
      for (const int damaged : {unit, other}) {
        rig.disk(DiskOfUnit(stripe, damaged)).FlipBitAtRest(LbaOf(rig, stripe, damaged, 5), 7);
      }
      REQUIRE(ReadsColdAs(rig, NameOf(stripe), bytes, 0, bytes.size()).ok());
      for (const int damaged : {unit, other}) {
        rig.disk(DiskOfUnit(stripe, damaged)).FlipBitAtRest(LbaOf(rig, stripe, damaged, 5), 7);
      }
    }
    uint64_t counted = 0;
    for (const auto& disk : rig.disks->All()) {
      counted += disk->fault_count(DiskFault::kHead) + disk->fault_count(DiskFault::kChecksum);
    }
    CHECK(counted > 0);
  }
}

// Copies blocks [0, count) of a unit's place on its disk to another place on that disk.
void CopyUnit(Rig& rig, const WrittenStripe& from, const WrittenStripe& to, int unit) {
  const uint32_t count = 1 + from.columns.unit_blocks;
  const auto device = rig.disk(DiskOfUnit(from, unit)).Open();
  const auto channel = Must(device->OpenChannel({}));
  block::Buffer buffer(size_t{count} * kBlockBytes);
  Must(block::ReadBlocking(*channel, LbaOf(rig, from, unit, 0), buffer.span()));
  Must(block::WriteBlocking(*channel, LbaOf(rig, to, unit, 0), buffer.span()));
}

TEST_CASE("Lost and misdirected writes are seen by their births, and read over") {
  for (const Protection& protection : {Protection::ReedSolomon(4, 2), Protection::Mirror(3)}) {
    INFO(ProtectionName(protection));
    Machine machine = MakeMachine({});
    Rig rig(machine);
    const auto first = RandomBytes(100'000, 1), second = RandomBytes(100'000, 2);
    const WrittenStripe one = WriteOne(rig, protection, first, 1);
    const WrittenStripe two = WriteOne(rig, protection, second, 2);
    REQUIRE(one.columns.group == two.columns.group);
    for (int unit = 0; unit < protection.tolerated_losses(); ++unit) CopyUnit(rig, one, two, unit);
    REQUIRE(ReadsColdAs(rig, NameOf(two), second, 0, second.size()).ok());
    REQUIRE_FALSE(rig.damage.empty());
    Says(rig.damage[0].status, "wrong stripe head: it is that of group");
    CHECK(ReadsColdAs(rig, NameOf(one), first, 0, first.size()).ok());
    // An extent of another birth is never served from this stripe.
    StripeName other = NameOf(one);
    ++other.birth;
    const absl::Status refused = ReadsColdAs(rig, other, first, 0, 10);
    CHECK(absl::IsDataLoss(refused));
    Says(refused, "its birth is");
  }
}

TEST_CASE("A write that a disk swallows leaves the old stripe's head, which is noticed") {
  Machine machine = MakeMachine({});
  Rig rig(machine);
  const auto old_bytes = RandomBytes(100'000, 1), new_bytes = RandomBytes(100'000, 2);
  const WrittenStripe old_stripe =
      Must(rig.writer->Write({.kind = {.wanted = Protection::ReedSolomon(4, 2)},
                              .records = OnePiece(100'000),
                              .payload = old_bytes}));
  rig.allocator->Drop(old_stripe.columns);
  rig.disk(DiskOfUnit(old_stripe, 0)).Inject({.kind = block::Fault::Kind::kLose, .op = Op::kWrite});
  // The columns are found again from the start once the rest of the group is full.
  WrittenStripe stripe;
  std::vector<WrittenStripe> others;
  do {
    if (stripe.payload_bytes != 0) others.push_back(stripe);
    stripe = Must(rig.writer->Write({.kind = {.wanted = Protection::ReedSolomon(4, 2)},
                                     .records = OnePiece(100'000),
                                     .payload = new_bytes}));
  } while (stripe.columns.column != old_stripe.columns.column);
  REQUIRE(stripe.columns.group == old_stripe.columns.group);
  CHECK(ReadsAs(rig, NameOf(stripe), new_bytes).ok());
  REQUIRE(rig.damage.size() == 1);
  Says(rig.damage[0].status, "wrong stripe head: its birth is");
}

TEST_CASE("Coarse checksums: ranges are verified in whole granules") {
  Machine machine = MakeMachine({.disks = 20});
  Rig rig(machine);
  const Protection protection = Protection::ReedSolomon(17, 3);
  const auto bytes = RandomBytes(MostPayloadBytes(protection), 1);
  std::vector<StripeRecord> records;
  for (uint32_t i = 0; i < kMaxStripeRecords; ++i) {
    records.push_back(
        {.inode = 1 + i, .payload_offset = i * 10, .stored_bytes = 10, .raw_bytes = 10});
  }
  const WrittenStripe stripe = Must(
      rig.writer->Write({.kind = {.wanted = protection}, .records = records, .payload = bytes}));
  CHECK(Must(rig.reader->ReadHead(NameOf(stripe)))->granule_blocks == 16);
  // The next block of the same granule is damaged: the range cannot be judged, so it is repaired.
  rig.disk(DiskOfUnit(stripe, 3)).FlipBitAtRest(LbaOf(rig, stripe, 3, 2), 1);
  for (const size_t offset : {size_t{0}, size_t{8192}, size_t{16 * 4096}}) {
    rig.damage.clear();
    CHECK(ReadsColdAs(rig, NameOf(stripe), bytes, 3 * (128u << 10) + offset, 100).ok());
    CHECK((rig.damage.size() == 1) == (offset < 16 * 4096));
  }
}

TEST_CASE("A degraded read reads the range that was asked for alone") {
  Machine machine = MakeMachine({});
  const auto bytes = RandomBytes(512u << 10, 1);
  WrittenStripe stripe;
  {
    Rig rig(machine);
    stripe = WriteOne(rig, Protection::ReedSolomon(4, 2), bytes);
    Must(rig.Close());
  }
  Rig rig(machine, {DiskOfUnit(stripe, 1)});
  const auto reads = [&] {
    uint64_t sum = 0;
    for (const auto& disk : machine.disks) sum += disk->counts().reads;
    return sum;
  };
  const uint64_t before = reads();
  CHECK(ReadsAs(rig, NameOf(stripe), bytes, (128u << 10) + 5000, 100).ok());
  CHECK(reads() - before == 5);  // A head, and the same block of four units.
  CHECK(ReadsAs(rig, NameOf(stripe), bytes, 0, 4096).ok());
  CHECK(reads() - before == 6);  // Nothing is lost there, and the head is in memory.
  CHECK(ReadsAs(rig, NameOf(stripe), bytes).ok());
  CHECK(reads() - before == 10);  // Three units and one parity.
}

TEST_CASE("A read error is counted, and the range comes from the other units") {
  Machine machine = MakeMachine({});
  Rig rig(machine);
  const auto bytes = RandomBytes(512u << 10, 1);
  const WrittenStripe stripe = WriteOne(rig, Protection::ReedSolomon(4, 2), bytes);
  const uint32_t disk = DiskOfUnit(stripe, 2);
  rig.disk(disk).Inject({.op = Op::kRead});
  CHECK(ReadsAs(rig, NameOf(stripe), bytes).ok());
  CHECK(rig.disks->Find(disk)->fault_count(DiskFault::kRead) == 1);
  REQUIRE(rig.damage.size() == 1);
  CHECK(rig.damage[0].fault == DiskFault::kRead);
  CHECK(rig.disks->Find(disk)->writable());
}

TEST_CASE("A copy on a disk with faults is read last") {
  Machine machine = MakeMachine({.disks = 3});
  Rig rig(machine);
  const auto bytes = RandomBytes(4096, 1);
  const WrittenStripe stripe = WriteOne(rig, Protection::Mirror(3), bytes);
  rig.disks->Find(1)->Count(DiskFault::kRead);
  rig.disks->Find(3)->Count(DiskFault::kRead);
  const uint64_t before = machine.disks[1]->counts().reads;
  for (int i = 0; i < 10; ++i) CHECK(ReadsAs(rig, NameOf(stripe), bytes).ok());
  CHECK(machine.disks[1]->counts().reads == before + 11);
}

TEST_CASE("A disk that fails to write: the stripe goes to a group without it, fully protected") {
  Machine machine = MakeMachine({.disks = 7});
  Rig rig(machine);
  const auto bytes = RandomBytes(512u << 10, 1);
  const WrittenStripe before = WriteOne(rig, Protection::ReedSolomon(4, 2), bytes);
  const uint32_t disk = DiskOfUnit(before, 3);
  rig.disk(disk).Inject({.op = Op::kWrite});
  const WrittenStripe stripe = WriteOne(rig, Protection::ReedSolomon(4, 2), bytes);
  CHECK(stripe.columns.group != before.columns.group);
  CHECK(ProtectionName(stripe.columns.record->protection) == "4+2");
  for (const SegmentPlace& place : stripe.columns.record->units) CHECK(place.disk != disk);
  CHECK_FALSE(rig.disks->Find(disk)->writable());
  REQUIRE(rig.damage.size() == 1);
  CHECK(rig.damage[0].fault == DiskFault::kWrite);
  Says(rig.damage[0].status, "unit 3 on disk " + std::to_string(disk));
  CHECK(ReadsAs(rig, NameOf(before), bytes).ok());
  CHECK(ReadsAs(rig, NameOf(stripe), bytes).ok());
  Must(rig.Close());
}

TEST_CASE("A disk that fails to flush: its stripes are written again elsewhere") {
  Machine machine = MakeMachine({.disks = 7});
  Rig rig(machine);
  const auto bytes = RandomBytes(200'000, 1);
  const StripeContent content{.kind = {.wanted = Protection::ReedSolomon(4, 2)},
                              .records = OnePiece(bytes.size()),
                              .payload = bytes};
  const WrittenStripe probe = Must(rig.writer->Write(content));
  const uint32_t disk = DiskOfUnit(probe, 0);
  rig.allocator->Drop(probe.columns);
  rig.disk(disk).Inject({.op = Op::kFlush, .nth = 1});
  const std::vector<StripeContent> contents(3, content);
  const std::vector<WrittenStripe> stripes = Must(rig.writer->WriteDurably(contents));
  for (const WrittenStripe& stripe : stripes) {
    for (const SegmentPlace& place : stripe.columns.record->units) CHECK(place.disk != disk);
    CHECK(ReadsAs(rig, NameOf(stripe), bytes).ok());
    rig.allocator->Keep(stripe.columns);
  }
  // A flush after the failed one proves nothing, so it is not believed.
  Says(rig.writer->Flush({&probe, 1}), "it failed before");
  Must(rig.Close());
}

TEST_CASE("A thin disk without space is no broken disk") {
  Machine machine = MakeMachine({});
  Rig rig(machine);
  const auto bytes = RandomBytes(100'000, 1);
  const StripeContent content{.kind = {.wanted = Protection::ReedSolomon(4, 2)},
                              .records = OnePiece(bytes.size()),
                              .payload = bytes};
  rig.disk(4).Inject({.op = Op::kWrite, .status = absl::ResourceExhaustedError("no space left")});
  const absl::Status status = rig.writer->Write(content).status();
  CHECK(absl::IsResourceExhausted(status));
  Says(status, "disk 4 (fault:4): write at ");
  rig.disk(4).ClearFaults();
  CHECK(rig.disks->Find(4)->writable());
  const WrittenStripe stripe = Must(rig.writer->Write(content));
  CHECK(ReadsAs(rig, NameOf(stripe), bytes).ok());
  rig.allocator->Drop(stripe.columns);
  Must(rig.Close());
  CHECK(rig.allocator->space().free_segments(4) == 6);
}

TEST_CASE("When all disks fail, nothing is left taken") {
  Machine machine = MakeMachine({});
  Rig rig(machine);
  for (const auto& disk : machine.disks) disk->Inject({.op = Op::kFlush});
  const auto bytes = RandomBytes(1000, 1);
  const std::vector<StripeContent> contents(2, {.kind = {.wanted = Protection::ReedSolomon(4, 2)},
                                                .records = OnePiece(1000),
                                                .payload = bytes});
  CHECK_FALSE(rig.writer->WriteDurably(contents).ok());
  Must(rig.Close());
  CHECK(rig.allocator->space().free_segments(1) == 6);
}

TEST_CASE("A group that moved is no damage: the reader looks where it is now") {
  Machine machine = MakeMachine({.disks = 7});
  Rig rig(machine);
  const auto bytes = RandomBytes(300'000, 1);
  const WrittenStripe stripe = WriteOne(rig, Protection::ReedSolomon(4, 2), bytes);
  CHECK(ReadsAs(rig, NameOf(stripe), bytes).ok());
  // A healer moves unit 0 to the disk that the group does not use, and the old place is reused.
  GroupRecord moved = *stripe.columns.record;
  std::set<uint32_t> used;
  for (const SegmentPlace& place : moved.units) used.insert(place.disk);
  uint32_t target = 1;
  while (used.contains(target)) ++target;
  const block::Buffer segment(kMinSegmentBytes);
  Transfer copy{
      .disk = rig.disks->Find(moved.units[0].disk),
      .offset_bytes = rig.disks->Find(moved.units[0].disk)->SegmentOffset(moved.units[0].segment),
      .memory = segment.span()};
  RunTransfers({&copy, 1});
  copy = {.disk = rig.disks->Find(target),
          .op = Op::kWrite,
          .offset_bytes = rig.disks->Find(target)->SegmentOffset(5),
          .memory = segment.span()};
  RunTransfers({&copy, 1});
  Must(copy.status);
  rig.disk(moved.units[0].disk).FlipBitAtRest(LbaOf(rig, stripe, 0, 1), 3);
  moved.units[0] = {target, 5};
  ++moved.generation;
  kv::WriteBatch batch;
  batch.Put(rig.metadata.meta, GroupKey(stripe.columns.group), Encode(moved));
  Must(rig.metadata.store->Write(batch, kv::Durability::kSync));
  CHECK(ReadsAs(rig, NameOf(stripe), bytes).ok());
  CHECK(rig.damage.empty());
  for (const auto& disk : rig.disks->All()) CHECK(disk->fault_count() == 0);
}

TEST_CASE("Many threads write and read at once") {
  Machine machine = MakeMachine({.disk_blocks = 8192});
  Rig rig(machine);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (uint64_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (uint64_t turn = 0; turn < 15; ++turn) {
        const auto bytes = RandomBytes(1 + (turn * 7919 + i * 104'729) % 200'000, turn);
        const WrittenStripe stripe =
            WriteOne(rig, kAll[turn % 2 == 0 ? 0 : 4],
                     std::span(bytes).first(std::min<size_t>(bytes.size(), 120'000)));
        if (!ReadsAs(rig, NameOf(stripe), bytes, 0, stripe.payload_bytes).ok()) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(rig.damage.empty());
  Must(rig.Close());
}

}  // namespace
}  // namespace strata::ofs
