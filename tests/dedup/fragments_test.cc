// SPDX-License-Identifier: Apache-2.0
//
// Many versions on, the newest is still read in few pieces, for a known price, and nothing is lost.
#include <vector>

#include "fixture.h"

namespace strata::dedup {
namespace {

constexpr size_t kBytes = 6u << 20;
constexpr int kVersions = 20;

// Each version differs from the one before in 2 % of its bytes, in places all over it.
void AlterEverywhere(Bytes* data, Random* random) {
  constexpr size_t kPiece = 8192;
  for (size_t changed = 0; changed < data->size() / 50; changed += kPiece) {
    const Bytes piece = TextBytes(random->Next64(), kPiece);
    const size_t at = random->Uniform(data->size() - kPiece);
    std::copy(piece.begin(), piece.end(), data->begin() + static_cast<ptrdiff_t>(at));
  }
}

struct Aged {
  explicit Aged(double rewrite_below_use, uint32_t workers = 0) : home(256u << 20) {
    home.options.region_bytes = 64u << 10;
    home.options.rewrite_below_use = rewrite_below_use;
    home.options.rewrite_min_bytes = 1u << 20;
    home.options.worker_threads = workers;
    Random random(seed);
    Bytes data = TextBytes(seed, kBytes);
    for (int i = 0; i < kVersions; ++i) {
      home.Open();
      ids.push_back(home.Put(data).id);
      versions.push_back(data);
      most_rewritten_share = std::max(
          most_rewritten_share, static_cast<double>(home.store->Stats().rewritten_bytes) / kBytes);
      AlterEverywhere(&data, &random);
    }
  }

  // What the device gives for reading a version, as a multiple of what it gave for the first.
  uint64_t DeviceBytesToRead(size_t version) {
    home.Open();
    const uint64_t before = home.store->Stats().device_read_bytes;
    REQUIRE(home.Get(ids[version]) == versions[version]);
    return home.store->Stats().device_read_bytes - before;
  }

  const uint64_t seed = test::Seed();
  MemoryHome home;
  std::vector<StreamId> ids;
  std::vector<Bytes> versions;
  double most_rewritten_share = 0;
};

}  // namespace

TEST_CASE("the newest of many versions is read in fewer pieces, within the budget") {
  Aged plain(/*rewrite_below_use=*/0);
  INFO("STRATA_SEED=" << plain.seed);
  CHECK(plain.most_rewritten_share == 0);
  const uint64_t without = plain.DeviceBytesToRead(kVersions - 1);
  const uint64_t stored_without = plain.home.store->Stats().unique_bytes;

  Aged aged(/*rewrite_below_use=*/0.5);
  CHECK(aged.most_rewritten_share > 0);
  CHECK(aged.most_rewritten_share < 0.06);
  const uint64_t with = aged.DeviceBytesToRead(kVersions - 1);
  INFO("device bytes for the newest: " << with << ", without rewriting " << without);
  CHECK(with * 100 < without * 90);
  const uint64_t stored = aged.home.store->Stats().unique_bytes;
  INFO("stored " << stored << ", without rewriting " << stored_without);
  CHECK(stored * 100 < stored_without * 135);
}

TEST_CASE("no chunk stays behind in a region that was left") {
  // Among them those that the kv store had to be asked for, as the first of each container.
  MemoryHome home(256u << 20);
  home.options.region_bytes = 64u << 10;
  home.options.compression = Compression::kNone;
  home.options.rewrite_below_use = 1;
  home.options.rewrite_budget = 1;
  home.options.rewrite_min_bytes = 1u << 20;
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  Random random(seed);
  Bytes data = RandomBytes(seed, kBytes);
  for (int version = 0; version < 4; ++version) {
    home.Open();
    const StreamId id = home.Put(data).id;
    home.Open();
    const uint64_t before = home.store->Stats().device_read_bytes;
    REQUIRE(home.Get(id) == data);
    const uint64_t read = home.store->Stats().device_read_bytes - before;
    INFO("version " << version << ": " << read << " bytes for " << data.size());
    // More by tables, recipes, and the regions of the container that was gone on with.
    CHECK(read * 100 < data.size() * 112);
    AlterEverywhere(&data, &random);
  }
}

TEST_CASE("what was stored again comes back whole, before and after the fold and a rebuild") {
  for (const uint32_t workers : {0u, 2u}) {
    Aged aged(0.5, workers);
    INFO("STRATA_SEED=" << aged.seed << " workers " << workers);
    const auto check = [&] {
      for (size_t i = 0; i < aged.ids.size(); ++i)
        REQUIRE(aged.home.Get(aged.ids[i]) == aged.versions[i]);
      CHECK(aged.home.Damages() == 0);
    };
    check();
    REQUIRE(aged.home.store->RebuildIndex(nullptr).ok());
    check();
    for (size_t i = 0; i + 4 < aged.ids.size(); ++i) {
      REQUIRE(aged.home.store->Delete(aged.ids[i]).ok());
    }
    aged.ids.erase(aged.ids.begin(), aged.ids.end() - 4);
    aged.versions.erase(aged.versions.begin(), aged.versions.end() - 4);
    aged.home.Collect();
    check();
    const auto folded = aged.home.store->FoldDuplicates({.progress = nullptr});
    REQUIRE(folded.ok());
    check();
    aged.home.Open();
    check();
  }
}

TEST_CASE("a device without room for copies takes the stream all the same") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  // Room for one container less every time, until the plain data does not fit any more.
  int streams_stored = 0;
  for (uint64_t device_mib = 16; device_mib > 8; --device_mib) {
    MemoryHome home(device_mib << 20);
    home.options.region_bytes = 64u << 10;
    home.options.compression = Compression::kNone;
    home.options.rewrite_below_use = 1;
    home.options.rewrite_budget = 1;
    home.options.rewrite_min_bytes = 1u << 20;
    home.Open();
    Random random(seed);
    Bytes data = RandomBytes(seed, kBytes);
    Bytes kept;
    StreamId id;
    for (;;) {
      const auto info = Put(*home.store, data);
      if (!info.ok()) {
        CHECK(absl::IsResourceExhausted(info.status()));
        break;
      }
      ++streams_stored;
      kept = data;
      id = info->id;
      AlterEverywhere(&data, &random);
    }
    if (kept.empty()) continue;
    CHECK(home.Get(id) == kept);
    CHECK(home.Damages() == 0);
    home.Open();
    CHECK(home.Get(id) == kept);
  }
  CHECK(streams_stored > 8);
}

}  // namespace strata::dedup
