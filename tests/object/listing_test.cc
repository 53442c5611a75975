// SPDX-License-Identifier: Apache-2.0
//
// Listings against a model that keeps everything in one sorted list, page by page.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "store_fixture.h"
#include "strata/base/hex.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::object::test {
namespace {

// Keys over few letters, so that prefixes and groups happen; NUL and 0xF4.. test the escaping.
std::string RandomKey(Random* random) {
  static const std::string kPieces[] = {
      "a", "b", "/", "//", "-", std::string("\0", 1), "\x01", "\xF4\x8F\xBF\xBF", "ab"};
  std::string key;
  for (uint64_t n = 1 + random->Uniform(6); n > 0; --n) {
    key += kPieces[random->Uniform(std::size(kPieces))];
  }
  return key;
}

std::string Rest(Random* random, const std::set<std::string>& keys) {
  if (random->Chance(0.4) || keys.empty()) return RandomKey(random);
  auto at = keys.begin();
  std::advance(at, random->Uniform(keys.size()));
  return at->substr(0, random->Uniform(at->size() + 1));
}

struct Entry {
  std::string name;    // Key or group.
  std::string detail;  // "group", or what tells versions apart.
  friend bool operator==(const Entry&, const Entry&) = default;
};

std::ostream& operator<<(std::ostream& out, const Entry& entry) {
  return out << ToHex(entry.name) << " (" << entry.detail << ")";
}

// The entries of all pages: rows of {key, detail}, keys in order, rolled up.
std::vector<Entry> Model(const std::vector<Entry>& rows, const ListOptions& options) {
  std::vector<Entry> entries;
  for (const Entry& row : rows) {
    if (!row.name.starts_with(options.prefix)) continue;
    Entry entry = row;
    if (!options.delimiter.empty()) {
      const size_t at = row.name.find(options.delimiter, options.prefix.size());
      if (at != std::string::npos) {
        entry = {row.name.substr(0, at + options.delimiter.size()), "group"};
      }
    }
    if (!options.start_after.empty() && entry.name <= options.start_after) continue;
    if (entries.empty() || !(entries.back() == entry)) entries.push_back(entry);
  }
  return entries;
}

void AppendPage(const ListPage& page, std::vector<Entry>* entries) {
  std::vector<Entry> of_page;
  for (const std::string& group : page.common_prefixes) of_page.push_back({group, "group"});
  for (const ObjectInfo& object : page.objects) {
    of_page.push_back({object.key, object.version_id});
  }
  std::stable_sort(of_page.begin(), of_page.end(),
                   [](const Entry& a, const Entry& b) { return a.name < b.name; });
  entries->insert(entries->end(), of_page.begin(), of_page.end());
}

template <typename ListCall>
std::vector<Entry> AllPages(ListOptions options, ListCall list) {
  std::vector<Entry> entries;
  for (int pages = 0;; ++pages) {
    const ListPage page = Must(list(options));
    REQUIRE(page.objects.size() + page.common_prefixes.size() <= options.max_keys);
    AppendPage(page, &entries);
    if (!page.truncated) return entries;
    REQUIRE(page.objects.size() + page.common_prefixes.size() == options.max_keys);
    REQUIRE(pages < 2000);
    options.start_after = page.next_start_after;
    options.version_marker = page.next_version_marker;
  }
}

TEST_CASE("Random listings agree with a model: List and ListVersions, all pages") {
  Random random(strata::test::Seed());
  for (int round = 0; round < 10; ++round) {
    StoreFixture f;
    Must(f.store().CreateBucket("bkt", ""));
    if (random.Chance(0.7)) Must(f.store().SetVersioning("bkt", Versioning::kEnabled));
    std::set<std::string> keys;
    const uint64_t count = 1 + random.Uniform(80);
    for (uint64_t i = 0; i < count; ++i) {
      const std::string key = RandomKey(&random);
      keys.insert(key);
      f.Put("bkt", key, "");
      if (random.Chance(0.3)) f.Put("bkt", key, "");
      if (random.Chance(0.3)) Must(f.store().Delete("bkt", key, "").status());
      if (random.Chance(0.1)) Must(f.store().SetVersioning("bkt", Versioning::kSuspended));
    }
    // What is there, one key at a time.
    std::vector<Entry> current, versions;
    for (const std::string& key : keys) {
      const ListPage page = Must(f.store().ListVersions("bkt", {.prefix = key}));
      for (const ObjectInfo& object : page.objects) {
        if (object.key != key) continue;
        versions.push_back({key, object.version_id});
        if (object.is_latest && !object.is_delete_marker) {
          current.push_back({key, object.version_id});
        }
      }
    }
    for (int query = 0; query < 60; ++query) {
      ListOptions options;
      if (random.Chance(0.6)) options.prefix = Rest(&random, keys);
      if (random.Chance(0.7)) options.delimiter = random.Chance(0.7) ? "/" : Rest(&random, keys);
      if (random.Chance(0.5)) options.start_after = Rest(&random, keys);
      options.max_keys = 1 + random.Uniform(random.Chance(0.5) ? 4 : 1000);
      INFO("round " << round << " query " << query << " prefix " << ToHex(options.prefix)
                    << " delimiter " << ToHex(options.delimiter) << " start_after "
                    << ToHex(options.start_after) << " max_keys " << options.max_keys);
      REQUIRE(AllPages(options, [&](const ListOptions& o) { return f.store().List("bkt", o); }) ==
              Model(current, options));
      REQUIRE(AllPages(options, [&](const ListOptions& o) {
                return f.store().ListVersions("bkt", o);
              }) == Model(versions, options));
    }
  }
}

TEST_CASE("A page of versions goes on at a null version, too") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  f.Put("bkt", "k", "null");
  Must(f.store().SetVersioning("bkt", Versioning::kEnabled));
  const std::string one = f.Put("bkt", "k", "one").version_id;
  f.Put("bkt", "z", "z");
  const auto behind = [&](const std::string& marker) {
    return Must(f.store().ListVersions("bkt", {.start_after = "k", .version_marker = marker}));
  };
  CHECK(behind(one).objects.size() == 2);
  CHECK(behind("null").objects.size() == 1);
  CHECK(behind("").objects.size() == 1);
  CHECK(ReasonOf(f.store().ListVersions("bkt", {.start_after = "k", .version_marker = "x"})) ==
        Reason::kInvalidArgument);
}

TEST_CASE("Pages hold at most 1000 entries; none when none are asked for") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  for (int i = 0; i < 1001; ++i) f.Put("bkt", "key" + std::to_string(i), "");
  const ListPage page = Must(f.store().List("bkt", {.max_keys = 5000}));
  CHECK(page.objects.size() == 1000);
  CHECK(page.truncated);
  const ListPage none = Must(f.store().List("bkt", {.max_keys = 0}));
  CHECK(none.objects.empty());
  CHECK_FALSE(none.truncated);
}

TEST_CASE("Names too long for any key are no error in a listing, and one elsewhere") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const std::string longest(1024, 'k');
  f.Put("bkt", longest, "");
  f.Put("bkt", "z", "");
  const std::string too_long = longest + "/x" + std::string(20000, 'y');
  for (const char* delimiter : {"", "/"}) {
    const ListOptions behind{.delimiter = delimiter, .start_after = too_long};
    CHECK(KeysOf(Must(f.store().List("bkt", behind))) == std::vector<std::string>{"z"});
    CHECK(Must(f.store().ListVersions("bkt", behind)).objects.size() == 1);
    CHECK(KeysOf(Must(f.store().List("bkt", {.prefix = too_long}))).empty());
  }
  CHECK(Must(f.store().ListVersions(
                 "bkt", {.start_after = too_long, .version_marker = std::string(32, 'f')}))
            .objects.size() == 1);
  CHECK(Must(f.store().ListUploads("bkt", {.start_after = too_long}, std::string(32, 'f')))
            .uploads.empty());
  CHECK(ReasonOf(f.TryGet("bkt", too_long)) == Reason::kKeyTooLong);
  CHECK(ReasonOf(f.store().Head("bkt", too_long, {})) == Reason::kKeyTooLong);
  CHECK(ReasonOf(f.store().Delete("bkt", too_long, "")) == Reason::kKeyTooLong);
  CHECK(ReasonOf(f.store().GetUpload({"bkt", too_long, std::string(32, '0')})) ==
        Reason::kKeyTooLong);
  CHECK(ReasonOf(f.store().GetBucket(std::string(20000, 'b'))) == Reason::kInvalidBucketName);
  CHECK(ReasonOf(f.store().DeleteAccessKey(std::string(20000, 'b'))) == Reason::kNoSuchAccessKey);
  CHECK(ReasonOf(f.store().GetUser(std::string(20000, 'b'))) == Reason::kInvalidArgument);
}

// However many delete markers lie in the way, a call looks at a limited number of keys.
TEST_CASE("A listing over very many delete markers comes in pages that end") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  Must(f.store().SetVersioning("bkt", Versioning::kEnabled));
  f.Put("bkt", "a", "");
  constexpr size_t kMarkers = ObjectLimits::kMaxExaminedKeys + 10;
  for (size_t i = 0; i < kMarkers; ++i) {
    char key[16];
    std::snprintf(key, sizeof(key), "g/%08zu", i);
    Must(f.store().Delete("bkt", key, "").status());
  }
  for (const char* delimiter : {"", "/"}) {
    INFO("delimiter '" << delimiter << "'");
    ListPage page = Must(f.store().List("bkt", {.delimiter = delimiter}));
    CHECK(page.objects.size() == 1);
    REQUIRE(page.truncated);
    const std::string position = page.next_start_after;
    page = Must(f.store().List("bkt", {.delimiter = delimiter, .start_after = position}));
    CHECK(page.objects.empty());
    CHECK_FALSE(page.truncated);
    // An empty page, too, says where the next one begins.
    page = Must(f.store().List("bkt", {.prefix = "g/", .delimiter = delimiter}));
    CHECK(page.objects.empty());
    REQUIRE(page.truncated);
  }
  // What lives behind the markers is found, once.
  f.Put("bkt", "g/z", "");
  f.Put("bkt", "z", "");
  for (const char* delimiter : {"", "/"}) {
    std::vector<Entry> entries;
    ListOptions options{.delimiter = delimiter};
    for (bool more = true; more;) {
      const ListPage page = Must(f.store().List("bkt", options));
      AppendPage(page, &entries);
      more = page.truncated;
      options.start_after = page.next_start_after;
    }
    REQUIRE(entries.size() == 3);
    CHECK(entries[1].name == (*delimiter == '\0' ? "g/z" : "g/"));
  }
}

}  // namespace
}  // namespace strata::object::test
