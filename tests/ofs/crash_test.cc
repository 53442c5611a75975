// SPDX-License-Identifier: Apache-2.0
//
// The power fails between any two writes, of any disk and of the metadata. What was published
// before reads right after it, and its space is never given out again while it lives.
#include <catch2/catch.hpp>
#include <map>

#include "ofs/rig.h"
#include "strata/base/endian.h"
#include "strata/base/random.h"
#include "support/rounds.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

// Files of one piece each: the extent that a workload published, and the content that goes with it.
struct File {
  uint64_t seed = 0;
  ExtentRecord extent;
};
using Files = std::map<uint64_t, File>;

std::vector<std::byte> Content(uint64_t seed, size_t size) {
  std::vector<std::byte> bytes(size);
  Random(seed).Fill(bytes);
  return bytes;
}

// What extents refer to, as the metadata will ask when it stands on this.
LiveBytes LiveBytesIn(Rig& rig) {
  return [&rig](const StripeHead& head) -> absl::StatusOr<uint32_t> {
    uint32_t live = 0;
    for (const StripeRecord& record : head.records) {
      STRATA_ASSIGN_OR_RETURN(
          const std::optional<std::string> row,
          rig.metadata.store->NewSnapshot()->Get(rig.metadata.extents,
                                                 ExtentKey(record.inode, record.file_offset)));
      if (!row.has_value()) continue;
      STRATA_ASSIGN_OR_RETURN(const ExtentRecord extent, DecodeExtent(*row));
      const bool refers =
          extent.group == head.group && extent.column == head.column && extent.birth == head.birth;
      if (refers) live += record.stored_bytes;
    }
    return live;
  };
}

absl::StatusOr<Files> ReadFiles(Rig& rig) {
  Files files;
  STRATA_RETURN_IF_ERROR(kv::ForEach(
      *rig.metadata.store, rig.metadata.extents, TableRange(Table::kExtent),
      [&](const kv::KeyValue& row) -> absl::Status {
        const uint64_t inode = LoadBe64(reinterpret_cast<const std::byte*>(row.key.data()) + 1);
        STRATA_ASSIGN_OR_RETURN(files[inode].extent, DecodeExtent(row.value));
        files[inode].seed = files[inode].extent.written_ns;
        return absl::OkStatus();
      }));
  return files;
}

// Writes some files as one stripe or two, publishes them, and frees what they replace.
absl::Status WriteFiles(Rig& rig, Random& random, bool durable) {
  STRATA_ASSIGN_OR_RETURN(Files files, ReadFiles(rig));
  const bool packed = random.Chance(0.5);
  std::vector<StripeRecord> records;
  std::vector<std::byte> payload;
  std::map<uint64_t, File> written;
  for (uint64_t i = 0; i < (packed ? 3u : 1u); ++i) {
    const uint64_t inode = 1 + random.Uniform(8);
    if (written.contains(inode)) continue;
    const auto size = static_cast<uint32_t>(1 + random.Uniform(packed ? 20'000 : 150'000));
    File& file = written[inode];
    file.seed = random.Next64() >> 1 | 1;
    const std::vector<std::byte> bytes = Content(file.seed, size);
    records.push_back({.inode = inode,
                       .payload_offset = static_cast<uint32_t>(payload.size()),
                       .stored_bytes = size,
                       .raw_bytes = size});
    payload.insert(payload.end(), bytes.begin(), bytes.end());
  }
  const StripeContent content{
      .kind = {.wanted = packed ? Protection::Mirror(3) : Protection::ReedSolomon(4, 2)},
      .records = records,
      .payload = payload};
  STRATA_ASSIGN_OR_RETURN(const std::vector<WrittenStripe> stripes,
                          rig.writer->WriteDurably({&content, 1}));
  const Columns& columns = stripes[0].columns;
  const auto publish = [&](kv::Transaction& txn) -> absl::Status {
    std::vector<FreedPiece> freed;
    for (const StripeRecord& record : records) {
      const ExtentRecord extent{.length_bytes = record.raw_bytes,
                                .group = columns.group,
                                .column = columns.column,
                                .unit_blocks = columns.unit_blocks,
                                .birth = columns.birth,
                                .stripe_bytes = stripes[0].payload_bytes,
                                .payload_offset = record.payload_offset,
                                .written_ns = written[record.inode].seed};
      if (const auto old = files.find(record.inode); old != files.end()) {
        const ExtentRecord& gone = old->second.extent;
        freed.push_back({gone.group, gone.column, gone.unit_blocks, gone.stripe_bytes,
                         static_cast<uint32_t>(gone.length_bytes), gone.birth});
      }
      STRATA_RETURN_IF_ERROR(
          txn.Put(rig.metadata.extents, ExtentKey(record.inode, 0), Encode(extent)));
    }
    return rig.allocator->Free(txn, freed);
  };
  absl::Status published = kv::RunTransaction(
      *rig.metadata.store, durable ? kv::Durability::kSync : kv::Durability::kAsync, publish);
  published.ok() ? rig.allocator->Keep(columns) : rig.allocator->Drop(columns);
  return published;
}

struct Promise {
  Files files;  // What a power cut may not take.
};

// Stops at the first error, which is the power cut. Notes after each durable commit what holds.
void Workload(Rig& rig, uint64_t seed, int steps, Promise* promise) {
  Random random(seed);
  for (int step = 0; step < steps; ++step) {
    const bool durable = random.Chance(0.5);
    if (!WriteFiles(rig, random, durable).ok()) return;
    if (durable) {
      const absl::StatusOr<Files> files = ReadFiles(rig);
      if (files.ok()) promise->files = *files;
    }
    if (random.Chance(0.3)) {
      // Makes room be used again: seal, fold, open again.
      if (const auto groups = ReadFiles(rig); groups.ok() && !groups->empty()) {
        rig.allocator->Retire(groups->begin()->second.extent.group);
      }
      if (!rig.allocator->SealRetired().ok()) return;
      if (!rig.allocator->FoldFreed(8).ok()) return;
    }
  }
}

void CheckFiles(Rig& rig, const Files& files) {
  for (const auto& [inode, file] : files) {
    const ExtentRecord& extent = file.extent;
    std::vector<std::byte> bytes(extent.length_bytes);
    INFO("file " << inode << ", group " << extent.group << ", column " << extent.column);
    const absl::Status read =
        rig.reader->Read({extent.group, extent.column, extent.unit_blocks, extent.birth},
                         extent.payload_offset, bytes);
    INFO(read.ToString());
    REQUIRE(read.ok());
    REQUIRE(bytes == Content(file.seed, bytes.size()));
  }
}

// Nothing that lives is free, and nothing lives twice.
void CheckSpace(Rig& rig, const Files& files) {
  std::map<std::pair<uint64_t, uint32_t>, uint64_t> births;
  for (const auto& [inode, file] : files) {
    const ExtentRecord& extent = file.extent;
    const auto row = Must(
        rig.metadata.store->NewSnapshot()->Get(rig.metadata.meta, AllocationKey(extent.group)));
    REQUIRE(row.has_value());
    const AllocationRecord record = Must(DecodeAllocation(*row));
    REQUIRE(record.state == AllocationState::kSealed);
    REQUIRE(record.taken.AllSet(extent.column, 1 + extent.unit_blocks));
    for (uint32_t c = extent.column; c < extent.column + 1 + extent.unit_blocks; ++c) {
      const auto [it, is_new] = births.try_emplace({extent.group, c}, extent.birth);
      REQUIRE(it->second == extent.birth);
    }
  }
}

// After the cut: the promise holds, whatever else survived reads too, and goes on to do so while
// new files are written.
void Recover(Machine& machine, const Promise& promise, uint64_t seed) {
  {
    Rig rig(machine);
    Must(rig.started);
    Files files = Must(ReadFiles(rig));
    CheckFiles(rig, files);
    // Later asynchronous commits may have survived as well: each file is as old as promised or
    // newer.
    for (const auto& [inode, file] : promise.files) {
      REQUIRE(files.contains(inode));
      REQUIRE(files[inode].extent.birth >= file.extent.birth);
    }
    Must(rig.SealOwnerlessGroups(LiveBytesIn(rig)));
    CheckSpace(rig, files);
    Promise more;
    Workload(rig, seed, 6, &more);
    CheckFiles(rig, Must(ReadFiles(rig)));
    Must(rig.Close());
  }
  Rig rig(machine);
  const Files files = Must(ReadFiles(rig));
  CHECK(Must(ListOwnerlessGroups(rig.metadata)).empty());
  CheckSpace(rig, files);
  CheckFiles(rig, files);
  Must(rig.allocator->FoldFreed(1000));
  CheckFiles(rig, Must(ReadFiles(rig)));
}

constexpr int kSteps = 8;

Machine CutMachine(Machine& machine, uint64_t seed) {
  Machine after;
  after.disks.clear();
  for (const auto& disk : machine.disks) after.disks.push_back(disk->PowerCut(seed++));
  after.kv = machine.kv->PowerCut(seed);
  return after;
}

// Runs a workload of which `cut` takes the power away, then recovers. False: it ended before.
template <typename Cut>
bool RunOnce(uint64_t seed, Cut cut) {
  Machine machine = MakeMachine({.seed = seed});
  machine.kv->SetPowered([&machine] {
    for (const auto& disk : machine.disks) {
      if (!disk->powered()) return false;
    }
    return true;
  });
  Promise promise;
  bool was_cut = false;
  {
    Rig rig(machine);
    Must(rig.started);
    cut(machine, &was_cut);
    Workload(rig, seed, kSteps, &promise);
  }
  for (const auto& disk : machine.disks) was_cut = was_cut || !disk->powered();
  Machine after = CutMachine(machine, seed * 31);
  Recover(after, promise, seed + 1);
  return was_cut;
}

TEST_CASE("The power fails at any write or flush of any disk") {
  const uint64_t seed = strata::test::Seed();
  for (size_t disk = 0; disk < 6; ++disk) {
    const uint64_t step = strata::test::Rounds(5) == 5 ? 1 : 5;
    for (uint64_t count = disk % step;; count += step) {
      INFO("seed " << seed << ": disk " << disk + 1 << " after " << count << " writes");
      if (!RunOnce(seed,
                   [&](Machine& machine, bool*) { machine.disks[disk]->CutPowerAfter(count); })) {
        break;
      }
    }
  }
}

TEST_CASE("The power fails at any commit of the metadata") {
  const uint64_t seed = strata::test::Seed();
  for (uint64_t count = 0;; ++count) {
    INFO("seed " << seed << ": after " << count << " commits");
    if (!RunOnce(seed, [&](Machine& machine, bool* was_cut) {
          machine.kv->CutPowerAfter(count, [&machine, was_cut] {
            *was_cut = true;
            for (const auto& disk : machine.disks) disk->CutPowerAfter(0);
          });
        })) {
      break;
    }
  }
}

TEST_CASE("A process that dies loses nothing that was published, and its space is found again") {
  for (uint64_t round = 0; round < strata::test::Rounds(10); ++round) {
    const uint64_t seed = strata::test::Seed() + round;
    Machine machine = MakeMachine({.seed = seed});
    Promise promise;
    {
      Rig rig(machine);
      Workload(rig, seed, kSteps, &promise);
      promise.files = Must(ReadFiles(rig));
    }
    Recover(machine, promise, seed + 1);
  }
}

}  // namespace
}  // namespace strata::ofs
