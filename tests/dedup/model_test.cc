// SPDX-License-Identifier: Apache-2.0
//
// Random operations against a map from ids to bytes, with collections, reopenings and rebuilds in
// between.
#include <map>

#include "fixture.h"

namespace strata::dedup {

TEST_CASE("a store behaves as a map of streams does") {
  const uint64_t seed = test::Seed();
  for (uint64_t round = 0; round < 6; ++round) {
    Random random(seed + round);
    MemoryHome home(40u << 20);
    home.options.metadata_cache_bytes = random.Chance(0.5) ? 0 : 1u << 20;
    home.options.data_cache_bytes = random.Chance(0.5) ? 0 : 1u << 20;
    home.options.region_bytes = 16384u << random.Uniform(4);
    home.options.compression = static_cast<Compression>(random.Uniform(4));
    home.Open();
    std::map<StreamId, Bytes> model;
    const auto any = [&] {
      auto it = model.begin();
      std::advance(it, random.Uniform(model.size()));
      return it;
    };
    for (int step = 0; step < 250; ++step) {
      INFO("STRATA_SEED=" << seed << " round " << round << " step " << step);
      const uint64_t dice = model.empty() ? 0 : random.Uniform(100);
      if (dice < 30) {
        // New bytes, or an old stream's with a cut in them.
        Bytes data = model.empty() || random.Chance(0.4)
                         ? TextBytes(random.Next64(), random.Uniform(400000))
                         : any()->second;
        if (!data.empty() && random.Chance(0.7)) {
          data.erase(data.begin() + static_cast<ptrdiff_t>(random.Uniform(data.size())));
        }
        model[home.Put(data).id] = data;
      } else if (dice < 60) {
        const auto it = any();
        auto reader = home.store->OpenReader(it->first);
        REQUIRE(reader.ok());
        const size_t offset = random.Uniform(it->second.size() + 1);
        Bytes out(random.Uniform(it->second.size() - offset + 100));
        const auto size = (*reader)->Read(offset, out);
        REQUIRE(size.ok());
        out.resize(*size);
        REQUIRE(std::equal(out.begin(), out.end(),
                           it->second.begin() + static_cast<ptrdiff_t>(offset)));
      } else if (dice < 80) {
        const auto it = any();
        REQUIRE(home.store->Delete(it->first).ok());
        model.erase(it);
      } else if (dice < 85) {
        const StreamId id = home.store->NewStreamId();
        const auto source = any();
        auto txn = home.kv->Begin();
        REQUIRE(home.store
                    ->Commit(*txn, {.add = {}, .copy = {{source->first, id}}, .remove = {}},
                             kv::Durability::kAsync)
                    .ok());
        model[id] = source->second;
      } else if (dice < 93) {
        home.Collect(random.Chance(0.5) ? 0.7 : 1.0);
      } else if (dice < 97) {
        home.Open();
      } else if (dice < 98) {
        REQUIRE(home.store->RebuildIndex(nullptr).ok());
      } else {
        REQUIRE(home.Damages() == 0);
      }
      uint64_t logical = 0;
      for (const auto& [id, data] : model) logical += data.size();
      REQUIRE(home.store->Stats().stream_count == model.size());
      REQUIRE(home.store->Stats().logical_bytes == logical);
    }
    for (const auto& [id, data] : model) REQUIRE(home.Get(id) == data);
    REQUIRE(home.Damages() == 0);
  }
}

}  // namespace strata::dedup
