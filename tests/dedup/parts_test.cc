// SPDX-License-Identifier: Apache-2.0
//
// The parts that a store is made of, each by itself.
#include "fixture.h"
#include "index/metadata_cache.h"
#include "index/summary_filter.h"
#include "reading/container_table.h"
#include "reading/region_cache.h"

namespace strata::dedup {
namespace {

Fingerprint RandomFingerprint(Random& random) {
  Fingerprint fingerprint;
  random.Fill(fingerprint.bytes);
  return fingerprint;
}

ContainerContents SomeContents(Random& random, uint32_t chunks) {
  ContainerContents contents;
  contents.regions = {{1, 10, chunks / 2, RegionKind::kData},
                      {11, 20, chunks - chunks / 2, RegionKind::kData}};
  for (uint32_t i = 0; i < chunks; ++i) contents.chunks.push_back(RandomFingerprint(random));
  return contents;
}

}  // namespace

TEST_CASE("the summary filter forgets nothing and is seldom wrong, also when it has grown") {
  Random random(test::Seed());
  SummaryFilter filter(1);
  std::vector<Fingerprint> added;
  for (int i = 0; i < 500000; ++i) {
    added.push_back(RandomFingerprint(random));
    filter.Add(added.back());
  }
  for (const Fingerprint& fingerprint : added) REQUIRE(filter.MayContain(fingerprint));
  int wrong = 0;
  for (int i = 0; i < 100000; ++i) wrong += filter.MayContain(RandomFingerprint(random)) ? 1 : 0;
  CHECK(wrong < 5000);
  CHECK(filter.memory_bytes() < 500000 * 10 / 8 * 3);
}

TEST_CASE(
    "the filter of a tebibyte in chunks of 8 KiB fits 0.3 GiB beside the caches, at any size") {
  Random random(test::Seed());
  SummaryFilter grown(0);
  double most_bits_per_key = 0;
  for (size_t keys = 1; keys <= 40000000; ++keys) {
    grown.Add(RandomFingerprint(random));
    // From here on it grows by the same shares.
    if (keys < 10000000 || keys % 100000 != 1) continue;
    most_bits_per_key = std::max(most_bits_per_key, static_cast<double>(grown.memory_bytes()) * 8 /
                                                        static_cast<double>(keys));
  }
  constexpr double kChunks = (1ull << 40) / 8192;
  constexpr double kCaches = 32u << 20;  // What StoreOptions says by itself.
  CHECK(most_bits_per_key / 8 * kChunks + kCaches <= 0.3 * (1u << 30));
  CHECK(static_cast<double>(SummaryFilter(static_cast<size_t>(kChunks)).memory_bytes()) + kCaches <=
        0.3 * (1u << 30));
}

TEST_CASE(
    "the metadata cache finds places, gives up the least recently used, stays in its bounds") {
  Random random(test::Seed());
  MetadataCache cache(600000);
  std::vector<ContainerContents> containers;
  for (uint64_t id = 0; id < 10; ++id) {
    containers.push_back(SomeContents(random, 1000));
    cache.Insert(id, containers.back(), {});
    CHECK(cache.memory_bytes() <= 600000);
    // Container 0 is in use all the time.
    const auto place = cache.Find(containers[0].chunks[700]);
    REQUIRE(place.has_value());
    CHECK(place->place == ChunkPlace{0, 11, 20, 200});
    CHECK(place->region_chunks == containers[0].regions[1].chunk_count);
  }
  CHECK(cache.Holds(9));
  CHECK(!cache.Holds(1));
  CHECK(!cache.Find(containers[1].chunks[0]).has_value());
  CHECK(!cache.Find(RandomFingerprint(random)).has_value());
  for (uint64_t id = 0; id < 10; ++id) cache.Remove(id);
  CHECK(cache.memory_bytes() == 0);
  CHECK(!cache.Find(containers[0].chunks[0]).has_value());
}

TEST_CASE("the region cache keeps what is used") {
  RegionCache cache(10000);
  const auto region = [](size_t size) {
    auto made = std::make_shared<LoadedRegion>();
    made->raw_bytes = size;
    return made;
  };
  cache.Insert({1, 0}, region(4000));
  cache.Insert({2, 0}, region(4000));
  CHECK(cache.Find({1, 0}) != nullptr);
  cache.Insert({3, 0}, region(4000));
  CHECK(cache.Find({1, 0}) != nullptr);
  CHECK(cache.Find({2, 0}) == nullptr);
  CHECK(cache.Find({3, 1}) == nullptr);
  cache.Insert({4, 0}, region(20000));
  CHECK(cache.Find({4, 0}) == nullptr);
  CHECK(cache.memory_bytes() <= 10000);
}

TEST_CASE("slots are given out lowest first, and some are kept for those who may have them") {
  ContainerTable table(6);
  for (uint32_t i = 0; i < 4; ++i) CHECK(*table.AcquireSlot(2) == i);
  CHECK(absl::IsResourceExhausted(table.AcquireSlot(2).status()));
  CHECK(*table.AcquireSlot(0) == 4);
  table.ReleaseSlot(1);
  CHECK(table.free_slots() == 2);
  CHECK(*table.AcquireSlot(0) == 1);
  ContainerTable loaded(6);
  REQUIRE(loaded.Add(7, {.slot = 3}).ok());
  CHECK(absl::IsDataLoss(loaded.Add(8, {.slot = 6})));
  CHECK(loaded.free_slots() == 5);
  for (const uint32_t expected : {0u, 1u, 2u, 4u, 5u}) CHECK(*loaded.AcquireSlot(0) == expected);
}

TEST_CASE("what is pinned is not condemned, what is condemned cannot be pinned") {
  ContainerTable table(10);
  for (uint64_t id = 1; id <= 5; ++id) {
    REQUIRE(table.Add(id, {.slot = static_cast<uint32_t>(id), .sealed = true}).ok());
  }
  auto earlier = std::make_unique<PinSet>();
  PinSet active;
  table.Register(earlier.get());
  table.Register(&active);
  REQUIRE(table.PinIfUsable(1, earlier.get()));
  REQUIRE(table.PinIfUsable(2, &active));
  table.MarkDamaged(5, "a scratch");
  CHECK(!table.PinIfUsable(5, &active));
  CHECK(!table.PinIfUsable(99, &active));
  table.BeginCollection();
  table.Unregister(earlier.get());  // Ends during the collection: its pins stay.
  earlier.reset();
  CHECK(table.Condemn({1, 2, 3, 4, 5, 99}) == std::vector<uint64_t>{3, 4});
  CHECK(!table.PinIfUsable(3, &active));
  CHECK(!table.Usable(4));
  CHECK(table.Contains(4));
  table.EndCollection();
  CHECK(table.PinIfUsable(3, &active));
  table.BeginCollection();
  CHECK(table.Condemn({1, 2, 3}) == std::vector<uint64_t>{1});
  table.EndCollection();
  table.Unregister(&active);
}

}  // namespace strata::dedup
