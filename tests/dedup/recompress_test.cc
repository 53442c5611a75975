// SPDX-License-Identifier: Apache-2.0
//
// A collection that compresses once more, and what it leaves alone.
#include <utility>

#include "fixture.h"

namespace strata::dedup {
namespace {

constexpr size_t kSize = 6u << 20;
constexpr CompressionSettings kHard = {Compression::kZstd, 12, 256u << 10};

// Words, of which zstd finds more the longer it looks.
Bytes Prose(uint64_t seed, size_t size) {
  Random random(seed);
  std::vector<Bytes> words;
  for (int i = 0; i < 3000; ++i) words.push_back(RandomBytes(seed + i, 3 + random.Uniform(9)));
  Bytes text;
  while (text.size() < size) {
    const Bytes& word = words[random.Uniform(words.size())];
    text.insert(text.end(), word.begin(), word.end());
  }
  text.resize(size);
  return text;
}

GarbageReport Recompress(MemoryHome& home, const CompressionSettings& settings = kHard) {
  const absl::StatusOr<GarbageReport> report =
      home.store->CollectGarbage({.progress = nullptr, .recompress = settings});
  INFO(report.status());
  REQUIRE(report.ok());
  return *report;
}

}  // namespace

TEST_CASE("recompression: what was compressed in a hurry is compressed harder, once") {
  const uint64_t seed = test::Seed();
  for (const bool encrypted : {false, true}) {
    for (const bool deferred : {false, true}) {
      INFO("STRATA_SEED=" << seed << " encrypted " << encrypted << " deferred " << deferred);
      MemoryHome home;
      home.options.defer_compression = deferred;
      if (encrypted) home.options.encryption_key = EncryptionKey{std::byte{7}};
      home.Open();
      const Bytes data = Prose(seed, kSize);
      const StreamId id = home.Put(data).id;
      const Stats before = home.store->Stats();
      const GarbageReport report = Recompress(home);
      CHECK((report.recompressed_bytes > 0) == !deferred);
      CHECK((report.deferred_bytes > 0) == deferred);
      const Stats after = home.store->Stats();
      CHECK(after.unique_bytes == before.unique_bytes);
      CHECK(after.compressed_bytes < before.compressed_bytes * 95 / 100);
      CHECK(home.Get(id) == data);
      CHECK(home.Damages() == 0);
      // Also the next opening, and an index that is made again, know what is done.
      for (int round = 0; round < 3; ++round) {
        CHECK(Recompress(home).recompressed_bytes == 0);
        CHECK(home.store->Stats().compressed_bytes == after.compressed_bytes);
        if (round == 0) home.Open();
        if (round == 1) REQUIRE(home.store->RebuildIndex(nullptr).ok());
      }
      CHECK(home.Get(id) == data);
      CHECK(home.Put(data).new_chunk_bytes == 0);
    }
  }
}

TEST_CASE("recompression leaves alone what does not shrink, and what its owner had otherwise") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  MemoryHome home;
  Bytes data = Prose(seed, kSize);
  SECTION("random bytes") { data = RandomBytes(seed, kSize); }
  SECTION("not compressed at all") { home.options.compression = Compression::kNone; }
  SECTION("compressed hard already") { home.options.compression_level = 9; }
  home.Open();
  home.Put(data);
  CHECK(Recompress(home).recompressed_bytes == 0);
  CHECK(Recompress(home).containers_freed == 0);
}

TEST_CASE("a collection that is not told to recompresses nothing") {
  MemoryHome home;
  home.Open();
  home.Put(Prose(test::Seed(), kSize));
  const GarbageReport report = home.Collect();
  CHECK(report.recompressed_bytes == 0);
  CHECK(report.containers_freed == 0);
}

TEST_CASE("recompression: settings out of range are named") {
  MemoryHome home;
  home.Open();
  for (const auto& [settings, name] :
       {std::pair(CompressionSettings{Compression::kZstd, 20, 1u << 20}, "compression_level is 20"),
        std::pair(CompressionSettings{Compression::kZstd, 9, 1024}, "region_bytes is 1024"),
        std::pair(CompressionSettings{static_cast<Compression>(9), 1, 1u << 20},
                  "compression 9 is not known")}) {
    const absl::Status status =
        home.store->CollectGarbage({.progress = nullptr, .recompress = settings}).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains(name));
  }
}

TEST_CASE("recompression on a full device ends without an error, and loses nothing") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  MemoryHome home(16u << 20);
  home.Open();
  std::vector<std::pair<StreamId, Bytes>> streams;
  for (uint64_t i = 0;; ++i) {
    Bytes data = Prose(seed + 10000 * i, 500000);
    const absl::StatusOr<StreamInfo> info = Put(*home.store, data);
    if (!info.ok()) break;
    streams.emplace_back(info->id, std::move(data));
  }
  const uint64_t before = home.store->Stats().compressed_bytes;
  Recompress(home);
  CHECK(home.store->Stats().compressed_bytes < before);
  for (const auto& [id, data] : streams) CHECK(home.Get(id) == data);
  CHECK(home.Damages() == 0);
}

}  // namespace strata::dedup
