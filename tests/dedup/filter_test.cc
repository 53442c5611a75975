// SPDX-License-Identifier: Apache-2.0
//
// The summary filter that outlives its store's opening: new chunks cost no index reads after a
// reopening, and whatever becomes of the filter, no chunk that is stored is taken for new.
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "format/index_records.h"
#include "index/saved_filter.h"
#include "journaled.h"
#include "support/kv/crash_kv.h"
#include "support/rounds.h"

namespace strata::dedup {
namespace {

constexpr uint32_t kChunkBytes = 256;
constexpr size_t kBatchBytes = 32u << 10;  // Of a stream: so many chunks are looked up at once.

// A store of tiny chunks, so that a few megabytes fill a filter.
struct FilterHome : MemoryHome {
  explicit FilterHome(uint32_t chunk_bytes = kChunkBytes) : MemoryHome(256u << 20) {
    options.chunker = {.algorithm = ChunkAlgorithm::kFixed, .avg_bytes = chunk_bytes};
    options.compression = Compression::kNone;
    options.metadata_cache_bytes = 1;  // One container's table.
    options.log = [this](LogLevel, std::string_view line) { log.append(line).push_back('\n'); };
    kv = disk.Open();
    options.kv = kv.get();
  }
  ~FilterHome() { Close(); }

  void Close() {
    store.reset();
    kv.reset();
  }
  Store& Reopen() {
    Close();
    kv = disk.Open();
    options.kv = kv.get();
    log.clear();
    return Open();
  }
  // The process ends without closing anything.
  Store& Kill() {
    disk.SetPowered([] { return false; });
    Close();
    disk.SetPowered(nullptr);
    return Reopen();
  }

  // Streams of kBatchBytes each. Returns how many chunks were stored, recipes aside.
  uint64_t PutAll(const Bytes& data) {
    const Stats before = store->Stats();
    for (size_t at = 0; at < data.size(); at += kBatchBytes) {
      ids.push_back(Put(std::span(data).subspan(at, std::min(kBatchBytes, data.size() - at))).id);
    }
    const Stats after = store->Stats();
    return after.ingested_chunks - before.ingested_chunks -
           (after.duplicate_chunks - before.duplicate_chunks);
  }
  // The share of new chunks that cost an index read.
  double ReadsOfNew(uint64_t seed, size_t chunks = 4096) {
    const uint64_t before = store->Stats().index_reads;
    CHECK(PutAll(RandomBytes(seed, chunks * kChunkBytes)) == chunks);
    return static_cast<double>(store->Stats().index_reads - before) / static_cast<double>(chunks);
  }

  kv::SpaceId Space(const char* name) { return *kv->OpenSpace(name, {}); }
  std::map<std::string, std::string> Saved() {
    std::map<std::string, std::string> content;
    const auto page = kv->NewSnapshot()->List(Space("dedup.filter"), {}, {.max_bytes = 64u << 20});
    REQUIRE((page.ok() && !page->more));
    for (const kv::KeyValue& item : page->items) content[item.key] = item.value;
    const auto record = kv->NewSnapshot()->Get(Space("dedup.containers"), kFilterKey);
    REQUIRE(record.ok());
    if (record->has_value()) content[std::string(kFilterKey)] = **record;
    return content;
  }
  void Replace(const std::map<std::string, std::string>& content) {
    kv::WriteBatch batch;
    batch.DeleteRange(Space("dedup.filter"), {});
    batch.Delete(Space("dedup.containers"), kFilterKey);
    for (const auto& [key, value] : content) {
      batch.Put(Space(key == kFilterKey ? "dedup.containers" : "dedup.filter"), key, value);
    }
    Write(batch);
  }
  FilterRecord Record() {
    const auto record = DecodeFilterRecord(Saved()[std::string(kFilterKey)]);
    INFO(record.status());
    REQUIRE(record.ok());
    return *record;
  }
  bool HasRecord() { return Saved().contains(std::string(kFilterKey)); }
  void Write(const kv::WriteBatch& batch) { REQUIRE(kv->Write(batch, kv::Durability::kSync).ok()); }

  test::CrashKv disk;
  std::string log;
  std::vector<StreamId> ids;
};

constexpr size_t kStoreBytes = 4u << 20;  // 16384 chunks.
constexpr double kFew = 0.05;             // The filter is wrong now and then.

// `home` was filled with `stored` and opened again: nothing of it is taken for new.
void CheckFound(FilterHome& home, const Bytes& stored) {
  CHECK(home.PutAll(stored) == 0);
  CHECK(home.Damages() == 0);
}

}  // namespace

TEST_CASE("saved filters: the bytes of the format, and what is damaged is refused") {
  FilterRecord record{.id = 0x1122334455667788,
                      .opening = 5,
                      .first_unknown_container = 0x300000002,
                      .filled_to = {},
                      .layers = {{65536, 7}, {131072, 3}}};
  record.filled_to.bytes[0] = std::byte{9};
  const std::string bytes = EncodeFilterRecord(record);
  REQUIRE(bytes.size() == 60 + 2 * 16 + 4);
  CHECK(bytes.substr(0, 29) ==
        std::string_view(
            "\1\0\0\0\2\0\0\0\x88\x77\x66\x55\x44\x33\x22\x11\2\0\0\0\3\0\0\0\5\0\0\0\t", 29));
  CHECK(bytes.substr(60, 32) ==
        std::string_view("\0\0\1\0\0\0\0\0\7\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\3\0\0\0\0\0\0\0", 32));
  CHECK(*DecodeFilterRecord(bytes) == record);
  CHECK((record.count() == 10 && record.capacity() == 196608 && record.piece_count() == 2 + 3));

  const std::string lines(SummaryFilter::kPieceBytes, 'x');
  const std::string piece = EncodeFilterPiece(7, {1, 2}, lines);
  REQUIRE(piece.size() == 24 + lines.size() + 4);
  CHECK(piece.substr(0, 24) ==
        std::string_view("\1\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0", 24));
  CHECK(*DecodeFilterPiece(7, {1, 2}, piece) == lines);
  CHECK(absl::IsDataLoss(DecodeFilterPiece(8, {1, 2}, piece).status()));
  CHECK(absl::IsDataLoss(DecodeFilterPiece(7, {1, 1}, piece).status()));
  CHECK(absl::IsDataLoss(DecodeFilterPiece(7, {2, 2}, piece).status()));
  CHECK(FilterPieceKey({1, 2}) == std::string_view("p\0\0\0\1\0\0\0\2", 9));

  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CHECK_FALSE(DecodeFilterRecord(damaged).ok());
    CHECK_FALSE(DecodeFilterRecord(bytes.substr(0, at)).ok());
  }
  for (size_t at = 0; at < piece.size(); at = at < 100 ? at + 1 : at + 997) {
    std::string damaged = piece;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CHECK_FALSE(DecodeFilterPiece(7, {1, 2}, damaged).ok());
    CHECK_FALSE(DecodeFilterPiece(7, {1, 2}, piece.substr(0, at)).ok());
  }
  std::string newer = bytes;
  newer[0] = 2;
  CHECK(absl::IsUnimplemented(DecodeFilterRecord(newer).status()));
}

TEST_CASE("the summary filter goes through its pieces, and knows which of them changed") {
  Random random(test::Seed());
  SummaryFilter filter(0);
  std::vector<Fingerprint> keys(300000);
  for (Fingerprint& key : keys) {
    random.Fill(key.bytes);
    filter.Add(key);
  }
  const std::vector<SummaryFilter::LayerSize> layers = filter.layers();
  REQUIRE(layers.size() == 3);
  SummaryFilter copy(layers);
  CHECK(copy.layers() == layers);
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    for (size_t i = 0; i < SummaryFilter::PieceCount(layers[layer].capacity); ++i) {
      CHECK(filter.TakeChanged({layer, i}));
      CHECK_FALSE(filter.TakeChanged({layer, i}));
      CHECK_FALSE(copy.SetPiece({layer, i}, filter.Piece({layer, i}) + "x"));
      CHECK(copy.SetPiece({layer, i}, filter.Piece({layer, i})));
      CHECK_FALSE(copy.TakeChanged({layer, i}));
    }
  }
  for (const Fingerprint& key : keys) REQUIRE(copy.MayContain(key));
  Fingerprint key;
  random.Fill(key.bytes);
  copy.Add(key);
  size_t changed = 0;
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    for (size_t i = 0; i < SummaryFilter::PieceCount(layers[layer].capacity); ++i) {
      changed += copy.TakeChanged({layer, i}) ? 1 : 0;
    }
  }
  CHECK(changed == 1);
}

TEST_CASE("new chunks cost no index reads after a reopening, and stored ones are found") {
  const uint64_t seed = test::Seed();
  const Bytes stored = RandomBytes(seed, kStoreBytes);
  for (const bool journal : {false, true}) {
    INFO("STRATA_SEED=" << seed << " journal " << journal);
    FilterHome home;
    home.options.journal = journal;
    home.Open();
    home.PutAll(stored);
    home.Reopen();
    CHECK(home.Record().whole());
    CHECK(home.ReadsOfNew(seed + 1) < kFew);
    CheckFound(home, stored);
    // What came after the filter was kept is found as well, and the filter is kept again.
    home.Reopen();
    CHECK(home.PutAll(RandomBytes(seed + 1, 4096 * kChunkBytes)) == 0);
    CHECK(home.ReadsOfNew(seed + 2) < kFew);
    CHECK(home.log.find("filter") == std::string::npos);
    if (!journal) continue;
    home.store.reset();
    CheckRebuild(home.options);
  }
}

TEST_CASE("chunks that were stored after the filter was kept are read from their containers") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  FilterHome home;
  home.Open();
  home.PutAll(RandomBytes(seed, kStoreBytes));
  home.Reopen();
  const FilterRecord kept = home.Record();
  // Too few to keep the filter for, in containers that are sealed and in one that is not.
  const Bytes later = RandomBytes(seed + 1, 4000 * kChunkBytes);
  home.PutAll(later);
  home.Reopen();
  CHECK(home.Record().count() == kept.count());
  CHECK(home.ReadsOfNew(seed + 2, 64) < kFew);  // It is in use.
  CheckFound(home, later);
}

TEST_CASE("a process that is killed loses little of the filter, and no chunk is taken for new") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  FilterHome home(64);
  home.options.worker_threads = static_cast<uint32_t>(seed % 2);
  home.Open();
  const Bytes stored = RandomBytes(seed, 100000 * 64);
  home.PutAll(stored);
  home.Kill();
  // It was kept on the way.
  CHECK(home.Record().count() > 65536);
  const uint64_t before = home.store->Stats().index_reads;
  home.PutAll(RandomBytes(seed + 1, 20000 * 64));
  CHECK(home.store->Stats().index_reads - before < 20000 * kFew);
  home.Kill();
  CheckFound(home, stored);
  CheckFound(home, RandomBytes(seed + 1, 20000 * 64));
}

TEST_CASE("a filter that is damaged is dropped, filled again, and kept again") {
  const uint64_t seed = test::Seed();
  const Bytes stored = RandomBytes(seed, kStoreBytes / 2);
  using Content = std::map<std::string, std::string>;
  const std::string piece = FilterPieceKey({0, 1});
  const std::string record(kFilterKey);
  const std::vector<std::pair<const char*, std::function<void(Content*)>>> cases = {
      {"a byte of a piece", [&](Content* all) { (*all)[piece][1000] ^= 1; }},
      {"a short piece", [&](Content* all) { (*all)[piece].pop_back(); }},
      {"an empty piece", [&](Content* all) { (*all)[piece].clear(); }},
      {"a missing piece", [&](Content* all) { all->erase(piece); }},
      {"another piece",
       [&](Content* all) {
         (*all)[piece] = (*all)[FilterPieceKey({0, 0})];
       }},
      {"a byte of the record", [&](Content* all) { (*all)[record][20] ^= 1; }},
      {"a short record", [&](Content* all) { (*all)[record].pop_back(); }},
      {"a newer record", [&](Content* all) { (*all)[record][0] = 2; }},
      {"a record of layers without bounds",
       [&](Content* all) {
         FilterRecord changed = *DecodeFilterRecord((*all)[record]);
         changed.layers[0].capacity = uint64_t{1} << 39;
         (*all)[record] = EncodeFilterRecord(changed);
       }},
      {"an opening by a program that knows of no filter",
       [&](Content* all) {
         FilterRecord changed = *DecodeFilterRecord((*all)[record]);
         --changed.opening;
         (*all)[record] = EncodeFilterRecord(changed);
       }},
  };
  FilterHome home;
  home.Open();
  home.PutAll(stored);
  uint64_t round = 0;
  for (const auto& [name, damage] : cases) {
    INFO("STRATA_SEED=" << seed << " " << name);
    home.Close();
    home.kv = home.disk.Open();
    Content content = home.Saved();
    const uint64_t id = home.Record().id;
    damage(&content);
    home.Replace(content);
    home.Reopen();
    home.ReadsOfNew(seed + ++round);
    CHECK(home.log.find("the summary filter is filled again from the chunk index") !=
          std::string::npos);
    CHECK(home.PutAll(stored) == 0);
    home.Reopen();
    CHECK(home.Record().id != id);
    CHECK(home.PutAll(stored) == 0);
    CHECK(home.log.find("filter") == std::string::npos);
  }
  CHECK(home.Damages() == 0);
}

TEST_CASE("a filter that is not whole spares what it can, and the next opening goes on with it") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  FilterHome home(64);
  home.Open();
  home.PutAll(RandomBytes(seed, 120000 * 64));
  home.Close();
  home.kv = home.disk.Open();
  home.Replace({});
  home.Reopen();
  const auto reads_of_new = [&](uint64_t number) {
    const uint64_t before = home.store->Stats().index_reads;
    home.PutAll(RandomBytes(seed + number, 10000 * 64));
    return static_cast<double>(home.store->Stats().index_reads - before) / 10000;
  };
  CHECK(reads_of_new(1) > 0.5);
  CHECK(reads_of_new(2) < 0.6);
  home.Reopen();
  CHECK_FALSE(home.Record().whole());
  CHECK(reads_of_new(3) < 0.4);
  CheckFound(home, RandomBytes(seed, 120000 * 64));
}

TEST_CASE("the filter that is kept stands a garbage collection and a rebuild of the index") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  FilterHome home;
  home.Open();
  const Bytes stored = RandomBytes(seed, kStoreBytes);
  home.PutAll(stored);
  home.Reopen();
  CHECK(home.ReadsOfNew(seed + 1) < kFew);
  SECTION("garbage collection") {
    Bytes left;
    for (size_t i = 0; i < home.ids.size(); ++i) {
      if (i % 3 != 0) {
        REQUIRE(home.store->Delete(home.ids[i]).ok());
      } else if (i < kStoreBytes / kBatchBytes) {
        const auto begin = stored.begin() + static_cast<ptrdiff_t>(i * kBatchBytes);
        left.insert(left.end(), begin, begin + kBatchBytes);
      }
    }
    CHECK(home.Collect().containers_freed > 2);
    home.Kill();
    CheckFound(home, left);
    CHECK(home.PutAll(stored) == (stored.size() - left.size()) / kChunkBytes);
    CHECK(home.ReadsOfNew(seed + 2) < kFew);
    CHECK(home.Damages() == 0);
  }
  SECTION("an index that was empty") {
    home.Close();
    home.kv = home.disk.Open();
    REQUIRE(home.kv
                ->ClearSpace(*home.kv->OpenSpace("dedup.chunks",
                                                 {.access = kv::SpaceOptions::Access::kPoint}))
                .ok());
    home.Reopen();
    CHECK_FALSE(home.HasRecord());  // It was of another index.
    CheckFound(home, stored);
  }
  SECTION("a rebuild that enters chunks which the index had lost, and a kill after it") {
    home.Close();
    home.kv = home.disk.Open();
    const auto chunks =
        *home.kv->OpenSpace("dedup.chunks", {.access = kv::SpaceOptions::Access::kPoint});
    kv::WriteBatch batch;
    batch.DeleteRange(chunks, {"", std::string(1, '\x80')});
    home.Write(batch);
    home.Replace({});
    // Half of the chunks are in neither.
    home.Reopen();
    home.ReadsOfNew(seed + 2, 16384);
    home.Reopen();
    CHECK(home.HasRecord());
    REQUIRE(home.store->RebuildIndex(nullptr).ok());
    home.Kill();
    CHECK_FALSE(home.HasRecord());
    CheckFound(home, stored);
  }
}

TEST_CASE("a kv store that was rebuilt from the device gets a filter again") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  FilterHome home;
  home.options.journal = true;
  home.Open();
  const Bytes stored = RandomBytes(seed, kStoreBytes);
  home.PutAll(stored);
  home.Close();
  home.kv = kv::CreateMemoryStore();
  home.options.kv = home.kv.get();
  REQUIRE(RebuildMetadata(home.options, nullptr).ok());
  home.Open();
  CHECK_FALSE(home.HasRecord());
  home.ReadsOfNew(seed + 1, 8192);
  home.Open();
  CHECK(home.HasRecord());
  CHECK(home.ReadsOfNew(seed + 2) < kFew);
  CheckFound(home, stored);
}

TEST_CASE("a filter that mostly holds what was deleted is dropped") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  FilterHome home(64);
  home.Open();
  REQUIRE(home.store->Delete(home.Put(RandomBytes(seed, 150000 * 64)).id).ok());
  home.Collect();
  home.Collect();
  home.Reopen();
  const FilterRecord kept = home.Record();
  CHECK(kept.count() > 140000);
  const Bytes stored = RandomBytes(seed + 1, 20000 * 64);
  home.PutAll(stored);
  CHECK(home.log.find("of which at most") != std::string::npos);
  home.Reopen();
  CHECK(home.Record().id != kept.id);
  CHECK(home.Record().count() < 30000);
  CheckFound(home, stored);
}

TEST_CASE("openings that store little leave the filter that is kept as it is") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  FilterHome home;
  home.Open();
  home.PutAll(RandomBytes(seed, kStoreBytes));
  home.Reopen();
  const std::map<std::string, std::string> kept = home.Saved();
  const FilterRecord record = home.Record();
  for (uint64_t i = 1; i <= test::Rounds(10); ++i) {
    home.PutAll(RandomBytes(seed + i, 64 * kChunkBytes));
    home.Reopen();
    FilterRecord now = home.Record();
    CHECK(now.opening == record.opening + i);
    now.opening = record.opening;
    CHECK(now == record);
    std::map<std::string, std::string> saved = home.Saved();
    saved[std::string(kFilterKey)] = kept.at(std::string(kFilterKey));
    REQUIRE(saved == kept);
  }
  CHECK(home.ReadsOfNew(seed + 11) < kFew);
}

TEST_CASE("through any history no chunk of a stream that is there is taken for new") {
  const uint64_t seed = test::Seed();
  for (const bool journal : {false, true}) {
    Random random(seed + (journal ? 1 : 0));
    FilterHome home(64);
    home.options.journal = journal;
    home.options.metadata_cache_bytes = 8u << 20;
    home.options.worker_threads = static_cast<uint32_t>(random.Uniform(3));
    home.Open();
    std::map<uint64_t, std::vector<StreamId>> there;  // By the seed of the content.
    const auto content = [](uint64_t number) {
      return RandomBytes(number, 64 * (500 + number % 3000));
    };
    for (uint64_t step = 0; step < test::Rounds(20); ++step) {
      INFO("STRATA_SEED=" << seed << " journal " << journal << " step " << step);
      if (const uint64_t kind = random.Uniform(16); kind < 7 || there.empty()) {
        home.ids.clear();
        const uint64_t number = random.Next64();
        home.PutAll(content(number));
        there[number] = home.ids;
      } else if (kind < 9) {
        const auto leaving = std::next(there.begin(), random.Uniform(there.size()));
        for (const StreamId& id : leaving->second) REQUIRE(home.store->Delete(id).ok());
        there.erase(leaving);
      } else if (kind == 9) {
        home.Collect();
      } else if (kind == 10) {
        REQUIRE(home.store->FoldDuplicates({.progress = nullptr}).ok());
      } else if (kind == 11) {
        REQUIRE(home.store->RebuildIndex(nullptr).ok());
      } else if (kind < 14) {
        home.Reopen();
      } else {
        home.Kill();
      }
      if (there.empty()) continue;
      const auto again = std::next(there.begin(), random.Uniform(there.size()));
      home.ids.swap(again->second);
      CHECK(home.PutAll(content(again->first)) == 0);
      home.ids.swap(again->second);
    }
    CHECK(home.Damages() == 0);
    CHECK(home.log.find("filled again") == std::string::npos);
  }
}

TEST_CASE("a disk that is full at the closing costs the filter alone") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  const Bytes stored = RandomBytes(seed, kStoreBytes);
  FilterHome home;
  bool is_full = false;
  home.options.admit_space = [&is_full](uint64_t, SpaceUse) {
    return is_full ? absl::ResourceExhaustedError("full") : absl::OkStatus();
  };
  home.Open();
  home.PutAll(stored);
  SECTION("the store's owner says so") {
    is_full = true;
    const uint64_t commits = home.disk.commit_count();
    home.store.reset();
    CHECK(home.disk.commit_count() == commits);
    CHECK(home.log.find("the summary filter was not kept") != std::string::npos);
    is_full = false;
  }
  SECTION("the kv store says so in the middle") {
    home.options.admit_space = nullptr;
    for (uint64_t commits = 0; commits < 3; ++commits) {
      home.Reopen();
      home.PutAll(RandomBytes(seed + 1 + commits, 100000));
      home.disk.SetPowered([left = commits]() mutable { return left-- > 0; });
      home.Close();
      home.disk.SetPowered(nullptr);
    }
  }
  home.Reopen();
  CheckFound(home, stored);
  home.ReadsOfNew(seed + 8, 8192);
  home.Reopen();
  CHECK(home.HasRecord());
  home.ReadsOfNew(seed + 9);
  home.Reopen();
  CHECK(home.ReadsOfNew(seed + 10) < kFew);
}

TEST_CASE("a store that is only read leaves the filter alone, or does without") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  FilterHome home;
  home.Open();
  const Bytes stored = RandomBytes(seed, kStoreBytes);
  home.PutAll(stored);
  home.Close();
  const uint64_t commits = home.disk.commit_count();
  home.options.read_only = true;
  home.Reopen();
  for (const StreamId& id : home.ids) REQUIRE(home.Get(id).size() == kBatchBytes);
  home.Close();
  CHECK(home.disk.commit_count() == commits);
  home.options.read_only = false;
  home.Reopen();
  CHECK(home.ReadsOfNew(seed + 1) < kFew);
}

}  // namespace strata::dedup
