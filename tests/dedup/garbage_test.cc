// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <string>

#include "fixture.h"

namespace strata::dedup {

TEST_CASE("garbage collection frees what no stream needs and keeps the rest") {
  MemoryHome home;
  home.Open();
  const uint64_t seed = test::Seed();
  std::map<StreamId, Bytes> kept;
  std::vector<StreamId> dropped;
  for (int i = 0; i < 12; ++i) {
    Bytes data = RandomBytes(seed + i, 1500000);
    const StreamId id = home.Put(data).id;
    if (i % 3 == 0) {
      kept[id] = std::move(data);
    } else {
      dropped.push_back(id);
    }
  }
  const Stats before = home.store->Stats();
  for (const StreamId& id : dropped) REQUIRE(home.store->Delete(id).ok());
  const GarbageReport report = home.Collect();
  CHECK(report.streams_marked == kept.size());
  CHECK(report.containers_freed > 8);
  const Stats after = home.store->Stats();
  CHECK(after.container_bytes + (10u << 20) < before.container_bytes);
  CHECK(after.chunk_count < before.chunk_count / 2);
  for (int round = 0; round < 2; ++round) {
    for (const auto& [id, data] : kept) CHECK(home.Get(id) == data);
    CHECK(home.Damages() == 0);
    home.Open();
  }
  // What was dropped can be stored again.
  const Bytes again = RandomBytes(seed + 1, 1500000);
  CHECK(home.Get(home.Put(again).id) == again);
}

TEST_CASE("live chunks move out of containers that are mostly dead") {
  MemoryHome home;
  home.Open();
  const uint64_t seed = test::Seed();
  std::map<StreamId, Bytes> kept;
  std::vector<StreamId> dropped;
  // Streams of a tenth of a container each: every container holds some that stay.
  for (int i = 0; i < 100; ++i) {
    Bytes data = RandomBytes(seed + i, 100000);
    const StreamId id = home.Put(data).id;
    if (i % 4 == 0) {
      kept[id] = std::move(data);
    } else {
      dropped.push_back(id);
    }
  }
  for (const StreamId& id : dropped) REQUIRE(home.store->Delete(id).ok());
  const GarbageReport report = home.Collect();
  CHECK(report.containers_freed >= 6);
  CHECK(report.live_bytes_copied > 1000000);
  CHECK(report.live_bytes_copied < 4000000);
  for (const auto& [id, data] : kept) CHECK(home.Get(id) == data);
  CHECK(home.Damages() == 0);
  home.Open();
  for (const auto& [id, data] : kept) CHECK(home.Get(id) == data);
  // What was the open container is closed by now, and has its dead chunks collected too; then there
  // is nothing left to do.
  home.Collect();
  CHECK(home.Collect().containers_freed == 0);
  for (const auto& [id, data] : kept) CHECK(home.Get(id) == data);
}

TEST_CASE("a collection at the default threshold frees 95 % of the dead bytes") {
  const uint64_t seed = test::Seed();
  // One stream in so many stays; a container holds ten.
  for (const int kept_of : {2, 3, 10, 50}) {
    INFO("STRATA_SEED=" << seed << " one of " << kept_of);
    MemoryHome home;
    home.Open();
    std::map<StreamId, Bytes> kept;
    std::vector<StreamId> dropped;
    uint64_t kept_bytes = 0;
    for (int i = 0; i < 300; ++i) {
      Bytes data = RandomBytes(seed + i, 100000);
      const StreamId id = home.Put(data).id;
      if (i % kept_of == 0) {
        kept_bytes += data.size();
        kept[id] = std::move(data);
      } else {
        dropped.push_back(id);
      }
    }
    const uint64_t all_bytes = home.store->Stats().container_bytes;
    for (const StreamId& id : dropped) REQUIRE(home.store->Delete(id).ok());
    home.Collect(GarbageOptions().rewrite_below_live_ratio);
    const Stats after = home.store->Stats();
    const auto dead = static_cast<double>(30000000 - kept_bytes);
    CHECK(static_cast<double>(after.unique_bytes) - static_cast<double>(kept_bytes) < 0.05 * dead);
    CHECK(static_cast<double>(all_bytes - after.container_bytes) > 0.95 * dead);
    for (const auto& [id, data] : kept) CHECK(home.Get(id) == data);
  }
}

TEST_CASE("a copy that the index does not know is not relied on after the known one is gone") {
  const uint64_t seed = test::Seed();
  const size_t chunk = 8192;
  MemoryHome home(128u << 20);
  home.options.container_bytes = 4u << 20;
  home.options.chunker = {.algorithm = ChunkAlgorithm::kFixed,
                          .min_bytes = chunk,
                          .avg_bytes = chunk,
                          .max_bytes = chunk};
  home.options.mode = Mode::kPostProcess;
  home.Open();
  const Bytes twice = RandomBytes(seed, 200 * chunk);
  const Bytes once = RandomBytes(seed + 1, 200 * chunk);
  Bytes both(once.size() + twice.size());
  std::copy(twice.begin(), twice.end(), std::copy(once.begin(), once.end(), both.begin()));
  const StreamId first = home.Put(both).id;
  home.Collect();  // Seals its container.
  const StreamId second = home.Put(twice).id;
  home.options.mode = Mode::kInline;
  home.Open();
  home.Put(once);  // Keeps half of the first container.
  REQUIRE(home.store->Delete(first).ok());
  REQUIRE(home.store->Delete(second).ok());
  CHECK(home.Collect(0.4).containers_freed > 0);  // The second copy goes, and the index entries.
  home.Open();
  const StreamId again = home.Put(both).id;
  const StreamId alone = home.Put(twice).id;
  home.Open();
  CHECK(home.Get(alone) == twice);
  home.Collect(0.9);
  home.Collect(1.0);
  CHECK(home.Get(again) == both);
  CHECK(home.Damages() == 0);
}

TEST_CASE("who relies on a chunk keeps the copy that is stored of it later") {
  const uint64_t seed = test::Seed();
  MemoryHome home(128u << 20);
  home.options.mode = Mode::kHybrid;
  home.options.metadata_cache_bytes = 1;  // One container's table.
  home.Open();
  const Bytes data = RandomBytes(seed, 600000);
  const StreamId first = home.Put(data).id;
  home.Collect();  // Seals the container; its table is in memory.
  std::unique_ptr<Writer> writer = home.store->NewWriter();
  REQUIRE(writer->Write(data).ok());
  // Another container's table takes its place, and the data is not known any more.
  const StreamId other = home.Put(RandomBytes(seed + 1, 3000000)).id;
  home.Collect();
  home.Get(other);
  const StreamInfo second = home.Put(data);
  REQUIRE(second.new_chunk_bytes > data.size() / 2);
  home.Put(RandomBytes(seed + 2, 3000000));
  REQUIRE(home.store->Delete(first).ok());
  REQUIRE(home.store->Delete(second.id).ok());
  home.Collect();
  const absl::StatusOr<StreamInfo> last = writer->Finish();
  REQUIRE(last.ok());
  writer.reset();
  home.Collect();
  home.Open();
  CHECK(home.Get(last->id) == data);
  CHECK(home.Damages() == 0);
}

TEST_CASE("a reader keeps what it reads from being collected") {
  MemoryHome home;
  home.Open();
  const Bytes data = RandomBytes(test::Seed(), 3000000);
  const StreamId id = home.Put(data).id;
  home.Put(RandomBytes(test::Seed() + 1, 3000000));
  auto reader = home.store->OpenReader(id);
  REQUIRE(reader.ok());
  REQUIRE(home.store->Delete(id).ok());
  home.Collect();
  Bytes back(data.size());
  REQUIRE((*reader)->Read(0, back).ok());
  CHECK(back == data);
  reader->reset();
  CHECK(home.Collect().containers_freed >= 2);
}

TEST_CASE("a writer keeps the duplicates it found from being collected") {
  MemoryHome home;
  home.Open();
  const Bytes data = RandomBytes(test::Seed(), 3000000);
  const StreamId id = home.Put(data).id;
  home.Put(RandomBytes(test::Seed() + 1, 3000000));
  const std::unique_ptr<Writer> writer = home.store->NewWriter();
  REQUIRE(writer->Write(data).ok());
  REQUIRE(home.store->Delete(id).ok());
  home.Collect();
  const auto info = writer->Finish();
  REQUIRE(info.ok());
  CHECK(home.Get(info->id) == data);
  CHECK(home.Damages() == 0);
}

TEST_CASE("an abandoned writer leaves garbage and nothing else") {
  MemoryHome home;
  home.Open();
  {
    const std::unique_ptr<Writer> writer = home.store->NewWriter();
    REQUIRE(writer->Write(RandomBytes(test::Seed(), 8000000)).ok());
    REQUIRE(writer->Prepare().ok());
  }
  CHECK(home.store->Stats().stream_count == 0);
  CHECK(home.Collect().containers_freed >= 7);
}

TEST_CASE("a full device takes deletions and collection, and then data again") {
  MemoryHome home(1u << 24);
  home.Open();
  const uint64_t seed = test::Seed();
  std::map<StreamId, Bytes> streams;
  for (int i = 0;; ++i) {
    REQUIRE(i < 200);
    Bytes data = RandomBytes(seed + i, 200000);
    const auto info = Put(*home.store, data);
    if (!info.ok()) {
      INFO(info.status());
      CHECK(absl::IsResourceExhausted(info.status()));
      break;
    }
    streams[info->id] = std::move(data);
  }
  CHECK(streams.size() > 50);
  for (const auto& [id, data] : streams) CHECK(home.Get(id) == data);
  // A tenth of each container goes: only copying makes room.
  int n = 0;
  for (auto it = streams.begin(); it != streams.end();) {
    if (n++ % 2 == 0) {
      REQUIRE(home.store->Delete(it->first).ok());
      it = streams.erase(it);
    } else {
      ++it;
    }
  }
  const GarbageReport report = home.Collect();
  CHECK(report.containers_freed > 4);
  for (const auto& [id, data] : streams) CHECK(home.Get(id) == data);
  CHECK(home.Damages() == 0);
  const Bytes data = RandomBytes(seed + 1000, 1000000);
  CHECK(home.Get(home.Put(data).id) == data);
}

TEST_CASE("garbage collection reports progress, can be cancelled, and goes on the next time") {
  MemoryHome home;
  home.Open();
  const uint64_t seed = test::Seed();
  // A third of each container lives.
  std::vector<StreamId> ids;
  for (int i = 0; i < 300; ++i) ids.push_back(home.Put(RandomBytes(seed + i, 100000)).id);
  for (int i = 0; i < 300; ++i) {
    if (i % 3 != 0) REQUIRE(home.store->Delete(ids[i]).ok());
  }
  std::map<std::string, int> phases;
  const auto cancelled = home.store->CollectGarbage({.progress = [&](const Progress& progress) {
    ++phases[std::string(progress.phase)];
    return progress.phase != "sweep" || progress.done < 9;
  }});
  CHECK(absl::IsCancelled(cancelled.status()));
  CHECK(phases["mark"] == 100);
  CHECK(phases["sweep"] == 9);
  CHECK(home.Collect().containers_freed > 5);
  for (int i = 0; i < 300; i += 3) CHECK(home.Get(ids[i]) == RandomBytes(seed + i, 100000));
  CHECK(absl::IsInvalidArgument(
      home.store->CollectGarbage({.rewrite_below_live_ratio = 1.5, .progress = nullptr}).status()));
  CHECK(absl::IsInvalidArgument(
      home.store
          ->CollectGarbage(
              {.progress = nullptr, .compress_as = {{.method = Compression::kGzip, .level = 4}}})
          .status()));
}

TEST_CASE("copies of a stream outlive it") {
  MemoryHome home;
  home.Open();
  const Bytes data = RandomBytes(test::Seed(), 4000000);
  const StreamId source = home.Put(data).id;
  const StreamId copy = home.store->NewStreamId();
  auto txn = home.kv->Begin();
  REQUIRE(home.store
              ->Commit(*txn, {.add = {}, .copy = {{source, copy}}, .remove = {source}},
                       kv::Durability::kSync)
              .ok());
  CHECK(home.store->Stats().stream_count == 1);
  home.Collect();
  CHECK(home.Get(copy) == data);
  txn = home.kv->Begin();
  CHECK(absl::IsNotFound(home.store->Commit(
      *txn, {.add = {}, .copy = {{source, home.store->NewStreamId()}}, .remove = {}},
      kv::Durability::kSync)));
}

namespace {

// What the store takes on the device: whole containers.
uint64_t TakenBytes(const MemoryHome& home) {
  return home.store->Stats().container_count * home.options.container_bytes;
}

GarbageReport CollectByDefault(MemoryHome& home) {
  const absl::StatusOr<GarbageReport> report = home.store->CollectGarbage({.progress = nullptr});
  INFO(report.status());
  REQUIRE(report.ok());
  return *report;
}

// Of many sizes, each compressible or not.
std::vector<StreamId> PutMixed(MemoryHome& home, uint64_t seed, int count) {
  std::vector<StreamId> ids;
  Random random(seed);
  for (int i = 0; i < count; ++i) {
    const size_t size = size_t{1} << (4 + random.Uniform(17));
    const uint64_t content = random.Next64();
    ids.push_back(home.Put(i % 2 == 0 ? TextBytes(content, size) : RandomBytes(content, size)).id);
  }
  return ids;
}

}  // namespace

TEST_CASE("a collection tells truly what it freed, and a second one finds nothing to do") {
  const uint64_t seed = test::Seed();
  const auto twice = [](MemoryHome& home) {
    const uint64_t before = TakenBytes(home);
    const GarbageReport first = CollectByDefault(home);
    const uint64_t between = TakenBytes(home);
    CHECK(first.freed_bytes == before - std::min(before, between));
    for (int round = 0; round < 3; ++round) {
      const GarbageReport again = CollectByDefault(home);
      CHECK(again.containers_freed == 0);
      CHECK(again.live_bytes_copied == 0);
      CHECK(again.freed_bytes == 0);
      CHECK(TakenBytes(home) == between);
      if (round == 1) home.Open();
    }
    CHECK(home.Damages() == 0);
  };
  for (const bool journal : {false, true}) {
    for (const bool deferred : {false, true}) {
      INFO("STRATA_SEED=" << seed << " journal " << journal << " deferred " << deferred);
      MemoryHome home(256u << 20);
      home.options.journal = journal;
      home.options.defer_compression = deferred;
      home.Open();
      twice(home);  // Nothing is there yet.
      std::vector<StreamId> ids = PutMixed(home, seed, 150);
      twice(home);
      for (size_t i = 0; i < ids.size(); i += 3) REQUIRE(home.store->Delete(ids[i]).ok());
      twice(home);
      home.Open();  // What follows is in other containers than what a collection left open.
      ids = PutMixed(home, seed + 1, 40);
      home.Open();
      twice(home);
      REQUIRE(home.store->Delete(ids.back()).ok());
      twice(home);
    }
  }
}

TEST_CASE("containers that are full of chunks, not of bytes, are not moved in vain") {
  MemoryHome home(64u << 20);
  home.options.container_bytes = 8u << 20;
  home.options.chunker = {
      .algorithm = ChunkAlgorithm::kFixed, .min_bytes = 64, .avg_bytes = 64, .max_bytes = 64};
  home.Open();
  const Bytes data = RandomBytes(test::Seed(), 64 * 70000);  // Two containers, and some.
  const StreamId id = home.Put(data).id;
  CHECK(CollectByDefault(home).containers_freed == 0);
  CHECK(CollectByDefault(home).containers_freed == 0);
  CHECK(home.Get(id) == data);
}

TEST_CASE("a quarter of each container dead is more than a collection leaves") {
  const uint64_t seed = test::Seed();
  MemoryHome home(128u << 20);
  home.Open();
  uint64_t live_bytes = 0;
  std::vector<StreamId> dropped;
  for (int i = 0; i < 400; ++i) {
    const StreamInfo info = home.Put(RandomBytes(seed + i, 100000));
    if (i % 4 == 0) {
      dropped.push_back(info.id);
    } else {
      live_bytes += info.new_stored_bytes;
    }
  }
  for (const StreamId& id : dropped) REQUIRE(home.store->Delete(id).ok());
  CHECK(CollectByDefault(home).freed_bytes > 0);
  INFO("STRATA_SEED=" << seed << " " << TakenBytes(home) << " bytes for " << live_bytes);
  CHECK(TakenBytes(home) * 10 <= live_bytes * 13);
}

TEST_CASE("copies that were stored again elsewhere are not kept for their streams") {
  const uint64_t seed = test::Seed();
  MemoryHome home(128u << 20);
  home.options.mode = Mode::kPostProcess;
  home.Open();
  const Bytes data = RandomBytes(seed, 6000000);
  std::vector<StreamId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(home.Put(data).id);
  CollectByDefault(home);
  CHECK(TakenBytes(home) * 10 <= 13 * data.size() + 10 * home.options.container_bytes);
  for (const StreamId& id : ids) CHECK(home.Get(id) == data);
  CHECK(home.Damages() == 0);
}

TEST_CASE("after heavy churn the default collection brings the store within 1.3 times what lives") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  MemoryHome home(256u << 20);
  home.options.journal = true;
  home.Open();
  struct Kept {
    StreamId id;
    uint64_t content;
    size_t size;
  };
  std::vector<Kept> kept;
  Random random(seed);
  uint64_t stored_bytes = 0;
  for (int round = 0; round < 50; ++round) {
    // A random half goes, and as much comes.
    for (size_t i = 0; i < kept.size();) {
      if (random.Chance(0.5)) {
        REQUIRE(home.store->Delete(kept[i].id).ok());
        kept[i] = kept.back();
        kept.pop_back();
      } else {
        ++i;
      }
    }
    while (kept.size() < 120) {
      Kept next{{}, random.Next64(), 1000 + random.Uniform(300000)};
      next.id = home.Put(TextBytes(next.content, next.size)).id;
      kept.push_back(next);
    }
    if (round % 3 != 2 && round != 49) continue;
    CollectByDefault(home);
    // What the same streams take in a store of their own.
    if (round != 2 && round != 26 && round != 49) continue;
    MemoryHome fresh(256u << 20);
    fresh.options.journal = true;
    fresh.Open();
    for (const Kept& stream : kept) fresh.Put(TextBytes(stream.content, stream.size));
    stored_bytes = fresh.store->Stats().container_bytes;
    INFO("round " << round << ": " << TakenBytes(home) << " bytes for " << stored_bytes);
    CHECK(TakenBytes(home) * 10 <= stored_bytes * 13 + 10 * home.options.container_bytes);
  }
  for (const Kept& stream : kept) {
    REQUIRE(home.Get(stream.id) == TextBytes(stream.content, stream.size));
  }
  CHECK(home.Damages() == 0);
}

TEST_CASE("a removal that is cut short leaves nothing that a lookup relies on") {
  const uint64_t seed = test::Seed();
  MemoryHome home(128u << 20);
  home.options.container_bytes = 4u << 20;
  home.options.chunker = {
      .algorithm = ChunkAlgorithm::kFixed, .min_bytes = 512, .avg_bytes = 512, .max_bytes = 512};
  home.Open();
  home.Put(RandomBytes(seed, 10u << 20));
  const Bytes data = RandomBytes(seed + 1, 10u << 20);
  const StreamId dead = home.Put(data).id;
  home.Collect();
  REQUIRE(home.store->Delete(dead).ok());
  // Within the walk through the index, which takes several pages.
  uint64_t reports = 0;
  const auto cut = home.store->CollectGarbage({.progress = [&](const Progress& progress) {
    return progress.phase != "sweep" || ++reports < 2;
  }});
  REQUIRE(absl::IsCancelled(cut.status()));
  for (const bool reopened : {false, true}) {
    if (reopened) home.Open();
    const StreamId again = home.Put(data).id;
    home.Open();
    home.options.metadata_cache_bytes = 1;
    home.Open();
    CHECK(home.Get(again) == data);
    CHECK(home.Damages() == 0);
    REQUIRE(home.store->Delete(again).ok());
  }
  home.Collect();
  home.Collect();
  CHECK(home.Damages() == 0);
  CHECK(home.store->Stats().unique_bytes < 11u << 20);
}

}  // namespace strata::dedup
