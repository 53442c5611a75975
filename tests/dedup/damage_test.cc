// SPDX-License-Identifier: Apache-2.0
//
// Bad media, foreign devices, newer formats: clear errors, nothing wrong is returned, the rest
// still reads.
#include <map>
#include <set>
#include <string>

#include "fixture.h"
#include "format/container_format.h"
#include "format/index_records.h"
#include "format/layout.h"
#include "format/superblock.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/block/blocking.h"
#include "support/block/fault_device.h"

namespace strata::dedup {
namespace {

using Catch::Matchers::Contains;

// A store on a disk whose bits can be flipped.
struct DamagedHome {
  DamagedHome() : disk({.block_count = (24u << 20) / 4096, .seed = 1}) {
    kv = kv::CreateMemoryStore();
    options.container_bytes = 1u << 20;
    // Nothing is remembered: every read comes from the disk.
    options.data_cache_bytes = 0;
    options.metadata_cache_bytes = 0;
  }
  absl::Status Open() {
    store.reset();
    device = disk.Open();
    options.device = device.get();
    options.kv = kv.get();
    auto opened = Store::Open(options);
    if (opened.ok()) store = *std::move(opened);
    return opened.status();
  }
  // Overwrites part of the device, as if by another program.
  void Write(uint64_t offset, std::span<const std::byte> data) {
    const auto opened = disk.Open();
    const auto channel = *opened->OpenChannel({});
    REQUIRE(block::WriteBlocking(*channel, block::Lba{offset / 4096}, data).ok());
    REQUIRE(block::FlushBlocking(*channel).ok());
  }
  Bytes ReadBlock(uint64_t offset) {
    const auto opened = disk.Open();
    const auto channel = *opened->OpenChannel({});
    Bytes block(4096);
    REQUIRE(block::ReadBlocking(*channel, block::Lba{offset / 4096}, block).ok());
    return block;
  }

  block::FaultDisk disk;
  std::unique_ptr<block::Device> device;
  std::unique_ptr<kv::Store> kv;
  StoreOptions options;
  std::unique_ptr<Store> store;
};

}  // namespace

TEST_CASE("a flipped bit anywhere in a container is found, and only the streams on it suffer") {
  DamagedHome home;
  REQUIRE(home.Open().ok());
  const uint64_t seed = test::Seed();
  std::map<StreamId, Bytes> streams;
  for (int i = 0; i < 12; ++i) {
    Bytes data = RandomBytes(seed + i, 400000);
    streams[Put(*home.store, data)->id] = std::move(data);
  }
  Random random(seed);
  int suffered = 0;
  for (int i = 0; i < 60; ++i) {
    const uint64_t lba = kDataOffsetBytes / 4096 + random.Uniform(4u << 20) / 4096;
    const uint64_t bit = random.Uniform(4096 * 8);
    INFO("STRATA_SEED=" << seed << ": bit " << bit << " of block " << lba);
    home.disk.FlipBitAtRest(block::Lba{lba}, bit);
    REQUIRE(home.Open().ok());
    std::set<StreamId> lost;
    for (const auto& [id, data] : streams) {
      const absl::StatusOr<Bytes> back = Get(*home.store, id);
      if (back.ok()) {
        REQUIRE(*back == data);
        continue;
      }
      CHECK(absl::IsDataLoss(back.status()));
      CHECK_THAT(std::string(back.status().message()), Contains("container"));
      lost.insert(id);
    }
    const auto report = home.store->Verify({});
    REQUIRE(report.ok());
    std::set<StreamId> reported;
    for (const Damage& damage : report->streams) {
      CHECK_THAT(damage.detail, Contains("container") && Contains("byte"));
      CHECK(damage.size_bytes > 0);
      CHECK(damage.offset_bytes + damage.size_bytes <= streams[damage.stream].size());
      // The range that Verify() names is the one that does not read, and what lies before it does.
      auto reader = home.store->OpenReader(damage.stream);
      Bytes out(1);
      CHECK(absl::IsDataLoss((*reader)->Read(damage.offset_bytes, out).status()));
      if (damage.offset_bytes > 0) CHECK((*reader)->Read(damage.offset_bytes - 1, out).ok());
      reported.insert(damage.stream);
    }
    CHECK(reported == lost);
    CHECK(lost.size() <= 2);
    if (!lost.empty()) {
      CHECK(!report->container_damage.empty());
      CHECK(home.store->Stats().corruptions_found > 0);
      ++suffered;
      // Storing the same bytes again heals: damaged containers are no duplicates.
      for (const StreamId& id : lost) {
        const absl::StatusOr<StreamInfo> again = Put(*home.store, streams[id]);
        REQUIRE(again.ok());
        CHECK(*Get(*home.store, again->id) == streams[id]);
        REQUIRE(home.store->Delete(again->id).ok());
      }
    }
    home.disk.FlipBitAtRest(block::Lba{lba}, bit);
  }
  CHECK(suffered > 4);
  REQUIRE(home.Open().ok());
  const auto report = home.store->Verify({});
  CHECK(report->container_damage.empty());
  CHECK(report->streams.empty());
}

TEST_CASE("an open container outlives its header, and what is durable behind it") {
  const uint64_t seed = test::Seed();
  for (const bool encrypted : {false, true}) {
    for (const size_t damaged_bytes : {64, 4096, 8192}) {
      INFO("STRATA_SEED=" << seed << ": " << damaged_bytes << " bytes of the slot are lost");
      DamagedHome home;
      if (encrypted) home.options.encryption_key = EncryptionKey{std::byte{7}};
      REQUIRE(home.Open().ok());
      std::map<StreamId, Bytes> streams;
      for (int i = 0; i < 5; ++i) {
        Bytes data = RandomBytes(seed + i, 90000);
        streams[Put(*home.store, data)->id] = std::move(data);
      }
      home.store.reset();
      const Bytes noise = RandomBytes(seed + 99, damaged_bytes);
      for (size_t at = 0; at < damaged_bytes; at += 4096) {
        Bytes block = home.ReadBlock(kDataOffsetBytes + at);
        std::copy_n(noise.begin() + static_cast<ptrdiff_t>(at),
                    std::min<size_t>(4096, damaged_bytes - at), block.begin());
        home.Write(kDataOffsetBytes + at, block);
      }
      for (int round = 0; round < 3; ++round) {
        REQUIRE(home.Open().ok());
        int lost = 0;
        for (const auto& [id, data] : streams) {
          const absl::StatusOr<Bytes> back = Get(*home.store, id);
          if (!back.ok()) {
            CHECK(absl::IsDataLoss(back.status()));
            ++lost;
            continue;
          }
          REQUIRE(*back == data);
        }
        // The header alone is lost without loss; the first region goes with its bytes.
        CHECK(lost == (damaged_bytes > 64 ? 1 : 0));
        Bytes data = RandomBytes(seed + 10 + round, 90000);  // And the container goes on.
        streams[Put(*home.store, data)->id] = std::move(data);
      }
      if (damaged_bytes == 64) {
        const auto report = home.store->Verify({});
        REQUIRE(report.ok());
        CHECK(report->container_damage.empty());
        CHECK(report->streams.empty());
      }
    }
  }
}

TEST_CASE("garbage collection frees no damaged container and nothing under an unreadable recipe") {
  DamagedHome home;
  REQUIRE(home.Open().ok());
  const uint64_t seed = test::Seed();
  const Bytes kept = RandomBytes(seed, 700000);
  const StreamId keep = Put(*home.store, kept)->id;
  const StreamId drop = Put(*home.store, RandomBytes(seed + 1, 3000000))->id;
  REQUIRE(home.store->Delete(drop).ok());
  // All of the first container's regions.
  for (uint64_t lba = 1; lba < 240; ++lba) {
    home.disk.FlipBitAtRest(block::Lba{kDataOffsetBytes / 4096 + lba}, 77);
  }
  REQUIRE(home.Open().ok());
  const auto garbage =
      home.store->CollectGarbage({.rewrite_below_live_ratio = 1, .progress = nullptr});
  if (!garbage.ok()) CHECK_THAT(std::string(garbage.status().message()), Contains(keep.ToHex()));
  for (uint64_t lba = 1; lba < 240; ++lba) {
    home.disk.FlipBitAtRest(block::Lba{kDataOffsetBytes / 4096 + lba}, 77);
  }
  REQUIRE(home.Open().ok());
  CHECK(*Get(*home.store, keep) == kept);
}

TEST_CASE("each superblock copy stands in for the other; both lost is an error") {
  DamagedHome home;
  REQUIRE(home.Open().ok());
  const Bytes data = RandomBytes(test::Seed(), 100000);
  const StreamId id = Put(*home.store, data)->id;
  for (const uint64_t copy : kSuperblockOffsets) {
    home.disk.FlipBitAtRest(block::Lba{copy / 4096}, 333);
    REQUIRE(home.Open().ok());
    CHECK(*Get(*home.store, id) == data);
  }
  // The damaged ones were written anew.
  REQUIRE(home.Open().ok());
  for (const uint64_t copy : kSuperblockOffsets) {
    CHECK(DecodeSuperblock(home.ReadBlock(copy)).ok());
    home.disk.FlipBitAtRest(block::Lba{copy / 4096}, 333);
  }
  const absl::Status status = home.Open();
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()), Contains("superblock"));
}

TEST_CASE("device and kv store that do not belong together are refused and left alone") {
  DamagedHome home;
  REQUIRE(home.Open().ok());
  const Bytes data = RandomBytes(test::Seed(), 100000);
  const StreamId id = Put(*home.store, data)->id;
  home.store.reset();

  const auto own_kv = std::exchange(home.kv, kv::CreateMemoryStore());
  absl::Status status = home.Open();
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), Contains("do not belong together"));

  DamagedHome other;
  other.kv = std::move(home.kv);
  REQUIRE(other.Open().ok());
  other.store.reset();
  std::swap(home.kv, other.kv);
  home.kv = kv::CreateMemoryStore();
  std::swap(home.kv, other.kv);

  MemoryHome empty;
  empty.options.kv = own_kv.get();
  status = Store::Open(empty.options).status();
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), Contains("is empty"));

  // Another name is another store, and does not take the device either.
  home.options.name = "other";
  home.kv = kv::CreateMemoryStore();
  CHECK(absl::IsFailedPrecondition(home.Open()));
  home.options.name = "dedup";

  auto device = home.disk.Open();
  StoreOptions options = home.options;
  options.device = device.get();
  options.kv = own_kv.get();
  const auto again = Store::Open(options);
  REQUIRE(again.ok());
  CHECK(*Get(**again, id) == data);
}

TEST_CASE("a device with something else on it is refused") {
  DamagedHome home;
  home.Write(0, RandomBytes(test::Seed(), 4096));
  const absl::Status status = home.Open();
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()), Contains("superblock"));
}

TEST_CASE("an older or a newer format is refused by name") {
  const uint16_t version = GENERATE(as<uint16_t>(), 2, 6);
  DamagedHome home;
  REQUIRE(home.Open().ok());
  home.store.reset();
  for (const uint64_t copy : kSuperblockOffsets) {
    Bytes block = home.ReadBlock(copy);
    StoreLe16(block.data() + 8, version);
    StoreLe32(block.data() + kSuperblockBytes - 4,
              Crc32c(std::span(block).first(kSuperblockBytes - 4)));
    home.Write(copy, block);
  }
  const absl::Status status = home.Open();
  CHECK(absl::IsUnimplemented(status));
  CHECK_THAT(std::string(status.message()), Contains("version " + std::to_string(version)));
}

TEST_CASE("a truncated device says so") {
  MemoryHome home(32u << 20);
  home.Open();
  for (int i = 0; i < 12; ++i) home.Put(RandomBytes(test::Seed() + i, 1000000));
  home.store.reset();
  const auto shorter = *block::CreateMemoryDevice({.block_count = (8u << 20) / 4096});
  // The first half of the device, as a file that was cut.
  auto from = *home.device->OpenChannel({});
  auto to = *shorter->OpenChannel({});
  Bytes block(4096);
  for (uint64_t lba = 0; lba < (8u << 20) / 4096; ++lba) {
    REQUIRE(block::ReadBlocking(*from, block::Lba{lba}, block).ok());
    REQUIRE(block::WriteBlocking(*to, block::Lba{lba}, block).ok());
  }
  home.options.device = shorter.get();
  const absl::Status status = Store::Open(home.options).status();
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()), Contains("truncated"));
}

TEST_CASE("a device that grew is used to its new end") {
  MemoryHome home(16u << 20);
  home.Open();
  const Bytes data = RandomBytes(test::Seed(), 1000000);
  const StreamId id = home.Put(data).id;
  home.store.reset();
  const auto longer = *block::CreateMemoryDevice({.block_count = (32u << 20) / 4096});
  auto from = *home.device->OpenChannel({});
  auto to = *longer->OpenChannel({});
  Bytes block(4096);
  for (uint64_t lba = 0; lba < (16u << 20) / 4096; ++lba) {
    REQUIRE(block::ReadBlocking(*from, block::Lba{lba}, block).ok());
    REQUIRE(block::WriteBlocking(*to, block::Lba{lba}, block).ok());
  }
  home.options.device = longer.get();
  home.Open();
  CHECK(home.Get(id) == data);
  for (int i = 1; i < 24; ++i) home.Put(RandomBytes(test::Seed() + i, 1000000));
  home.store.reset();
}

TEST_CASE("the chunk index can be lost and written anew") {
  MemoryHome home;
  Store* store = &home.Open();
  const uint64_t seed = test::Seed();
  std::map<StreamId, Bytes> streams;
  for (int i = 0; i < 10; ++i) {
    Bytes data = RandomBytes(seed + i, 1000000);
    streams[home.Put(data).id] = std::move(data);
  }
  const kv::SpaceId chunks =
      *home.kv->OpenSpace("dedup.chunks", {.access = kv::SpaceOptions::Access::kPoint});
  SECTION("all of it, which opening notices") {
    home.store.reset();
    kv::WriteBatch batch;
    batch.DeleteRange(chunks, {});
    REQUIRE(home.kv->Write(batch, kv::Durability::kSync).ok());
    store = &home.Open();
  }
  SECTION("some of it, and wrong entries too, which the operator repairs") {
    home.store.reset();
    const auto page = home.kv->NewSnapshot()->List(chunks, {}, {.max_items = 300});
    kv::WriteBatch batch;
    for (size_t i = 0; i < page->items.size(); ++i) {
      if (i % 3 == 0) batch.Delete(chunks, page->items[i].key);
      if (i % 3 == 1) batch.Put(chunks, page->items[i].key, page->items[i + 1].value);
      std::string foreign = page->items[i].key;
      foreign[5] ^= 1;
      batch.Put(chunks, foreign, page->items[i].value);
    }
    REQUIRE(home.kv->Write(batch, kv::Durability::kSync).ok());
    store = &home.Open();
    for (const auto& [id, data] : streams) {
      const absl::StatusOr<Bytes> back = Get(*store, id);
      CHECK((back.ok() ? *back == data : absl::IsDataLoss(back.status())));
    }
    uint64_t steps = 0;
    REQUIRE(store
                ->RebuildIndex([&steps](const Progress& progress) {
                  CHECK(progress.done <= progress.total);
                  ++steps;
                  return true;
                })
                .ok());
    CHECK(steps > 5);
  }
  for (const auto& [id, data] : streams) CHECK(home.Get(id) == data);
  CHECK(home.Damages() == 0);
  for (const auto& [id, data] : streams) CHECK(home.Put(data).new_chunk_bytes == 0);
  CHECK(store->Stats().stream_count == 20);
}

TEST_CASE("after a failed write or flush the store takes nothing more, and still reads") {
  for (const block::Op op : {block::Op::kWrite, block::Op::kFlush}) {
    DamagedHome home;
    REQUIRE(home.Open().ok());
    const Bytes data = RandomBytes(test::Seed(), 500000);
    const StreamId id = Put(*home.store, data)->id;
    home.disk.Inject({.op = op, .nth = 1, .status = absl::DataLossError("the platter is loose")});
    const absl::Status failed = Put(*home.store, RandomBytes(1, 500000)).status();
    INFO(failed);
    CHECK(absl::IsFailedPrecondition(failed));
    CHECK_THAT(std::string(failed.message()), Contains("the platter is loose"));
    const absl::Status later = Put(*home.store, RandomBytes(2, 500000)).status();
    CHECK(absl::IsFailedPrecondition(later));
    CHECK(*Get(*home.store, id) == data);
    REQUIRE(home.Open().ok());
    CHECK(*Get(*home.store, id) == data);
    CHECK(Put(*home.store, RandomBytes(2, 500000)).ok());
  }
}

TEST_CASE("damage that a read found is written down: the next backup heals it, in any process") {
  const uint64_t seed = test::Seed();
  for (const Mode mode : {Mode::kInline, Mode::kHybrid}) {
    for (const bool encrypted : {false, true}) {
      for (const bool by_verify : {false, true}) {
        INFO("STRATA_SEED=" << seed << " mode " << static_cast<int>(mode) << " encrypted "
                            << encrypted << " found by verify " << by_verify);
        DamagedHome home;
        home.options.metadata_cache_bytes = 16u << 20;
        if (encrypted) home.options.encryption_key = EncryptionKey{std::byte{7}};
        REQUIRE(home.Open().ok());
        const Bytes data = RandomBytes(seed, 3000000);
        const StreamId old = Put(*home.store, data)->id;
        // In memory only what is looked up is known, so hybrid has to heal within one opening.
        const bool again = mode == Mode::kInline;
        home.disk.FlipBitAtRest(block::Lba{(kDataOffsetBytes + 300000) / 4096}, 9);
        home.options.mode = mode;
        if (again) REQUIRE(home.Open().ok());
        if (by_verify) {
          const auto report = home.store->Verify({});
          REQUIRE(report.ok());
          REQUIRE(report->streams.size() == 1);
          CHECK(report->streams[0].size_bytes <= home.options.chunker.max_bytes);
        } else {
          CHECK(absl::IsDataLoss(Get(*home.store, old).status()));
        }
        if (again) REQUIRE(home.Open().ok());

        const absl::StatusOr<StreamInfo> healed = Put(*home.store, data);
        REQUIRE(healed.ok());
        // One damaged chunk costs that chunk, whatever lies in its region and its container.
        CHECK(healed->new_chunk_bytes > 0);
        CHECK(healed->new_chunk_bytes <= home.options.chunker.max_bytes);
        for (int round = 0; round < 2; ++round) {
          CHECK(*Get(*home.store, healed->id) == data);
          CHECK(*Get(*home.store, old) == data);
          auto report = home.store->Verify({});
          REQUIRE(report.ok());
          CHECK(report->streams.empty());
          CHECK(report->index_damage.empty());
          CHECK(report->container_damage.size() == 1);
          REQUIRE(home.Open().ok());
        }
        if (again) CHECK(Put(*home.store, data)->new_chunk_bytes == 0);

        // The collection moves what is whole out of the damage's way, and the mark goes with it.
        REQUIRE(home.store->CollectGarbage({.progress = nullptr}).ok());
        const auto report = home.store->Verify({});
        REQUIRE(report.ok());
        CHECK(report->container_damage.empty());
        CHECK(report->streams.empty());
        CHECK(report->index_damage.empty());
        CHECK(*Get(*home.store, old) == data);
        const kv::SpaceId containers = *home.kv->OpenSpace("dedup.containers", {});
        CHECK(home.kv->NewSnapshot()->List(containers, kv::PrefixRange("d"), {})->items.empty());
      }
    }
  }
}

TEST_CASE("of a damaged region every chunk is read that is whole, as far as the codec allows") {
  const uint64_t seed = test::Seed();
  for (const Compression method :
       {Compression::kNone, Compression::kLz4, Compression::kZstd, Compression::kGzip}) {
    INFO("STRATA_SEED=" << seed << " compression " << static_cast<int>(method));
    DamagedHome home;
    home.options.compression = method;
    home.options.region_bytes = 256u << 10;
    REQUIRE(home.Open().ok());
    const Bytes data = TextBytes(seed, 200000);  // One region.
    const StreamId id = Put(*home.store, data)->id;
    REQUIRE(home.store->CollectGarbage({.progress = nullptr}).ok());  // Seals.
    home.disk.FlipBitAtRest(block::Lba{(kDataOffsetBytes + 80000) / 4096}, 9);
    REQUIRE(home.Open().ok());
    const std::unique_ptr<Reader> reader = *home.store->OpenReader(id);
    uint64_t lost = 0;
    for (size_t at = 0; at < data.size(); at += 1000) {
      Bytes out(1000);
      const absl::StatusOr<size_t> size = reader->Read(at, out);
      if (!size.ok()) {
        CHECK(absl::IsDataLoss(size.status()));
        lost += 1000;
        continue;
      }
      CHECK(std::equal(out.begin(), out.end(), data.begin() + static_cast<ptrdiff_t>(at)));
    }
    CHECK(lost > 0);
    CHECK(lost < data.size());
    if (method == Compression::kNone) CHECK(lost <= home.options.chunker.max_bytes + 2000);
    const auto report = home.store->Verify({});
    REQUIRE(report.ok());
    uint64_t named = 0;
    for (const Damage& damage : report->streams) named += damage.size_bytes;
    CHECK(named > 0);
    CHECK(named <= lost);
    CHECK(lost <= named + 2000 * report->streams.size());
  }
}

TEST_CASE("garbage collection beside damage keeps what streams need, and frees the rest") {
  const uint64_t seed = test::Seed();
  DamagedHome home;
  REQUIRE(home.Open().ok());
  const Bytes kept = RandomBytes(seed, 400000);
  const StreamId keep = Put(*home.store, kept)->id;
  const StreamId drop = Put(*home.store, RandomBytes(seed + 1, 3000000))->id;
  REQUIRE(home.store->Delete(drop).ok());
  // A chunk that `keep` needs; the rest of its container is dead.
  const block::Lba place{(kDataOffsetBytes + 200000) / 4096};
  home.disk.FlipBitAtRest(place, 77);
  REQUIRE(home.Open().ok());
  for (int round = 0; round < 2; ++round) {
    const auto garbage = home.store->CollectGarbage({.progress = nullptr});
    REQUIRE(garbage.ok());
    CHECK((garbage->containers_freed > 0) == (round == 0));
    const auto report = home.store->Verify({});
    REQUIRE(report->streams.size() == 1);
    CHECK(report->streams[0].size_bytes <= home.options.chunker.max_bytes);
  }
  // The damage passes, as that of a cable does.
  home.disk.FlipBitAtRest(place, 77);
  REQUIRE(home.Open().ok());
  CHECK(*Get(*home.store, keep) == kept);
  REQUIRE(home.store->Verify({})->container_damage.empty());
  CHECK(Put(*home.store, kept)->new_chunk_bytes == 0);  // Verification took the mark back.
  REQUIRE(home.store->CollectGarbage({.progress = nullptr}).ok());
  CHECK(*Get(*home.store, keep) == kept);
}

TEST_CASE("of two copies the whole one is kept and found, whichever the index led to") {
  const uint64_t seed = test::Seed();
  for (const bool older_damaged : {false, true}) {
    INFO("STRATA_SEED=" << seed << " older damaged " << older_damaged);
    DamagedHome home;
    home.options.mode = Mode::kPostProcess;
    REQUIRE(home.Open().ok());
    const Bytes data = RandomBytes(seed, 900000);
    const StreamId first = Put(*home.store, data)->id;
    REQUIRE(home.store->CollectGarbage({.progress = nullptr}).ok());  // Seals.
    const StreamId second = Put(*home.store, data)->id;
    REQUIRE(Put(*home.store, RandomBytes(seed + 1, 900000)).ok());  // Closes the second, too.
    const uint64_t at = kDataOffsetBytes + (older_damaged ? 0u : 1u << 20) + 300000;
    home.disk.FlipBitAtRest(block::Lba{at / 4096}, 5);
    REQUIRE(home.Open().ok());
    REQUIRE(home.store->Verify({}).ok());
    REQUIRE(home.store->FoldDuplicates({.progress = nullptr}).ok());
    REQUIRE(home.Open().ok());
    CHECK(*Get(*home.store, first) == data);
    CHECK(*Get(*home.store, second) == data);
  }
}

TEST_CASE("a damaged footer costs no chunk") {
  const uint64_t seed = test::Seed();
  DamagedHome home;
  REQUIRE(home.Open().ok());
  const Bytes data = RandomBytes(seed, 3000000);
  const StreamId id = Put(*home.store, data)->id;
  home.disk.FlipBitAtRest(block::Lba{(kDataOffsetBytes + (1u << 20)) / 4096 - 1}, 4095 * 8);
  REQUIRE(home.Open().ok());
  const auto report = home.store->Verify({});
  REQUIRE(report.ok());
  CHECK(report->container_damage.size() == 1);
  CHECK(report->streams.empty());
  REQUIRE(home.Open().ok());
  CHECK(Put(*home.store, data)->new_chunk_bytes == 0);
  REQUIRE(home.store->RebuildIndex(nullptr).ok());
  CHECK(*Get(*home.store, id) == data);
}

TEST_CASE("verification holds the index against the containers") {
  const uint64_t seed = test::Seed();
  MemoryHome home;
  home.Open();
  for (int i = 0; i < 4; ++i) home.Put(RandomBytes(seed + i, 1000000));
  home.Collect();
  CHECK(home.Damages() == 0);
  CHECK(home.store->Verify({})->index_entries_checked > 300);
  const kv::SpaceId chunks =
      *home.kv->OpenSpace("dedup.chunks", {.access = kv::SpaceOptions::Access::kPoint});
  const auto page = home.kv->NewSnapshot()->List(chunks, {}, {.max_items = 3});
  kv::WriteBatch batch;
  batch.Put(chunks, page->items[0].key, page->items[1].value);
  batch.Put(chunks, std::string(32, 'x'),
            EncodeChunkPlace({.container_id = 0x700000001, .offset_units = 1}));
  batch.Put(chunks, std::string(32, 'y'), "short");
  REQUIRE(home.kv->Write(batch, kv::Durability::kSync).ok());
  const auto report = home.store->Verify({.read_data = false, .progress = nullptr});
  REQUIRE(report.ok());
  REQUIRE(report->index_damage.size() == 3);
  CHECK_THAT(report->index_damage[0], Contains("another chunk"));
  CHECK_THAT(report->index_damage[1], Contains("not there") || Contains("decoded"));
  REQUIRE(home.store->RebuildIndex(nullptr).ok());
  CHECK(home.store->Verify({})->index_damage.empty());
}

TEST_CASE("opening and listing go past a stream record that cannot be decoded") {
  MemoryHome home;
  home.Open();
  const Bytes data = RandomBytes(test::Seed(), 100000);
  std::set<StreamId> ids;
  for (int i = 0; i < 5; ++i) ids.insert(home.Put(data).id);
  const kv::SpaceId streams = *home.kv->OpenSpace("dedup.streams", {});
  const auto page = home.kv->NewSnapshot()->List(streams, {}, {.max_items = 3});
  kv::WriteBatch batch;
  batch.Put(streams, page->items[2].key, "damaged");
  REQUIRE(home.kv->Write(batch, kv::Durability::kSync).ok());
  std::vector<std::string> logged;
  home.options.log = [&logged](LogLevel, std::string_view line) { logged.emplace_back(line); };
  home.Open();
  CHECK(home.store->List({}, 10)->size() == 4);
  CHECK_THAT(logged.back(), Contains("not listed"));
  CHECK(home.store->Stats().stream_count == 4);
  const auto listed = *home.store->List({}, 10);
  for (const StreamInfo& info : listed) CHECK(home.Get(info.id) == data);
  const auto report = home.store->Verify({});
  REQUIRE(report.ok());
  CHECK(report->index_damage.size() == 1);
  // What the unreadable recipe needs cannot be told: nothing is collected.
  CHECK(!home.store->CollectGarbage({.progress = nullptr}).ok());
}

}  // namespace strata::dedup
