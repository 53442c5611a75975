// SPDX-License-Identifier: Apache-2.0
//
// Inline, hybrid, post-process: the same streams come out, and the fold brings all to one size.
#include <map>
#include <string>

#include "fixture.h"

namespace strata::dedup {
namespace {

// Versions of one thing, each a little different from the one before.
std::vector<Bytes> Versions(uint64_t seed, int count, size_t size) {
  std::vector<Bytes> versions = {RandomBytes(seed, size)};
  for (int i = 1; i < count; ++i) {
    Bytes next = versions.back();
    const Bytes change = RandomBytes(seed + i, 50000);
    std::copy(change.begin(), change.end(), next.begin() + i * 300000);
    versions.push_back(std::move(next));
  }
  return versions;
}

}  // namespace

TEST_CASE("whatever the mode, the fold leaves each chunk once and every stream whole") {
  const uint64_t seed = test::Seed();
  const std::vector<Bytes> versions = Versions(seed, 5, 3000000);
  std::map<Mode, uint64_t> chunks_before;
  std::map<Mode, uint64_t> chunks_after;
  for (const Mode mode : {Mode::kInline, Mode::kHybrid, Mode::kPostProcess}) {
    INFO("STRATA_SEED=" << seed << " mode " << static_cast<int>(mode));
    MemoryHome home(128u << 20);
    home.options.mode = mode;
    home.options.metadata_cache_bytes = 1;  // One container's table.
    home.Open();
    std::vector<StreamId> ids;
    for (const Bytes& version : versions) {
      ids.push_back(home.Put(version).id);
      home.Open();  // What was recent is in memory no more.
    }
    chunks_before[mode] = home.store->Stats().chunk_count;
    const auto check = [&] {
      for (size_t i = 0; i < ids.size(); ++i) REQUIRE(home.Get(ids[i]) == versions[i]);
      CHECK(home.Damages() == 0);
    };
    check();
    const auto report = home.store->FoldDuplicates({.progress = nullptr});
    REQUIRE(report.ok());
    check();
    REQUIRE(home.store->FoldDuplicates({.rewrite_below_live_ratio = 1, .progress = nullptr}).ok());
    chunks_after[mode] = home.store->Stats().chunk_count;
    home.Open();
    check();
    if (mode == Mode::kPostProcess) {
      CHECK(report->duplicate_chunks > chunks_after[mode] * 2);
      CHECK(report->freed_bytes > 8000000);
    }
  }
  CHECK(chunks_before[Mode::kPostProcess] > 4 * chunks_before[Mode::kInline]);
  CHECK(chunks_before[Mode::kHybrid] > chunks_before[Mode::kInline]);
  CHECK(chunks_before[Mode::kHybrid] <= chunks_before[Mode::kPostProcess]);
  CHECK(chunks_after[Mode::kPostProcess] == chunks_after[Mode::kInline]);
  CHECK(chunks_after[Mode::kHybrid] == chunks_after[Mode::kInline]);
}

TEST_CASE("the fold finds equal chunks that lie in one container") {
  MemoryHome home;
  home.options.mode = Mode::kPostProcess;
  home.Open();
  const Bytes data = RandomBytes(test::Seed(), 300000);
  const StreamId ids[] = {home.Put(data).id, home.Put(data).id};
  CHECK(home.store->Stats().unique_bytes == 2 * data.size());
  CHECK(home.store->Stats().container_count == 1);
  const auto report = home.store->FoldDuplicates({.progress = nullptr});
  REQUIRE(report.ok());
  CHECK(report->duplicate_chunks > 0);
  CHECK(home.store->Stats().unique_bytes < data.size() * 11 / 10);
  home.Open();
  for (const StreamId& id : ids) CHECK(home.Get(id) == data);
  CHECK(home.Damages() == 0);
}

TEST_CASE("post-process asks the kv store nothing while it writes") {
  MemoryHome home;
  home.options.mode = Mode::kPostProcess;
  home.Open();
  const Bytes data = RandomBytes(test::Seed(), 2000000);
  home.Put(data);
  home.Open();
  const StreamInfo again = home.Put(data);
  CHECK(again.new_chunk_bytes == data.size());
  CHECK(home.store->Stats().index_reads == 0);
  CHECK(home.Get(again.id) == data);
}

TEST_CASE("the fold can be cancelled, goes on the next time, and keeps to its rate") {
  MemoryHome home(128u << 20);
  home.options.mode = Mode::kPostProcess;
  home.Open();
  const uint64_t seed = test::Seed();
  const Bytes data = RandomBytes(seed, 2500000);
  std::vector<StreamId> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(home.Put(data).id);
  const uint64_t before = home.store->Stats().container_count;
  uint64_t rounds = 0;
  for (bool more = true; more; ++rounds) {
    REQUIRE(rounds < 100);
    const auto report = home.store->FoldDuplicates({.progress = [](const Progress& progress) {
      return progress.phase != "sweep" || progress.done < 8;
    }});
    more = absl::IsCancelled(report.status());
    REQUIRE((more || report.ok()));
    for (const StreamId& id : ids) REQUIRE(home.Get(id) == data);
  }
  CHECK(rounds > 1);
  CHECK(home.store->Stats().container_count < before / 4);
  CHECK(home.Damages() == 0);
  CHECK(absl::IsInvalidArgument(
      home.store->FoldDuplicates({.rewrite_below_live_ratio = -1, .progress = nullptr}).status()));
}

TEST_CASE("garbage collection frees nearly all that is dead") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  MemoryHome home(256u << 20);
  home.options.compression = Compression::kNone;
  home.Open();
  std::map<StreamId, size_t> kept;
  std::vector<StreamId> dropped;
  uint64_t dead_bytes = 0;
  Random random(seed);
  for (int i = 0; i < 300; ++i) {
    const size_t size = 50000 + random.Uniform(400000);
    const StreamInfo info = home.Put(RandomBytes(seed + i, size));
    if (random.Uniform(2) == 0) {
      kept[info.id] = size;
    } else {
      dropped.push_back(info.id);
      dead_bytes += info.new_stored_bytes;
    }
  }
  const uint64_t before = home.store->Stats().container_bytes;
  for (const StreamId& id : dropped) REQUIRE(home.store->Delete(id).ok());
  home.Collect(GarbageOptions().rewrite_below_live_ratio);
  const uint64_t freed = before - home.store->Stats().container_bytes;
  INFO(dead_bytes << " bytes were dead, " << freed << " were freed");
  CHECK(freed * 100 >= dead_bytes * 95);
  CHECK(home.Damages() == 0);
}

TEST_CASE("asynchronous commits are there after Sync() and a power cut") {
  MemoryHome home;
  home.Open();
  const Bytes data = RandomBytes(test::Seed(), 300000);
  const std::unique_ptr<Writer> writer = home.store->NewWriter();
  REQUIRE(writer->Write(data).ok());
  const auto info = writer->Prepare();
  REQUIRE(info.ok());
  const auto txn = home.kv->Begin();
  REQUIRE(
      home.store
          ->Commit(*txn, {.add = {writer.get()}, .copy = {}, .remove = {}}, kv::Durability::kAsync)
          .ok());
  CHECK(home.Get(info->id) == data);
  REQUIRE(home.store->Sync().ok());
}

}  // namespace strata::dedup
