// SPDX-License-Identifier: Apache-2.0
//
// How garbage collection compresses what it copies: as the data came.
#include <array>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "fixture.h"
#include "format/cipher.h"
#include "format/region_format.h"
#include "reading/region_cache.h"
#include "strata/block/blocking.h"

namespace strata::dedup {
namespace {

// Words, which a higher level compresses further.
Bytes WordBytes(uint64_t seed, size_t size) {
  Random random(seed);
  Random vocabulary(7);
  std::vector<std::string> words(2000);
  for (std::string& word : words) {
    for (size_t i = 3 + vocabulary.Uniform(8); i > 0; --i) {
      word += static_cast<char>('a' + vocabulary.Uniform(26));
    }
    word += ' ';
  }
  Bytes bytes;
  while (bytes.size() < size) {
    const std::string& word = words[random.Uniform(words.size())];
    const auto* const begin = reinterpret_cast<const std::byte*>(word.data());
    bytes.insert(bytes.end(), begin, begin + word.size());
  }
  bytes.resize(size);
  return bytes;
}

Bytes DeviceBytes(block::Device& device) {
  const block::Geometry geometry = device.geometry();
  Bytes bytes(geometry.block_count * geometry.block_size_bytes);
  const auto channel = device.OpenChannel({.queue_depth = 2});
  REQUIRE(channel.ok());
  REQUIRE(block::ReadBlocking(**channel, block::Lba{0}, bytes).ok());
  return bytes;
}

// Headers of the regions of chunks that lie on the device, what was freed among them where a device
// does not erase.
std::vector<RegionHeader> DataRegions(std::span<const std::byte> device) {
  std::vector<RegionHeader> headers;
  for (size_t at = kDataOffsetBytes; at + kRegionHeaderBytes <= device.size(); at += kUnitBytes) {
    const absl::StatusOr<RegionHeader> header = DecodeRegionHeader(device.subspan(at));
    if (header.ok() && header->kind == RegionKind::kData) headers.push_back(*header);
  }
  return headers;
}

// Streams of a tenth of a container, two of three deleted, in a store that is opened as `later`
// for its collection.
struct Thinned {
  Thinned(uint64_t seed, const CompressionSettings& first, const CompressionSettings& later)
      : home(64u << 20) {
    Use(first);
    std::vector<StreamId> dropped;
    for (uint64_t i = 0; i < 90; ++i) {
      Bytes data = WordBytes(seed + i, 200000);
      const StreamId id = home.Put(data).id;
      if (i % 3 == 0) {
        kept[id] = std::move(data);
      } else {
        dropped.push_back(id);
      }
    }
    for (const StreamId& id : dropped) REQUIRE(home.store->Delete(id).ok());
    Use(later);
  }

  void Use(const CompressionSettings& settings) {
    home.options.compression = settings.method;
    home.options.compression_level = settings.level;
    home.options.region_bytes = settings.region_bytes;
    home.Open();
  }
  void Check() {
    for (const auto& [id, data] : kept) REQUIRE(home.Get(id) == data);
    CHECK(home.Damages() == 0);
  }

  MemoryHome home;
  std::map<StreamId, Bytes> kept;
};

}  // namespace

TEST_CASE("a collection compresses as the data came, whatever the opening says") {
  const uint64_t seed = test::Seed();
  const CompressionSettings dense{Compression::kZstd, 9, 256u << 10};
  const CompressionSettings quick{Compression::kLz4, 0, 64u << 10};
  const CompressionSettings none{Compression::kNone, 0, 128u << 10};
  const std::pair<CompressionSettings, CompressionSettings> cases[] = {
      {dense, none}, {dense, CompressionSettings()}, {quick, dense}, {none, dense}};
  for (const auto& [first, later] : cases) {
    INFO("STRATA_SEED=" << seed << " from " << static_cast<int>(first.method) << " to "
                        << static_cast<int>(later.method));
    Thinned as_told(seed, first, first);
    Thinned otherwise(seed, first, later);
    const GarbageReport expected = as_told.home.Collect();
    CHECK(expected.containers_freed > 3);
    CHECK(otherwise.home.Collect().live_bytes_copied == expected.live_bytes_copied);
    const Stats wanted = as_told.home.store->Stats();
    CHECK(otherwise.home.store->Stats().compressed_bytes == wanted.compressed_bytes);
    otherwise.Check();
    size_t told = 0;
    for (const RegionHeader& header : DataRegions(DeviceBytes(*otherwise.home.device))) {
      CHECK(header.settings == first);
      ++told;
    }
    CHECK(told > 10);
  }
}

TEST_CASE("where the collection is told how to compress, copies are compressed so") {
  const uint64_t seed = test::Seed();
  Thinned thinned(seed, CompressionSettings(), CompressionSettings());
  const uint64_t before = thinned.home.store->Stats().compressed_bytes;
  const auto report = thinned.home.store->CollectGarbage(
      {.progress = nullptr, .compress_as = {{Compression::kNone, 0, 64u << 10}}});
  REQUIRE(report.ok());
  CHECK(thinned.home.store->Stats().compressed_bytes * 3 > before);
  CHECK(thinned.home.store->Stats().compressed_bytes == thinned.home.store->Stats().unique_bytes);
  thinned.Check();
}

TEST_CASE("a region that is needed whole is copied as it is, encrypted under another nonce") {
  const uint64_t seed = test::Seed();
  for (const bool encrypted : {false, true}) {
    INFO("STRATA_SEED=" << seed << " encrypted " << encrypted);
    MemoryHome home(64u << 20);
    home.options.compression_level = 9;
    if (encrypted) home.options.encryption_key = EncryptionKey{std::byte{7}};
    home.Open();
    std::map<StreamId, Bytes> kept;
    std::vector<StreamId> dropped;
    // Each stream fills regions of its own.
    for (uint64_t i = 0; i < 12; ++i) {
      Bytes data = WordBytes(seed + i, 1200000);
      const StreamId id = home.Put(data).id;
      if (i % 2 == 0) {
        kept[id] = std::move(data);
      } else {
        dropped.push_back(id);
      }
    }
    for (const StreamId& id : dropped) REQUIRE(home.store->Delete(id).ok());
    const auto seals_and_bodies = [&](std::set<std::string>* seals, std::set<uint32_t>* bodies) {
      const Bytes device = DeviceBytes(*home.device);
      for (size_t at = kDataOffsetBytes; at < device.size(); at += kUnitBytes) {
        const auto rest = std::span<const std::byte>(device).subspan(at);
        const absl::StatusOr<RegionHeader> header = DecodeRegionHeader(rest);
        if (!header.ok() || header->kind != RegionKind::kData) continue;
        bodies->insert(header->body_crc);
        const auto seal = rest.subspan(header->total_bytes() - kSealBytes, 20);
        seals->insert(std::string(reinterpret_cast<const char*>(seal.data()), seal.size()));
      }
    };
    std::set<std::string> seals;
    std::set<uint32_t> bodies;
    seals_and_bodies(&seals, &bodies);
    home.options.compression = Compression::kNone;
    home.Open();
    const GarbageReport report = home.Collect(1.0);
    CHECK(report.live_bytes_copied > 500000);
    std::set<std::string> later_seals;
    std::set<uint32_t> later_bodies;
    seals_and_bodies(&later_seals, &later_bodies);
    size_t same_bodies = 0;
    for (const uint32_t body : later_bodies) same_bodies += bodies.count(body);
    size_t same_seals = 0;
    for (const std::string& seal : later_seals) same_seals += seals.count(seal);
    if (encrypted) {
      CHECK(same_seals == 0);
      CHECK(same_bodies == 0);
    } else {
      CHECK(same_bodies * 10 > later_bodies.size() * 6);
    }
    for (const auto& [id, data] : kept) REQUIRE(home.Get(id) == data);
    CHECK(home.Damages() == 0);
  }
}

TEST_CASE("the region cache counts what regions of a few bytes take") {
  RegionCache cache(1u << 20);
  constexpr uint32_t kRegions = 20000;
  for (uint32_t i = 0; i < kRegions; ++i) {
    auto region = std::make_shared<LoadedRegion>();
    region->raw_bytes = 11;
    region->raw = std::make_unique<std::byte[]>(11);
    region->table.push_back({.fingerprint = {}, .size_bytes = 11});
    region->SetOffsets();
    cache.Insert({1, i}, std::move(region));
  }
  size_t kept = 0;
  for (uint32_t i = 0; i < kRegions; ++i) kept += cache.Find({1, i}) != nullptr;
  CHECK(kept > 1000);
  CHECK(kept * (sizeof(LoadedRegion) + sizeof(ChunkEntry) + 150) < 1u << 20);
  CHECK(cache.memory_bytes() <= 1u << 20);
}

}  // namespace strata::dedup
