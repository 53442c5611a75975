// SPDX-License-Identifier: Apache-2.0
//
// Compression that is left to garbage collection.
#include <algorithm>
#include <vector>

#include "fixture.h"
#include "format/codec.h"

namespace strata::dedup {
namespace {

constexpr size_t kSize = 20u << 20;

MemoryHome DeferringHome(uint64_t device_bytes = 128u << 20) {
  MemoryHome home(device_bytes);
  home.options.defer_compression = true;
  return home;
}

}  // namespace

TEST_CASE("deferred compression: stored as it comes, compressed by the next collection, once") {
  const uint64_t seed = test::Seed();
  for (const uint32_t workers : {0u, 2u}) {
    for (const bool encrypted : {false, true}) {
      INFO("STRATA_SEED=" << seed << " workers " << workers << " encrypted " << encrypted);
      MemoryHome home = DeferringHome();
      home.options.worker_threads = workers;
      if (encrypted) home.options.encryption_key = EncryptionKey{std::byte{7}};
      home.Open();
      const Bytes data = TextBytes(seed, kSize);
      const StreamId id = home.Put(data).id;
      REQUIRE(home.Get(id) == data);
      const Stats before = home.store->Stats();
      // The last region may be too short to be probed; then it is compressed at once.
      CHECK(before.deferred_bytes > kSize - kMinProbedBytes);
      CHECK(before.compressed_bytes > before.unique_bytes - kMinProbedBytes);

      home.Open();  // Also what was in the open container is known again.
      CHECK(home.store->Stats().deferred_bytes == before.deferred_bytes);
      const GarbageReport report = home.Collect();
      CHECK(report.deferred_bytes == before.deferred_bytes);
      CHECK(report.freed_bytes > kSize / 4);
      const Stats after = home.store->Stats();
      CHECK(after.deferred_bytes == 0);
      CHECK(after.unique_bytes == before.unique_bytes);
      CHECK(after.chunk_count == before.chunk_count);
      CHECK(after.compressed_bytes < before.compressed_bytes * 2 / 3);
      CHECK(home.Get(id) == data);
      CHECK(home.Damages() == 0);

      CHECK(home.Collect().deferred_bytes == 0);
      // The chunks are where duplicates are looked for.
      CHECK(home.Put(data).new_chunk_bytes == 0);
    }
  }
}

TEST_CASE("deferred compression: the fold compresses as well") {
  MemoryHome home = DeferringHome();
  home.options.mode = Mode::kPostProcess;
  home.Open();
  const Bytes data = TextBytes(test::Seed(), 8u << 20);
  home.Put(data);
  const StreamId id = home.Put(data).id;
  REQUIRE(home.store->FoldDuplicates({.progress = nullptr}).ok());
  const Stats after = home.store->Stats();
  CHECK(after.deferred_bytes == 0);
  CHECK(after.compressed_bytes < data.size() * 2 / 3);
  CHECK(home.Get(id) == data);
}

TEST_CASE("deferred compression: what a deleted stream left is not compressed but dropped") {
  const uint64_t seed = test::Seed();
  MemoryHome home = DeferringHome();
  home.Open();
  const StreamId dead = home.Put(TextBytes(seed, kSize)).id;
  REQUIRE(home.store->Delete(dead).ok());
  const GarbageReport report = home.Collect();
  CHECK(report.live_bytes_copied == 0);
  CHECK(report.deferred_bytes == 0);
  CHECK(home.store->Stats().container_count == 0);
}

TEST_CASE("deferred compression: nothing is deferred that would not shrink") {
  const uint64_t seed = test::Seed();
  MemoryHome home = DeferringHome();
  home.Open();
  home.Put(RandomBytes(seed, kSize));
  for (const size_t size : {1u, 100u, 5000u, 9000u}) home.Put(RandomBytes(seed + size, size));
  CHECK(home.store->Stats().deferred_bytes == 0);
  home.options.compression = Compression::kNone;
  home.Open();
  home.Put(TextBytes(seed, kSize));
  CHECK(home.store->Stats().deferred_bytes == 0);
}

TEST_CASE("deferred compression comes as the writer was told, however the store is opened") {
  MemoryHome home = DeferringHome();
  home.Open();
  const Bytes data = TextBytes(test::Seed(), kSize);
  const StreamId id = home.Put(data).id;
  home.options.compression = Compression::kNone;
  home.Open();
  CHECK(home.Collect().deferred_bytes > 0);
  const Stats after = home.store->Stats();
  CHECK(after.deferred_bytes == 0);
  CHECK(after.compressed_bytes < after.unique_bytes * 2 / 3);
  CHECK(home.Collect().containers_freed == 0);
  CHECK(home.Get(id) == data);
}

TEST_CASE("deferred compression: as the device fills, data is compressed as it comes") {
  const uint64_t seed = test::Seed();
  MemoryHome home = DeferringHome(64u << 20);
  home.Open();
  // Streams until the device is full, as it would be without deferring but for a quarter of it.
  uint64_t stored = 0;
  std::vector<StreamId> ids;
  for (uint64_t i = 0;; ++i) {
    const absl::StatusOr<StreamInfo> info = Put(*home.store, TextBytes(seed + i, 2u << 20));
    if (absl::IsResourceExhausted(info.status())) break;
    REQUIRE(info.ok());
    ids.push_back(info->id);
    stored += info->size_bytes;
  }
  const Stats full = home.store->Stats();
  CHECK(full.deferred_bytes > 30u << 20);
  CHECK(full.compressed_bytes < full.unique_bytes - (4u << 20));
  CHECK(stored > 64u << 20);
  // And the collection finds the room that it needs.
  CHECK(home.Collect().deferred_bytes > 30u << 20);
  CHECK(home.store->Stats().deferred_bytes == 0);
  for (size_t i = 0; i < ids.size(); ++i) {
    REQUIRE(home.Get(ids[i]) == TextBytes(seed + i, 2u << 20));
  }
  REQUIRE(Put(*home.store, TextBytes(seed + 1000, 2u << 20)).ok());
}

TEST_CASE("deferred compression: whoever admits containers is asked for many of them") {
  const uint64_t seed = test::Seed();
  MemoryHome home = DeferringHome();
  uint64_t most_bytes = 0;
  home.options.admit_space = [&most_bytes](uint64_t bytes, SpaceUse) -> absl::Status {
    most_bytes = std::max(most_bytes, bytes);
    if (bytes <= 4u << 20) return absl::OkStatus();
    return absl::ResourceExhaustedError("not as many");
  };
  home.Open();
  home.Put(TextBytes(seed, kSize));
  CHECK(home.store->Stats().deferred_bytes == 0);
  CHECK(most_bytes > 4u << 20);
}

TEST_CASE("deferred compression: opened without compression, what is copied is compressed") {
  const uint64_t seed = test::Seed();
  MemoryHome home = DeferringHome();
  home.Open();
  std::vector<StreamId> ids;
  for (uint64_t i = 0; i < 40; ++i) ids.push_back(home.Put(TextBytes(seed + i, 500000)).id);
  for (size_t i = 0; i < ids.size(); i += 2) REQUIRE(home.store->Delete(ids[i]).ok());
  home.options.compression = Compression::kNone;
  home.Open();
  const GarbageReport copied = home.Collect();
  CHECK(copied.deferred_bytes > 5000000);
  const Stats after = home.store->Stats();
  CHECK(after.deferred_bytes == 0);
  CHECK(after.compressed_bytes < after.unique_bytes * 2 / 3);
  for (size_t i = 1; i < ids.size(); i += 2) {
    REQUIRE(home.Get(ids[i]) == TextBytes(seed + i, 500000));
  }
}

TEST_CASE("deferred compression: what is compressed beside a writer is not compressed again") {
  const uint64_t seed = test::Seed();
  MemoryHome home = DeferringHome(256u << 20);
  home.Open();
  const Bytes data = TextBytes(seed, 60u << 20);
  const StreamId id = home.Put(data).id;
  uint64_t written = 0;
  std::vector<StreamId> beside;
  const absl::StatusOr<GarbageReport> report =
      home.store->CollectGarbage({.progress = [&](const Progress& now) {
        if (now.phase == "sweep") {
          beside.push_back(home.Put(TextBytes(seed + 1 + beside.size(), 100000)).id);
          written += 100000;
        }
        return true;
      }});
  REQUIRE(report.ok());
  CHECK(beside.size() > 50);
  // What was written, and perhaps the rest of a container.
  CHECK(home.store->Stats().deferred_bytes >= written);
  CHECK(home.store->Stats().deferred_bytes < written + (2u << 20));
  CHECK(home.Collect().deferred_bytes < written + (2u << 20));
  CHECK(home.store->Stats().deferred_bytes == 0);
  CHECK(home.Get(id) == data);
  for (size_t i = 0; i < beside.size(); ++i) {
    REQUIRE(home.Get(beside[i]) == TextBytes(seed + 1 + i, 100000));
  }
}

TEST_CASE("deferred compression: a collection that is cut short goes on where it was") {
  MemoryHome home = DeferringHome();
  home.Open();
  const Bytes data = TextBytes(test::Seed(), kSize);
  const StreamId id = home.Put(data).id;
  const uint64_t deferred = home.store->Stats().deferred_bytes;
  const absl::StatusOr<GarbageReport> cut = home.store->CollectGarbage(
      {.progress = [](const Progress& now) { return now.phase != "sweep" || now.done < 10; }});
  REQUIRE(absl::IsCancelled(cut.status()));
  const uint64_t left = home.store->Stats().deferred_bytes;
  CHECK(left > 0);
  CHECK(left < deferred);
  home.Open();
  CHECK(home.Get(id) == data);
  CHECK(home.Collect().deferred_bytes == left);
  CHECK(home.store->Stats().deferred_bytes == 0);
  CHECK(home.Get(id) == data);
  CHECK(home.Damages() == 0);
}

}  // namespace strata::dedup
