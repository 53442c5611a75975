// SPDX-License-Identifier: Apache-2.0
//
// A transaction's own reads, page by page in both directions, against a plain std::map.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "strata/base/random.h"
#include "strata/kv/engines.h"
#include "support/seed.h"

namespace strata::kv {
namespace {

using Model = std::map<std::string, std::string>;

std::string SmallKey(Random& random) {
  std::string key;
  for (uint64_t length = random.Uniform(3); key.size() <= length;) {
    key.push_back(static_cast<char>('a' + random.Uniform(4)));
  }
  return key;
}

Range SmallRange(Random& random) {
  Range range{SmallKey(random), SmallKey(random)};
  if (random.Chance(0.2)) range.begin.clear();
  if (random.Chance(0.2)) range.end.clear();
  return range;
}

bool Inside(const Range& range, const std::string& key) {
  return key >= range.begin && (range.end.empty() || key < range.end);
}

void EraseRange(Model& model, const Range& range) {
  std::erase_if(model, [&](const auto& entry) { return Inside(range, entry.first); });
}

// Everything the pages of `range` hold, with each page checked for size and for an honest `more`.
std::vector<std::pair<std::string, std::string>> ReadPages(Reader& reader, SpaceId space,
                                                           Range range, PageOptions options) {
  std::vector<std::pair<std::string, std::string>> items;
  while (true) {
    const auto page = reader.List(space, range, options);
    REQUIRE(page.ok());
    REQUIRE(page->items.size() <= options.max_items);
    for (const KeyValue& item : page->items) items.emplace_back(item.key, item.value);
    if (!page->more) return items;
    REQUIRE_FALSE(page->items.empty());
    if (options.reverse) {
      range.end = page->items.back().key;
    } else {
      range.begin = page->items.back().key + std::string(1, '\0');
    }
  }
}

void CheckSame(Reader& reader, SpaceId space, const Model& model, Random& random) {
  const Range range = SmallRange(random);
  PageOptions options;
  options.max_items = 1 + random.Uniform(5);
  options.max_bytes = 1 + random.Uniform(40);
  options.reverse = random.Chance(0.5);
  std::vector<std::pair<std::string, std::string>> expected;
  for (const auto& entry : model) {
    if (Inside(range, entry.first)) expected.emplace_back(entry);
  }
  if (options.reverse) std::reverse(expected.begin(), expected.end());
  INFO("range [" << range.begin << ", " << range.end << ") reverse " << options.reverse
                 << " max_items " << options.max_items << " max_bytes " << options.max_bytes);
  CHECK(ReadPages(reader, space, range, options) == expected);

  const std::string key = SmallKey(random);
  const auto value = reader.Get(space, key);
  REQUIRE(value.ok());
  const auto found = model.find(key);
  INFO("key " << key);
  CHECK(*value == (found == model.end() ? std::nullopt : std::optional(found->second)));
}

TEST_CASE("a transaction reads what it wrote over what was there") {
  Random random(test::Seed());
  for (int round = 0; round < 300; ++round) {
    INFO("round " << round);
    const std::unique_ptr<Store> store = CreateMemoryStore();
    const SpaceId space = store->OpenSpace("s", {}).value();
    Model model;
    WriteBatch base;
    for (uint64_t i = random.Uniform(60); i > 0; --i) {
      const std::string key = SmallKey(random);
      base.Put(space, key, "base" + std::to_string(i));
      model[key] = "base" + std::to_string(i);
    }
    REQUIRE(store->Write(base, Durability::kSync).ok());

    const std::unique_ptr<Transaction> txn = store->Begin();
    for (int step = 0; step < 20; ++step) {
      const uint64_t kind = random.Uniform(4);
      if (kind == 0) {
        const Range range = SmallRange(random);
        REQUIRE(txn->DeleteRange(space, range).ok());
        EraseRange(model, range);
      } else if (kind == 1) {
        const std::string key = SmallKey(random);
        REQUIRE(txn->Delete(space, key).ok());
        model.erase(key);
      } else {
        const std::string key = SmallKey(random);
        REQUIRE(txn->Put(space, key, "own" + std::to_string(step)).ok());
        model[key] = "own" + std::to_string(step);
      }
      CheckSame(*txn, space, model, random);
    }
    REQUIRE(txn->Commit(Durability::kSync).ok());
    const std::unique_ptr<Snapshot> after = store->NewSnapshot();
    for (int i = 0; i < 5; ++i) CheckSame(*after, space, model, random);
  }
}

}  // namespace
}  // namespace strata::kv
