// SPDX-License-Identifier: Apache-2.0
//
// What every kv::Store promises to one caller at a time. Concurrency: concurrency_test.cc.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "engine_under_test.h"
#include "strata/kv/store.h"

namespace strata::kv {
namespace {

using Value = std::optional<std::string>;

Value ValueOf(Reader& reader, SpaceId space, std::string_view key) {
  const auto value = reader.Get(space, key);
  INFO(value.status());
  REQUIRE(value.ok());
  return *value;
}

std::vector<std::string> KeysOf(Reader& reader, SpaceId space, const Range& range,
                                const PageOptions& options = {}) {
  const auto page = reader.List(space, range, options);
  INFO(page.status());
  REQUIRE(page.ok());
  std::vector<std::string> keys;
  for (const KeyValue& item : page->items) keys.push_back(item.key);
  return keys;
}

void PutNow(Store& store, SpaceId space, std::string_view key, std::string_view value) {
  WriteBatch batch;
  batch.Put(space, key, value);
  REQUIRE(store.Write(batch, Durability::kAsync).ok());
}

void DeleteNow(Store& store, SpaceId space, std::string_view key) {
  WriteBatch batch;
  batch.Delete(space, key);
  REQUIRE(store.Write(batch, Durability::kAsync).ok());
}

TEST_CASE("a prefix is a range") {
  const auto same = [](const Range& range, const std::string& begin, const std::string& end) {
    CHECK(range.begin == begin);
    CHECK(range.end == end);
  };
  same(PrefixRange("ab"), "ab", "ac");
  same(PrefixRange("a\xFF\xFF"), "a\xFF\xFF", "b");
  same(PrefixRange("\xFF"), "\xFF", "");
  same(PrefixRange(""), "", "");
}

TEST_CASE("spaces have names, options and lives of their own") {
  OpenedStore store(EachEngine());
  const SpaceId users = store->OpenSpace("users", {}).value();
  const SpaceId prints =
      store->OpenSpace("finger-prints_2.x", {SpaceOptions::Access::kPoint}).value();
  CHECK(users != prints);
  CHECK(store->OpenSpace("users", {}).value() == users);
  CHECK(store->OpenSpace(std::string(64, 'a'), {}).ok());

  for (const std::string& name : {std::string(), std::string("Users"), std::string("a b"),
                                  std::string("a/b"), std::string(65, 'a'), std::string("\0", 1)}) {
    INFO("name '" << name << "'");
    CHECK(store->OpenSpace(name, {}).status().code() == absl::StatusCode::kInvalidArgument);
  }
  const absl::Status other = store->OpenSpace("users", {SpaceOptions::Access::kPoint}).status();
  CHECK(other.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(other.message()).find("users") != std::string::npos);

  PutNow(*store, users, "k", "in users");
  CHECK(ValueOf(*store->NewSnapshot(), prints, "k") == std::nullopt);
  CHECK(ValueOf(*store->NewSnapshot(), users, "k") == "in users");
}

TEST_CASE("an id that no space has is the caller's mistake") {
  OpenedStore store(EachEngine());
  REQUIRE(store->OpenSpace("s", {}).ok());
  for (const SpaceId wrong : {SpaceId{0}, SpaceId{2}, SpaceId{1000000}}) {
    WriteBatch batch;
    batch.Put(wrong, "k", "v");
    const auto txn = store->Begin();
    for (const absl::Status& status :
         {store->Write(batch, Durability::kSync), txn->Get(wrong, "k").status(),
          txn->Put(wrong, "k", "v"), store->NewSnapshot()->List(wrong, {}, {}).status(),
          store->WaitForChange(wrong, {}, 0, 0).status()}) {
      INFO(status);
      CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST_CASE("keys and values are any bytes, the empty ones too") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  const std::string zeros(3, '\0');
  const std::string high("\xFF\xFE\0z", 4);
  PutNow(*store, space, "", "empty key");
  PutNow(*store, space, zeros, high);
  PutNow(*store, space, high, "");
  const auto snapshot = store->NewSnapshot();
  CHECK(ValueOf(*snapshot, space, "") == "empty key");
  CHECK(ValueOf(*snapshot, space, zeros) == high);
  CHECK(ValueOf(*snapshot, space, high) == "");
  CHECK(KeysOf(*snapshot, space, {}) == std::vector<std::string>{"", zeros, high});
}

TEST_CASE("a snapshot does not change") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  PutNow(*store, space, "kept", "1");
  PutNow(*store, space, "gone", "1");
  const auto before = store->NewSnapshot();
  for (int i = 2; i < 50; ++i) PutNow(*store, space, "kept", std::to_string(i));
  DeleteNow(*store, space, "gone");
  PutNow(*store, space, "new", "1");
  WriteBatch clear;
  clear.DeleteRange(space, {});
  const auto between = store->NewSnapshot();
  REQUIRE(store->Write(clear, Durability::kAsync).ok());

  CHECK(ValueOf(*before, space, "kept") == "1");
  CHECK(ValueOf(*before, space, "gone") == "1");
  CHECK(ValueOf(*before, space, "new") == std::nullopt);
  CHECK(KeysOf(*before, space, {}) == std::vector<std::string>{"gone", "kept"});
  CHECK(before->MultiGet(space, {"new", "kept", "kept"}).value() ==
        std::vector<Value>{std::nullopt, "1", "1"});
  CHECK(ValueOf(*between, space, "kept") == "49");
  CHECK(KeysOf(*between, space, {}) == std::vector<std::string>{"kept", "new"});
  CHECK(KeysOf(*store->NewSnapshot(), space, {}).empty());
}

TEST_CASE("a space opened after a snapshot is empty in it") {
  OpenedStore store(EachEngine());
  const auto before = store->NewSnapshot();
  const SpaceId space = store->OpenSpace("late", {}).value();
  PutNow(*store, space, "k", "v");
  CHECK(ValueOf(*before, space, "k") == std::nullopt);
  CHECK(KeysOf(*before, space, {}).empty());
}

TEST_CASE("listings are ordered by unsigned bytes and paged in both directions") {
  const SpaceOptions options{
      GENERATE(SpaceOptions::Access::kOrdered, SpaceOptions::Access::kPoint)};
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", options).value();
  WriteBatch batch;
  for (const char* key : {"b", "a", "\x80", "\x7F", "c", "aa"}) batch.Put(space, key, "vv");
  REQUIRE(store->Write(batch, Durability::kAsync).ok());
  const auto snapshot = store->NewSnapshot();
  using Keys = std::vector<std::string>;
  CHECK(KeysOf(*snapshot, space, {}) == Keys{"a", "aa", "b", "c", "\x7F", "\x80"});
  CHECK(KeysOf(*snapshot, space, {"aa", "c"}) == Keys{"aa", "b"});
  CHECK(KeysOf(*snapshot, space, {"c", "aa"}).empty());
  CHECK(KeysOf(*snapshot, space, {"b", "b"}).empty());
  CHECK(KeysOf(*snapshot, space, {"a", ""}, {.max_items = 2, .reverse = true}) ==
        Keys{"\x80", "\x7F"});
  CHECK(KeysOf(*snapshot, space, {"a", "c"}, {.max_items = 2, .reverse = true}) == Keys{"b", "aa"});

  // `more` is exact, also when the page ends with the range.
  CHECK(snapshot->List(space, {"a", "c"}, {.max_items = 3}).value().more == false);
  CHECK(snapshot->List(space, {"a", "c"}, {.max_items = 2}).value().more == true);
  // A page never comes back empty because its first item is too big.
  const Page small = snapshot->List(space, {}, {.max_bytes = 1}).value();
  CHECK(small.items.size() == 1);
  CHECK(small.more);
  CHECK(snapshot->List(space, {}, {.max_bytes = 7}).value().items.size() == 2);
}

TEST_CASE("a page of nothing is the caller's mistake, a huge one is cut to the limit") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  WriteBatch batch;
  for (size_t i = 0; i <= store->limits().max_page_items; ++i) {
    batch.Put(space, std::to_string(i), "");
  }
  REQUIRE(store->Write(batch, Durability::kAsync).ok());
  const auto snapshot = store->NewSnapshot();
  CHECK(snapshot->List(space, {}, {.max_items = 0}).status().code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(snapshot->List(space, {}, {.max_bytes = 0}).status().code() ==
        absl::StatusCode::kInvalidArgument);
  const Page page =
      snapshot->List(space, {}, {.max_items = 1u << 30, .max_bytes = 1u << 30}).value();
  CHECK(page.items.size() == store->limits().max_page_items);
  CHECK(page.more);
}

TEST_CASE("a transaction sees its own writes and others do not until it commits") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  for (const char* key : {"a", "b", "c", "d"}) PutNow(*store, space, key, "old");
  const auto txn = store->Begin();
  REQUIRE(txn->Put(space, "bb", "new").ok());
  REQUIRE(txn->Delete(space, "a").ok());
  REQUIRE(txn->DeleteRange(space, {"c", "e"}).ok());
  REQUIRE(txn->Put(space, "d", "again").ok());

  CHECK(ValueOf(*txn, space, "a") == std::nullopt);
  CHECK(ValueOf(*txn, space, "bb") == "new");
  CHECK(ValueOf(*txn, space, "c") == std::nullopt);
  CHECK(ValueOf(*txn, space, "d") == "again");
  CHECK(txn->MultiGet(space, {"d", "b", "c"}).value() ==
        std::vector<Value>{"again", "old", std::nullopt});
  CHECK(KeysOf(*txn, space, {}) == std::vector<std::string>{"b", "bb", "d"});
  CHECK(KeysOf(*txn, space, {}, {.max_items = 2, .reverse = true}) ==
        std::vector<std::string>{"d", "bb"});
  CHECK(KeysOf(*store->NewSnapshot(), space, {}) == std::vector<std::string>{"a", "b", "c", "d"});

  REQUIRE(txn->Commit(Durability::kSync).ok());
  CHECK(KeysOf(*store->NewSnapshot(), space, {}) == std::vector<std::string>{"b", "bb", "d"});
}

TEST_CASE("a batch is applied in its order") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  WriteBatch batch;
  batch.Put(space, "a", "1");
  batch.Put(space, "b", "1");
  batch.DeleteRange(space, {"a", "c"});
  batch.Put(space, "b", "2");
  batch.Put(space, "c", "1");
  batch.Delete(space, "c");
  batch.DeleteRange(space, {"z", "y"});
  CHECK(batch.operations().size() == 7);
  CHECK(batch.size_bytes() == 13);
  REQUIRE(store->Write(batch, Durability::kSync).ok());
  const auto snapshot = store->NewSnapshot();
  CHECK(KeysOf(*snapshot, space, {}) == std::vector<std::string>{"b"});
  CHECK(ValueOf(*snapshot, space, "b") == "2");
  batch.Clear();
  CHECK(batch.operations().empty());
  CHECK(batch.size_bytes() == 0);
}

TEST_CASE("a range delete without an end reaches the largest key there can be") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  PutNow(*store, space, std::string(store->limits().max_key_bytes, '\xFF'), "last");
  PutNow(*store, space, "first", "stays");
  WriteBatch batch;
  batch.DeleteRange(space, {"g", ""});
  REQUIRE(store->Write(batch, Durability::kAsync).ok());
  CHECK(KeysOf(*store->NewSnapshot(), space, {}) == std::vector<std::string>{"first"});
}

// Each scenario: `t` reads, somebody else writes, `t` writes elsewhere and commits.
absl::StatusCode CommitAfter(Store& store, SpaceId space, Transaction& txn) {
  REQUIRE(txn.Put(space, "result", "x").ok());
  const absl::Status status = txn.Commit(Durability::kAsync);
  INFO(status);
  const bool applied = ValueOf(*store.NewSnapshot(), space, "result").has_value();
  CHECK(applied == status.ok());
  return status.code();
}

TEST_CASE("what a transaction read must not have changed") {
  OpenedStore opened(EachEngine());
  Store& store = *opened;
  const SpaceId space = store.OpenSpace("s", {}).value();
  for (const char* key : {"b", "d", "f"}) PutNow(store, space, key, "old");
  const auto txn = store.Begin();
  constexpr auto kAborted = absl::StatusCode::kAborted;
  constexpr auto kOk = absl::StatusCode::kOk;

  SECTION("a key that was there: lost update") {
    ValueOf(*txn, space, "b");
    PutNow(store, space, "b", "new");
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("a key that was there, deleted") {
    ValueOf(*txn, space, "b");
    DeleteNow(store, space, "b");
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("a key that was absent") {
    ValueOf(*txn, space, "c");
    PutNow(store, space, "c", "new");
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("a key read with others") {
    REQUIRE(txn->MultiGet(space, {"b", "c", "d"}).ok());
    PutNow(store, space, "c", "new");
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("a key under a range delete") {
    ValueOf(*txn, space, "d");
    WriteBatch batch;
    batch.DeleteRange(space, {"c", "e"});
    REQUIRE(store.Write(batch, Durability::kAsync).ok());
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("a phantom in a listed range") {
    KeysOf(*txn, space, {"c", "e"});
    PutNow(store, space, "cc", "new");
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("a phantom in an empty range") {
    CHECK(KeysOf(*txn, space, {"x", ""}).empty());
    PutNow(store, space, "y", "new");
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("a range delete over a listed range") {
    KeysOf(*txn, space, {"c", "e"});
    WriteBatch batch;
    batch.DeleteRange(space, {"a", ""});
    REQUIRE(store.Write(batch, Durability::kAsync).ok());
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("beside a listed range all may change") {
    KeysOf(*txn, space, {"c", "e"});
    PutNow(store, space, "b", "new");
    PutNow(store, space, "e", "new");
    CHECK(CommitAfter(store, space, *txn) == kOk);
  }
  SECTION("a full page covers the range up to its last key, and no further") {
    CHECK(KeysOf(*txn, space, {"a", ""}, {.max_items = 2}) == std::vector<std::string>{"b", "d"});
    PutNow(store, space, "e", "new");
    CHECK(CommitAfter(store, space, *txn) == kOk);
  }
  SECTION("a full page covers its last key") {
    KeysOf(*txn, space, {"a", ""}, {.max_items = 2});
    PutNow(store, space, "d", "new");
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("a full page in reverse covers the range down to its last key, and no further") {
    KeysOf(*txn, space, {"a", ""}, {.max_items = 2, .reverse = true});
    PutNow(store, space, "c", "new");
    CHECK(CommitAfter(store, space, *txn) == kOk);
  }
  SECTION("a full page in reverse covers its last key") {
    KeysOf(*txn, space, {"a", ""}, {.max_items = 2, .reverse = true});
    PutNow(store, space, "d", "new");
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("what was read without the promise may change") {
    REQUIRE(txn->GetUnchecked(space, "b").ok());
    REQUIRE(txn->ListUnchecked(space, {}, {}).ok());
    PutNow(store, space, "b", "new");
    CHECK(CommitAfter(store, space, *txn) == kOk);
  }
  SECTION("what it wrote itself may change: the later commit wins") {
    REQUIRE(txn->Put(space, "b", "mine").ok());
    CHECK(ValueOf(*txn, space, "b") == "mine");
    PutNow(store, space, "b", "theirs");
    CHECK(CommitAfter(store, space, *txn) == kOk);
    CHECK(ValueOf(*store.NewSnapshot(), space, "b") == "mine");
  }
  SECTION("a write that puts the same value is a change all the same") {
    ValueOf(*txn, space, "b");
    PutNow(store, space, "b", "old");
    CHECK(CommitAfter(store, space, *txn) == kAborted);
  }
  SECTION("the same key of another space is another key") {
    ValueOf(*txn, space, "b");
    KeysOf(*txn, space, {});
    const SpaceId other = store.OpenSpace("other", {}).value();
    PutNow(store, other, "b", "new");
    CHECK(CommitAfter(store, space, *txn) == kOk);
  }
  SECTION("changes from before it began do not count") {
    const auto later = store.Begin();
    ValueOf(*later, space, "b");
    CHECK(CommitAfter(store, space, *later) == kOk);
  }
  SECTION("an abandoned transaction leaves nothing behind") {
    ValueOf(*txn, space, "b");
    {
      const auto dropped = store.Begin();
      REQUIRE(dropped->Put(space, "b", "new").ok());
    }
    CHECK(CommitAfter(store, space, *txn) == kOk);
  }
}

TEST_CASE("of two transactions that each read what the other writes, one fails: write skew") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  const auto one = store->Begin();
  const auto two = store->Begin();
  ValueOf(*one, space, "x");
  ValueOf(*two, space, "y");
  REQUIRE(one->Put(space, "y", "1").ok());
  REQUIRE(two->Put(space, "x", "2").ok());
  CHECK(one->Commit(Durability::kAsync).ok());
  CHECK(two->Commit(Durability::kAsync).code() == absl::StatusCode::kAborted);
  CHECK(ValueOf(*store->NewSnapshot(), space, "x") == std::nullopt);
}

TEST_CASE("a transaction that only read commits whatever happened since") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  PutNow(*store, space, "k", "old");
  const auto txn = store->Begin();
  PutNow(*store, space, "k", "new");
  CHECK(ValueOf(*txn, space, "k") == "old");
  CHECK(txn->Commit(Durability::kSync).ok());
}

TEST_CASE("a transaction ends with its commit") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  const auto txn = store->Begin();
  REQUIRE(txn->Put(space, "k", "v").ok());
  REQUIRE(txn->Commit(Durability::kAsync).ok());
  for (const absl::Status& status :
       {txn->Commit(Durability::kAsync), txn->Put(space, "k", "v"), txn->Get(space, "k").status(),
        txn->Delete(space, "k"), txn->DeleteRange(space, {}), txn->List(space, {}, {}).status()}) {
    INFO(status);
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  }
}

TEST_CASE("the limits on keys and values") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  const std::string longest_key(store->limits().max_key_bytes, 'k');
  const std::string largest_value(store->limits().max_value_bytes, 'v');
  const auto txn = store->Begin();
  REQUIRE(txn->Put(space, longest_key, largest_value).ok());
  for (const absl::Status& status :
       {txn->Put(space, longest_key + "k", ""), txn->Put(space, "k", largest_value + "v"),
        txn->Delete(space, longest_key + "k"), txn->Get(space, longest_key + "k").status(),
        txn->DeleteRange(space, {longest_key + "kk", ""})}) {
    INFO(status);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(status.message()).find("limit") != std::string::npos);
  }
  WriteBatch batch;
  batch.Put(space, "good", "");
  batch.Put(space, longest_key + "k", "");
  CHECK(store->Write(batch, Durability::kAsync).code() == absl::StatusCode::kInvalidArgument);
  CHECK(ValueOf(*store->NewSnapshot(), space, "good") == std::nullopt);

  REQUIRE(txn->Commit(Durability::kAsync).ok());
  const auto snapshot = store->NewSnapshot();
  CHECK(ValueOf(*snapshot, space, longest_key) == largest_value);
  // The successor of the longest key is a good bound: a listing must be able to go on behind it.
  CHECK(KeysOf(*snapshot, space, {longest_key + std::string(1, '\0'), ""}).empty());
}

TEST_CASE("a transaction at its limit stays as it was and can still commit") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  const Limits limits = store->limits();
  const auto txn = store->Begin();
  SECTION("operations") {
    for (size_t i = 0; i < limits.max_transaction_operations; ++i) {
      if (!txn->Put(space, std::to_string(i), "").ok()) FAIL("refused below the limit at " << i);
    }
    CHECK(txn->Put(space, "more", "").code() == absl::StatusCode::kResourceExhausted);
    CHECK(txn->Delete(space, "0").code() == absl::StatusCode::kResourceExhausted);
    CHECK(ValueOf(*txn, space, "0") == "");
  }
  SECTION("bytes") {
    const std::string value(limits.max_value_bytes, 'v');
    size_t bytes = 0;
    for (int i = 0; bytes + value.size() + 1 <= limits.max_transaction_bytes; ++i) {
      const std::string key(1, static_cast<char>('a' + i));
      REQUIRE(txn->Put(space, key, value).ok());
      bytes += value.size() + 1;
    }
    CHECK(txn->Put(space, "z", value).code() == absl::StatusCode::kResourceExhausted);
    CHECK(txn->Put(space, "z", "small").ok());
  }
  CHECK(ValueOf(*txn, space, "more") == std::nullopt);
  CHECK(txn->Commit(Durability::kAsync).ok());
}

TEST_CASE("a batch beyond the limits is refused whole") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  WriteBatch batch;
  for (size_t i = 0; i <= store->limits().max_transaction_operations; ++i) batch.Delete(space, "k");
  CHECK(store->Write(batch, Durability::kAsync).code() == absl::StatusCode::kResourceExhausted);
  CHECK(store->Write(WriteBatch(), Durability::kSync).ok());
}

TEST_CASE("the version grows with every commit that writes, and with nothing else") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  const uint64_t start = store->version();
  PutNow(*store, space, "k", "v");
  const uint64_t after_put = store->version();
  CHECK(after_put > start);
  REQUIRE(store->Sync().ok());
  REQUIRE(store->Begin()->Commit(Durability::kSync).ok());
  CHECK(store->version() == after_put);

  const auto loser = store->Begin();
  ValueOf(*loser, space, "k");
  PutNow(*store, space, "k", "w");
  const uint64_t before_conflict = store->version();
  CHECK(CommitAfter(*store, space, *loser) == absl::StatusCode::kAborted);
  CHECK(store->version() == before_conflict);
}

TEST_CASE("a watch finds the newest earlier change in its range at once") {
  OpenedStore store(EachEngine());
  const SpaceId space = store->OpenSpace("s", {}).value();
  const SpaceId other = store->OpenSpace("other", {}).value();
  const uint64_t start = store->version();
  PutNow(*store, space, "a", "");
  PutNow(*store, space, "b", "");
  const uint64_t newest = store->version();
  PutNow(*store, space, "x", "");
  PutNow(*store, other, "a", "");
  CHECK(store->WaitForChange(space, {"a", "c"}, start, 0).value() == newest);
  CHECK(store->WaitForChange(space, {"a", "c"}, newest, 0).value() == newest);
  CHECK(store->WaitForChange(space, {"p", "q"}, start, 0).value() == start);
}

TEST_CASE("ForEach visits every entry of a range once, in order, whatever a page holds") {
  OpenedStore opened(EachEngine());
  Store& store = *opened;
  const SpaceId space = store.OpenSpace("s", {}).value();
  for (const char* const key : {"a", "b", "c", "d", "e"}) PutNow(store, space, key, key);
  const std::unique_ptr<Snapshot> snapshot = store.NewSnapshot();
  PutNow(store, space, "c1", "c1");
  for (const size_t max_items : {1, 2, 3, 5, 1000}) {
    INFO("pages of " << max_items);
    std::string before, now;
    CHECK(ForEach(*snapshot, space, {"b", "e"},
                  [&](const KeyValue& item) {
                    before += item.key + ' ';
                    return absl::OkStatus();
                  },
                  {.max_items = max_items})
              .ok());
    CHECK(ForEach(store, space, {"b", ""},
                  [&](const KeyValue& item) {
                    now += item.value + ' ';
                    return absl::OkStatus();
                  },
                  {.max_items = max_items})
              .ok());
    CHECK(before == "b c d ");
    CHECK(now == "b c c1 d e ");
  }
}

TEST_CASE("ForEach stops at the first error, and an empty range has nothing to visit") {
  OpenedStore opened(EachEngine());
  Store& store = *opened;
  const SpaceId space = store.OpenSpace("s", {}).value();
  int visits = 0;
  const auto visit = [&](const KeyValue&) {
    return ++visits == 2 ? absl::NotFoundError("no") : absl::OkStatus();
  };
  CHECK(ForEach(store, space, {}, visit).ok());
  CHECK(visits == 0);
  for (const char* const key : {"a", "b", "c"}) PutNow(store, space, key, "");
  CHECK(ForEach(store, space, {}, visit, {.max_items = 1}).code() == absl::StatusCode::kNotFound);
  CHECK(visits == 2);
}

TEST_CASE("RunTransaction runs again after a conflict, and stops at other errors") {
  OpenedStore opened(EachEngine());
  Store& store = *opened;
  const SpaceId space = store.OpenSpace("s", {}).value();
  int runs = 0;
  const absl::Status added = RunTransaction(store, Durability::kAsync, [&](Transaction& txn) {
    const auto value = txn.Get(space, "n");
    if (++runs < 3) PutNow(store, space, "n", std::to_string(10 * runs));
    return txn.Put(space, "n", value->value_or("none") + "+1");
  });
  CHECK(added.ok());
  CHECK(runs == 3);
  CHECK(ValueOf(*store.NewSnapshot(), space, "n") == "20+1");

  runs = 0;
  const absl::Status failed = RunTransaction(store, Durability::kAsync, [&](Transaction&) {
    ++runs;
    return absl::NotFoundError("no");
  });
  CHECK(failed.code() == absl::StatusCode::kNotFound);
  CHECK(runs == 1);

  runs = 0;
  const absl::Status hopeless = RunTransaction(
      store, Durability::kAsync,
      [&](Transaction& txn) {
        ++runs;
        ValueOf(txn, space, "n");
        PutNow(store, space, "n", "again");
        return txn.Put(space, "m", "");
      },
      5);
  CHECK(hopeless.code() == absl::StatusCode::kAborted);
  CHECK(runs == 5);
}

}  // namespace
}  // namespace strata::kv
