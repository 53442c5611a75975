// SPDX-License-Identifier: Apache-2.0
//
// The journal: what is committed to the kv store comes back from the device alone, exactly.
#include "journaled.h"

#include <filesystem>
#include <string>

#include "format/journal_format.h"
#include "strata/base/endian.h"
#include "strata/block/blocking.h"
#include "strata/dedup/directory.h"
#include "support/block/fault_device.h"
#include "support/block/temp_file.h"
#include "support/kv/crash_kv.h"

namespace strata::dedup {
namespace {

struct JournaledHome : MemoryHome {
  explicit JournaledHome(uint64_t device_bytes = 64u << 20) : MemoryHome(device_bytes) {
    options.journal = true;
  }
  void Check() {
    store.reset();
    CheckRebuild(options);
  }
};

void Write(kv::Store& kv, const kv::WriteBatch& batch,
           kv::Durability durability = kv::Durability::kSync) {
  const absl::Status status = kv.Write(batch, durability);
  INFO(status);
  REQUIRE(status.ok());
}

void PutKey(kv::Store& kv, kv::SpaceId space, const std::string& key, const std::string& value) {
  kv::WriteBatch batch;
  batch.Put(space, key, value);
  Write(kv, batch);
}

}  // namespace

TEST_CASE("journal parts and operations: the bytes of the format") {
  JournalOperations operations;
  using Kind = kv::WriteBatch::Operation::Kind;
  const kv::SpaceInfo space{"n", {.access = kv::SpaceOptions::Access::kOrdered}};
  operations.Add(space, Kind::kPut, "k", "v");
  operations.Add(space, Kind::kDelete, "d", "");
  operations.Add(space, Kind::kDeleteRange, "a", "b");
  const std::string_view bytes(reinterpret_cast<const char*>(operations.bytes().data()),
                               operations.bytes().size());
  CHECK(bytes == std::string_view("\0\1n\0\1\1k\1v\2\1d\3\1a\1b", 17));

  JournalPart part{.kind = JournalKind::kCommit,
                   .last_part = true,
                   .sync = true,
                   .last_piece = false,
                   .part = 2,
                   .piece = 0,
                   .sequence = 0x100000005,
                   .previous = {0x100000004, 0x100000001},
                   .operations = operations.bytes()};
  const std::vector<std::byte> encoded = EncodeJournalPart(part);
  REQUIRE(encoded.size() == 40 + 17);
  CHECK(encoded[0] == std::byte{1});
  CHECK(encoded[1] == std::byte{0});
  CHECK(encoded[2] == std::byte{5});
  CHECK(LoadLe32(encoded.data() + 4) == 2);
  CHECK(LoadLe64(encoded.data() + 8) == 0x100000005);
  CHECK(LoadLe64(encoded.data() + 16) == 0x100000004);
  CHECK(LoadLe64(encoded.data() + 24) == 0x100000001);
  CHECK(*DecodeJournalPart(encoded) == part);

  std::vector<std::byte> newer = encoded;
  newer[0] = std::byte{2};
  CHECK(absl::IsUnimplemented(DecodeJournalPart(newer).status()));
  for (size_t size = 0; size < 40; ++size) {
    CHECK(absl::IsDataLoss(DecodeJournalPart(std::span(encoded).first(size)).status()));
  }
  size_t visited = 0;
  const auto count = [&visited](const JournalOperation&) {
    ++visited;
    return absl::OkStatus();
  };
  CHECK(VisitJournalOperations(operations.bytes(), count).ok());
  CHECK(visited == 3);
  CHECK(absl::IsDataLoss(VisitJournalOperations(operations.bytes().first(16), count)));
}

TEST_CASE("a record names the regions that it needs, first of all") {
  JournalOperations operations;
  const RegionRange range{0x100000002, 3, 9};
  operations.AddNeeded(range);
  using Kind = kv::WriteBatch::Operation::Kind;
  operations.Add({"n", {}}, Kind::kPut, "k", "v");
  CHECK(NeededRegions(operations.bytes()) == std::vector<RegionRange>{range});
  operations.AddNeeded(range);  // Not where it belongs.
  const auto ignore = [](const JournalOperation&) { return absl::OkStatus(); };
  CHECK(absl::IsDataLoss(VisitJournalOperations(operations.bytes(), ignore)));
}

TEST_CASE("after any history the device alone gives every space back") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  for (uint64_t round = 0; round < 6; ++round) {
    Random random(seed + round);
    JournaledHome home;
    home.options.journal_checkpoint_bytes = random.Uniform(2) == 0 ? 4096 : 1u << 20;
    home.options.worker_threads = static_cast<uint32_t>(random.Uniform(2));
    if (random.Uniform(2) == 0) home.options.encryption_key = EncryptionKey{std::byte{7}};
    home.Open();
    const kv::SpaceId names = *home.kv->OpenSpace("names", {});
    const kv::SpaceId points =
        *home.kv->OpenSpace("points", {.access = kv::SpaceOptions::Access::kPoint});
    std::vector<StreamId> streams;
    const auto key = [&random] { return "key" + std::to_string(random.Uniform(300)); };
    for (int step = 0; step < 250; ++step) {
      const uint64_t dice = random.Uniform(100);
      kv::WriteBatch batch;
      if (dice < 20) {
        streams.push_back(
            home.Put(TextBytes(random.Uniform(50), 1000 + random.Uniform(100000))).id);
      } else if (dice < 30 && !streams.empty()) {
        const size_t index = random.Uniform(streams.size());
        REQUIRE(home.store->Delete(streams[index]).ok());
        streams.erase(streams.begin() + static_cast<ptrdiff_t>(index));
      } else if (dice < 85) {
        for (uint64_t i = random.Uniform(20); i > 0; --i) {
          const kv::SpaceId space = random.Uniform(4) == 0 ? points : names;
          if (random.Uniform(4) == 0) {
            batch.Delete(space, key());
          } else {
            batch.Put(space, key(), std::string(random.Uniform(2000), 'v'));
          }
        }
        Write(*home.kv, batch,
              random.Uniform(3) == 0 ? kv::Durability::kAsync : kv::Durability::kSync);
      } else if (dice < 88) {
        const std::string a = key();
        const std::string b = key();
        batch.DeleteRange(names, {std::min(a, b), std::max(a, b)});
        Write(*home.kv, batch);
      } else if (dice < 89) {  // Longer than a container.
        batch.Put(names, key(), std::string(3u << 20, 'x'));
        const Bytes noise = RandomBytes(random.Next64(), 2u << 20);
        batch.Put(names, key(), {reinterpret_cast<const char*>(noise.data()), noise.size()});
        Write(*home.kv, batch);
      } else if (dice < 96) {
        home.Collect(0.9);
      } else {
        home.Open();
      }
    }
    home.Check();
    // And the store that it makes is the same store.
    MetadataReport report;
    const std::unique_ptr<kv::Store> made = Rebuilt(home.options, &report);
    CHECK(report.streams == streams.size());
    std::map<StreamId, Bytes> contents;
    home.Open();
    for (const StreamId& id : streams) contents[id] = home.Get(id);
    home.store.reset();
    StoreOptions options = home.options;
    options.kv = made.get();
    {
      auto opened = Store::Open(options);
      INFO(opened.status());
      REQUIRE(opened.ok());
      for (const auto& [id, content] : contents) REQUIRE(*Get(**opened, id) == content);
      const auto verified = (*opened)->Verify({});
      REQUIRE(verified.ok());
      CHECK(verified->streams.empty());
      REQUIRE(Put(**opened, RandomBytes(1, 50000)).ok());
      REQUIRE((*opened)->CollectGarbage({.progress = nullptr}).ok());
      for (const auto& [id, content] : contents) REQUIRE(*Get(**opened, id) == content);
    }
    CheckRebuild(options);
  }
}

TEST_CASE("a durable commit is one flush of the device, and none of the kv store") {
  test::CrashKv kv;
  const std::unique_ptr<kv::Store> kv_store = kv.Open();
  JournaledHome home;
  home.options.kv = kv_store.get();
  home.options.journal = GENERATE(true, false);
  home.Open();
  home.Put(RandomBytes(0, 4096));  // Opens a container.
  const uint64_t flushes = home.store->Stats().device_flushes;
  const uint64_t syncs = kv.sync_count();
  for (uint64_t i = 1; i <= 20; ++i) home.Put(RandomBytes(i, 4096));
  CHECK(home.store->Stats().device_flushes - flushes == 20);
  CHECK(kv.sync_count() - syncs == (home.options.journal ? 0 : 20));
  home.store.reset();
}

TEST_CASE("what a power cut takes from the kv store comes back from the journal") {
  auto kv = std::make_unique<test::CrashKv>();
  JournaledHome home;
  std::vector<StreamInfo> streams;
  {
    const std::unique_ptr<kv::Store> kv_store = kv->Open();
    home.options.kv = kv_store.get();
    home.Open();
    for (uint64_t i = 0; i < 30; ++i) streams.push_back(home.Put(RandomBytes(i, 150000)));
    REQUIRE(home.store->Delete(streams.front().id).ok());
    // The device as it is now, while the kv store has not seen the end of the store.
    home.store.reset();
  }
  for (uint64_t seed = 0; seed < 20; ++seed) {
    kv = kv->PowerCut(seed);
    const std::unique_ptr<kv::Store> kv_store = kv->Open();
    home.options.kv = kv_store.get();
    home.Open();
    CHECK(absl::IsNotFound(home.store->Stat(streams.front().id).status()));
    for (uint64_t i = 1; i < streams.size(); ++i) {
      REQUIRE(home.Get(streams[i].id) == RandomBytes(i, 150000));
    }
    CHECK(home.Damages() == 0);
    home.Check();
  }
}

TEST_CASE("a read-only opening leaves a kv store that lacks commits as it is, and says so") {
  auto kv = std::make_unique<test::CrashKv>();
  JournaledHome home;
  bool warned = false;
  home.options.log = [&warned](LogLevel level, std::string_view line) {
    warned = warned || (level == LogLevel::kWarning &&
                        line.find("before the store is opened for writing") != line.npos);
  };
  int times_warned = 0;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    {
      const std::unique_ptr<kv::Store> kv_store = kv->Open();
      home.options.kv = kv_store.get();
      home.options.read_only = false;
      home.Open();
      for (uint64_t i = 0; i < 12; ++i) home.Put(RandomBytes(seed * 12 + i, 4096));
      home.store.reset();
    }
    kv = kv->PowerCut(seed);
    const std::unique_ptr<kv::Store> kv_store = kv->Open();
    home.options.kv = kv_store.get();
    const KvContent before = LoggedContent(*kv_store);
    const uint64_t version = kv_store->version();
    warned = false;
    home.options.read_only = true;
    home.Open();
    const auto seen = home.store->List({}, 1000);
    REQUIRE(seen.ok());
    for (const StreamInfo& stream : *seen) CHECK(home.Get(stream.id).size() == 4096);
    home.store.reset();
    CHECK(kv_store->version() == version);
    CHECK(LoggedContent(*kv_store) == before);
    const bool said = warned;
    times_warned += said ? 1 : 0;

    home.options.read_only = false;
    home.Open();
    const auto all = home.store->List({}, 1000);
    REQUIRE(all.ok());
    CHECK(all->size() == 12 * (seed + 1));
    CHECK((seen->size() < all->size()) == said);
    home.Check();
  }
  CHECK(times_warned > 0);
}

TEST_CASE("where the device lost what the kv store kept, the journal is made whole") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  for (uint64_t round = 0; round < 10; ++round) {
    auto disk = std::make_unique<block::FaultDisk>(
        block::FaultDiskOptions{.block_count = (64u << 20) / 4096, .seed = seed + round});
    const std::unique_ptr<kv::Store> kv = kv::CreateMemoryStore();
    StoreOptions options;
    options.kv = kv.get();
    options.container_bytes = 1u << 20;
    options.journal = true;
    const kv::SpaceId names = *kv->OpenSpace("names", {});
    {
      const std::unique_ptr<block::Device> device = disk->Open();
      options.device = device.get();
      auto store = Store::Open(options);
      REQUIRE(store.ok());
      PutKey(*kv, names, "durable", "1");
      for (int i = 0; i < 30; ++i) {
        kv::WriteBatch batch;
        batch.Put(names, "async" + std::to_string(i), std::string(5000, 'a'));
        Write(*kv, batch, kv::Durability::kAsync);
      }
      disk->CutPowerAfter(0);
    }
    disk = disk->PowerCut(seed + round);
    const std::unique_ptr<block::Device> device = disk->Open();
    options.device = device.get();
    {
      auto store = Store::Open(options);
      INFO(store.status());
      REQUIRE(store.ok());
      PutKey(*kv, names, "after", "2");
    }
    CHECK(LoggedContent(*kv)["names"].size() == 32);
    CheckRebuild(options, /*nothing_lost=*/false);
  }
}

TEST_CASE("garbage collection drops what a checkpoint replaces, and the room comes back") {
  JournaledHome home;
  home.options.journal_checkpoint_bytes = 64u << 10;
  home.Open();
  const kv::SpaceId names = *home.kv->OpenSpace("names", {});
  const StreamInfo kept = home.Put(RandomBytes(1, 200000));
  for (int round = 0; round < 8; ++round) {
    for (int i = 0; i < 200; ++i) {
      const Bytes noise = RandomBytes(static_cast<uint64_t>(round * 1000 + i), 5000);
      PutKey(*home.kv, names, "k" + std::to_string(i % 10),
             {reinterpret_cast<const char*>(noise.data()), noise.size()});
    }
    home.Collect();
  }
  home.Collect();
  CHECK(home.store->Stats().container_bytes <= 4u << 20);
  const uint64_t containers = home.store->Stats().container_count;
  CHECK(home.Collect().containers_freed <= 2);
  CHECK(home.store->Stats().container_count <= containers);
  CHECK(home.Get(kept.id) == RandomBytes(1, 200000));
  CHECK(home.Damages() == 0);
  home.Check();
}

TEST_CASE("on a full device deleting and collecting work, and the journal stays whole") {
  JournaledHome home(12u << 20);
  home.Open();
  std::vector<StreamId> streams;
  for (uint64_t i = 0;; ++i) {
    const absl::StatusOr<StreamInfo> info = Put(*home.store, RandomBytes(i, 200000));
    if (!info.ok()) {
      CHECK(absl::IsResourceExhausted(info.status()));
      break;
    }
    streams.push_back(info->id);
    REQUIRE(i < 200);
  }
  REQUIRE(streams.size() > 10);
  const Bytes last = home.Get(streams.back());
  while (streams.size() > 1) {
    REQUIRE(home.store->Delete(streams.front()).ok());
    streams.erase(streams.begin());
  }
  CHECK(home.Collect().containers_freed > 3);
  REQUIRE(home.Get(streams.back()) == last);
  home.Put(RandomBytes(1000, 1u << 20));
  home.Check();
}

TEST_CASE("a store without a journal gets one, and keeps it") {
  JournaledHome home;
  home.options.journal = false;
  home.Open();
  const StreamInfo before = home.Put(RandomBytes(1, 100000));
  home.store.reset();
  MetadataReport report;
  StoreOptions options = home.options;
  const std::unique_ptr<kv::Store> made = kv::CreateMemoryStore();
  options.kv = made.get();
  CHECK(absl::IsFailedPrecondition(RebuildMetadata(options, nullptr).status()));

  home.options.journal = true;
  home.Open();
  home.options.journal = false;
  home.Check();
  home.Open();
  home.Put(RandomBytes(2, 100000));
  CHECK(home.Get(before.id) == RandomBytes(1, 100000));
  home.Check();
}

TEST_CASE("while a journaled store is closed its kv store takes nothing that it would miss") {
  JournaledHome home;
  home.Open();
  const kv::SpaceId names = *home.kv->OpenSpace("names", {});
  home.store.reset();
  kv::WriteBatch batch;
  batch.Put(names, "k", "v");
  CHECK(absl::IsFailedPrecondition(home.kv->Write(batch, kv::Durability::kSync)));
  home.Open();
  CHECK(home.kv->Write(batch, kv::Durability::kSync).ok());
  home.Check();
}

TEST_CASE(
    "a damaged part of the journal is named, the rest comes back, and a collection heals it") {
  JournaledHome home;
  home.Open();
  const kv::SpaceId names = *home.kv->OpenSpace("names", {});
  for (int i = 0; i < 20; ++i) PutKey(*home.kv, names, "k" + std::to_string(i), "value");
  home.Collect();  // Seals.
  home.store.reset();
  // Each commit has a block of its own; the container is in slot 0.
  const std::unique_ptr<block::Channel> channel = *home.device->OpenChannel({.queue_depth = 1});
  Bytes block(4096);
  bool damaged = false;
  for (uint64_t lba = (1u << 20) / 4096 + 1; lba < (2u << 20) / 4096 && !damaged; ++lba) {
    REQUIRE(block::ReadBlocking(*channel, block::Lba{lba}, block).ok());
    if (LoadLe32(block.data()) != 0x4E475253 || block[7] != std::byte{2}) continue;
    if (lba < (1u << 20) / 4096 + 5) continue;
    block[70] ^= std::byte{1};
    REQUIRE(block::WriteBlocking(*channel, block::Lba{lba}, block).ok());
    damaged = true;
  }
  REQUIRE(damaged);
  MetadataReport report;
  const auto made = Rebuilt(home.options, &report);
  CHECK(report.lost.size() >= 2);  // The place, and the number of the commit.
  CHECK(LoggedContent(*made)["names"].size() == 19);

  home.Open();
  CHECK(home.Damages() == 1);
  home.Collect();
  home.store.reset();
  CheckRebuild(home.options, /*nothing_lost=*/false);
}

TEST_CASE("a directory without its metadata says what to do, and that brings everything back") {
  const block::TempFile folder;
  DirectoryOptions options;
  options.path = folder.folder() + "/store";
  options.max_size_bytes = 64u << 20;
  StreamId id;
  {
    auto directory = Directory::Open(options);
    REQUIRE(directory.ok());
    const auto info = Put((*directory)->store(), TextBytes(1, 300000));
    REQUIRE(info.ok());
    id = info->id;
    const kv::SpaceId names = *(*directory)->kv().OpenSpace("names", {});
    PutKey((*directory)->kv(), names, "monday", id.ToHex());
    CHECK(absl::IsFailedPrecondition(Directory::RebuildMetadata(options, nullptr).status()));
  }
  std::filesystem::remove_all(options.path + "/meta");
  const absl::Status missing = Directory::Open(options).status();
  INFO(missing);
  CHECK(std::string(missing.message()).find("rebuild-metadata") != std::string::npos);
  for (int i = 0; i < 2; ++i) {  // The second time there is a kv store already, which is kept.
    const auto report = Directory::RebuildMetadata(options, nullptr);
    INFO(report.status());
    REQUIRE(report.ok());
    CHECK(report->lost.empty());
    CHECK(report->streams == 1);
    auto directory = Directory::Open(options);
    INFO(directory.status());
    REQUIRE(directory.ok());
    REQUIRE(*Get((*directory)->store(), id) == TextBytes(1, 300000));
    const kv::SpaceId names = *(*directory)->kv().OpenSpace("names", {});
    CHECK(**(*directory)->kv().NewSnapshot()->Get(names, "monday") == id.ToHex());
  }
  CHECK(std::filesystem::exists(options.path + "/meta.old"));
}

// A kill after the footer and before the kv store knows of it: nothing may follow what that footer
// lists, or a rebuild would not see it.
TEST_CASE("a container with a footer that the kv store takes for open is not written to again") {
  const block::TempFile folder;
  DirectoryOptions options;
  options.path = folder.folder() + "/store";
  options.max_size_bytes = 64u << 20;
  const auto put = [&](uint64_t seed) {
    auto directory = Directory::Open(options);
    REQUIRE(directory.ok());
    const auto info = Put((*directory)->store(), TextBytes(seed, 300000));
    REQUIRE(info.ok());
    return info->id;
  };
  put(1);
  const std::string meta = options.path + "/meta";
  std::filesystem::copy(meta, meta + ".before", std::filesystem::copy_options::recursive);
  {
    auto directory = Directory::Open(options);
    REQUIRE(directory.ok());
    REQUIRE((*directory)->store().CollectGarbage({}).ok());  // Closes the open container.
  }
  std::filesystem::remove_all(meta);
  std::filesystem::rename(meta + ".before", meta);
  const StreamId id = put(2);

  std::filesystem::remove_all(meta);
  const auto report = Directory::RebuildMetadata(options, nullptr);
  REQUIRE(report.ok());
  CHECK(report->lost.empty());
  CHECK(report->streams == 2);
  auto directory = Directory::Open(options);
  REQUIRE(directory.ok());
  CHECK(*Get((*directory)->store(), id) == TextBytes(2, 300000));
}

}  // namespace strata::dedup
