// SPDX-License-Identifier: Apache-2.0
//
// What a user of dedup::Store sees: one suite over memory alone and over a file with RocksDB.
#include "strata/dedup/store.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "fixture.h"
#include "support/scratch_folder.h"

namespace strata::dedup {
namespace {

// A store's home that can be opened again. Files lie in a folder of their own.
class Home {
 public:
  explicit Home(bool on_disk) : on_disk_(on_disk) {
    if (on_disk_) {
      folder_ = scratch_.emplace().path();
    } else {
      device_ = *block::CreateMemoryDevice({.block_count = kDeviceBytes / 4096});
      kv_ = kv::CreateMemoryStore();
    }
    options.container_bytes = 1u << 20;
  }
  ~Home() { Close(); }

  Store& Open() {
    Close();
    if (on_disk_) {
      device_ = Must(block::OpenFileDevice(
          {.path = folder_ / "containers", .size_bytes = kDeviceBytes, .create = true, .log = {}}));
      kv_ = Must(kv::OpenRocksDbStore({.directory = folder_ / "kv", .log = {}}));
    }
    options.device = device_.get();
    options.kv = kv_.get();
    store_ = Must(Store::Open(options));
    return *store_;
  }

  kv::Store& kv() { return *kv_; }

  StoreOptions options;

 private:
  static constexpr uint64_t kDeviceBytes = 256u << 20;

  template <typename T>
  static T Must(absl::StatusOr<T> value) {
    INFO(value.status());
    REQUIRE(value.ok());
    return *std::move(value);
  }

  void Close() {
    store_.reset();
    if (!on_disk_) return;
    kv_.reset();
    device_.reset();
  }

  const bool on_disk_;
  std::optional<test::ScratchFolder> scratch_;
  std::filesystem::path folder_;
  std::unique_ptr<block::Device> device_;
  std::unique_ptr<kv::Store> kv_;
  std::unique_ptr<Store> store_;
};

StreamInfo MustPut(Store& store, std::span<const std::byte> data) {
  const absl::StatusOr<StreamInfo> info = Put(store, data);
  INFO(info.status());
  REQUIRE(info.ok());
  return *info;
}

Bytes MustGet(Store& store, const StreamId& id) {
  const absl::StatusOr<Bytes> data = Get(store, id);
  INFO(data.status());
  REQUIRE(data.ok());
  return *data;
}

}  // namespace

TEST_CASE("streams of every size come back as they went in, before and after reopening") {
  Home home(GENERATE(false, true));
  Store* store = &home.Open();
  std::map<StreamId, Bytes> streams;
  const uint64_t seed = test::Seed();
  for (const size_t size : {0u, 1u, 63u, 64u, 4095u, 4096u, 4097u, 8192u, 16383u, 16384u, 16385u,
                            131071u, 131072u, 1000000u, 3000000u}) {
    Bytes data = TextBytes(seed + size, size);
    const StreamInfo info = MustPut(*store, data);
    CHECK(info.size_bytes == size);
    CHECK(info.chunk_count >= size / 16384);
    streams[info.id] = std::move(data);
  }
  for (int round = 0; round < 3; ++round) {
    for (const auto& [id, data] : streams) {
      INFO("round " << round << ", size " << data.size());
      CHECK(MustGet(*store, id) == data);
    }
    CHECK(store->Stats().stream_count == streams.size());
    store = &home.Open();
  }
}

TEST_CASE("however the bytes are handed over, the stream is the same") {
  Home home(GENERATE(false, true));
  Store& store = home.Open();
  Random random(test::Seed());
  const Bytes data = TextBytes(random.Next64(), 2000000);
  const StreamInfo whole = MustPut(store, data);
  for (const size_t most : {100u, 5000u, 20000u, 100000u, 700000u}) {
    const std::unique_ptr<Writer> writer = store.NewWriter();
    for (size_t at = 0; at < data.size();) {
      const size_t size = std::min<size_t>(random.Uniform(most + 1), data.size() - at);
      REQUIRE(writer->Write(std::span(data).subspan(at, size)).ok());
      at += size;
    }
    const auto info = writer->Finish();
    REQUIRE(info.ok());
    INFO("pieces of up to " << most);
    CHECK(info->new_chunk_bytes == 0);
    CHECK(info->chunk_count == whole.chunk_count);
    CHECK(MustGet(store, info->id) == data);
  }
}

TEST_CASE("a range reads as the same range of the bytes") {
  Home home(GENERATE(false, true));
  Store& store = home.Open();
  Random random(test::Seed());
  const Bytes data = TextBytes(random.Next64(), 6000000);
  const auto reader = store.OpenReader(MustPut(store, data).id);
  REQUIRE(reader.ok());
  for (int i = 0; i < 300; ++i) {
    const size_t offset = random.Uniform(data.size() + 1);
    Bytes out(random.Uniform(i % 3 == 0 ? 200000 : 3000));
    const auto size = (*reader)->Read(offset, out);
    REQUIRE(size.ok());
    REQUIRE(*size == std::min(out.size(), data.size() - offset));
    REQUIRE(std::equal(out.begin(), out.begin() + static_cast<ptrdiff_t>(*size),
                       data.begin() + static_cast<ptrdiff_t>(offset)));
  }
  Bytes out(1);
  CHECK(*(*reader)->Read(data.size(), out) == 0);
  CHECK(absl::IsOutOfRange((*reader)->Read(data.size() + 1, out).status()));
}

TEST_CASE("an equal stream stores nothing new, a similar one little") {
  Home home(GENERATE(false, true));
  Store& store = home.Open();
  const uint64_t seed = test::Seed();
  Bytes data = RandomBytes(seed, 8000000);
  const StreamInfo first = MustPut(store, data);
  CHECK(first.new_chunk_bytes == data.size());
  CHECK(first.new_stored_bytes > data.size());
  CHECK(first.new_stored_bytes < data.size() + data.size() / 50);
  const Stats before = store.Stats();
  const StreamInfo second = MustPut(store, data);
  CHECK(second.new_chunk_bytes == 0);
  CHECK(second.new_stored_bytes == 0);
  const Stats after = store.Stats();
  CHECK(after.unique_bytes == before.unique_bytes);
  CHECK(after.container_bytes == before.container_bytes);
  CHECK(after.duplicate_bytes == data.size());
  CHECK(after.logical_bytes == 2 * data.size());
  // Everything was seen a moment ago: nobody asked the kv store.
  CHECK(after.index_reads == before.index_reads);

  // A byte in the middle changes a chunk or two, and the recipe around them.
  data.insert(data.begin() + 3000000, std::byte{42});
  const StreamInfo third = MustPut(store, data);
  CHECK(third.new_chunk_bytes > 0);
  CHECK(third.new_chunk_bytes <= 3 * 16384);
  CHECK(third.new_stored_bytes <= 3 * 16384 + 60000);
  CHECK(MustGet(store, third.id) == data);
}

TEST_CASE("after reopening, one index read brings in a whole container") {
  Home home(GENERATE(false, true));
  home.options.container_bytes = 4u << 20;
  Store* store = &home.Open();
  const Bytes data = RandomBytes(test::Seed(), 16000000);
  const StreamInfo first = MustPut(*store, data);
  store = &home.Open();
  const StreamInfo second = MustPut(*store, data);
  CHECK(second.new_chunk_bytes == 0);
  const uint64_t reads = store->Stats().index_reads;
  CHECK(reads > 0);
  CHECK(reads < 20);
  CHECK(first.chunk_count > 1500);
}

TEST_CASE("after reopening, lookups of new chunks fill the filter, and then need no index") {
  MemoryHome home;
  home.Open();
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  const StreamInfo known = home.Put(RandomBytes(seed, 24000000));
  home.Open();
  CHECK(home.store->Stats().index_reads == 0);
  const StreamInfo fresh = home.Put(RandomBytes(seed + 1, 8000000));
  const uint64_t reads = home.store->Stats().index_reads;
  INFO(known.chunk_count << " chunks, then " << fresh.chunk_count << ", index reads " << reads);
  CHECK(fresh.new_chunk_bytes == 8000000);
  CHECK(reads > 0);
  CHECK(reads < known.chunk_count / 8 + 64);
  CHECK(reads < fresh.chunk_count);
  const StreamInfo more = home.Put(RandomBytes(seed + 2, 8000000));
  CHECK(more.new_chunk_bytes == 8000000);
  CHECK(home.store->Stats().index_reads == reads);
  // And what is known is still found.
  CHECK(home.Put(RandomBytes(seed, 24000000)).new_chunk_bytes == 0);
}

TEST_CASE("compression is written down with each region, whatever the options say later") {
  Home home(false);
  Store* store = &home.Open();
  std::map<StreamId, Bytes> streams;
  const uint64_t seed = test::Seed();
  for (const Compression compression :
       {Compression::kNone, Compression::kLz4, Compression::kZstd, Compression::kGzip}) {
    home.options.compression = compression;
    home.options.compression_level = compression == Compression::kZstd ? 3 : 1;
    store = &home.Open();
    Bytes data = TextBytes(seed + static_cast<int>(compression), 1000000);
    const StreamInfo info = MustPut(*store, data);
    CHECK((info.new_stored_bytes < 700000) == (compression != Compression::kNone));
    streams[info.id] = std::move(data);
  }
  for (const auto& [id, data] : streams) CHECK(MustGet(*store, id) == data);
}

TEST_CASE("deleted streams are gone, the others stay") {
  Home home(GENERATE(false, true));
  Store& store = home.Open();
  const Bytes data = RandomBytes(test::Seed(), 300000);
  const StreamId keep = MustPut(store, data).id;
  const StreamId drop = MustPut(store, data).id;
  REQUIRE(store.Delete(drop).ok());
  CHECK(absl::IsNotFound(store.OpenReader(drop).status()));
  CHECK(absl::IsNotFound(store.Stat(drop).status()));
  CHECK(absl::IsNotFound(store.Delete(drop)));
  CHECK(MustGet(store, keep) == data);
  CHECK(store.Stat(keep)->size_bytes == data.size());
  CHECK(store.Stats().stream_count == 1);
  CHECK(store.Stats().logical_bytes == data.size());
}

TEST_CASE("a list shows every stream once, in order, page by page") {
  Home home(GENERATE(false, true));
  Store& store = home.Open();
  std::map<StreamId, size_t> sizes;
  for (size_t i = 0; i < 25; ++i) sizes[MustPut(store, RandomBytes(i, i * 10)).id] = i * 10;
  for (const size_t page : {1u, 7u, 1000u}) {
    std::vector<StreamInfo> all;
    StreamId after;
    for (;;) {
      const auto list = store.List(after, page);
      REQUIRE(list.ok());
      REQUIRE(list->size() <= page);
      if (list->empty()) break;
      all.insert(all.end(), list->begin(), list->end());
      after = list->back().id;
    }
    REQUIRE(all.size() == sizes.size());
    auto expected = sizes.begin();
    for (const StreamInfo& info : all) {
      CHECK(info.id == expected->first);
      CHECK(info.size_bytes == expected->second);
      ++expected;
    }
  }
}

TEST_CASE("streams commit together with the owner's own records, or not at all") {
  Home home(GENERATE(false, true));
  Store& store = home.Open();
  const kv::SpaceId names = *home.kv().OpenSpace("owner.names", {});
  const Bytes data = RandomBytes(test::Seed(), 100000);
  const std::unique_ptr<Writer> writer = store.NewWriter();
  REQUIRE(writer->Write(data).ok());

  auto early = home.kv().Begin();
  CHECK(absl::IsFailedPrecondition(store.Commit(
      *early, {.add = {writer.get()}, .copy = {}, .remove = {}}, kv::Durability::kSync)));

  const auto info = writer->Prepare();
  REQUIRE(info.ok());
  CHECK(absl::IsFailedPrecondition(writer->Write(data)));
  CHECK(absl::IsNotFound(store.OpenReader(info->id).status()));

  // Somebody else changes what the transaction read: nothing happens, and the same writer can be
  // committed again.
  auto txn = home.kv().Begin();
  REQUIRE(txn->Get(names, "name").ok());
  auto other = home.kv().Begin();
  REQUIRE(other->Put(names, "name", "taken").ok());
  REQUIRE(other->Commit(kv::Durability::kAsync).ok());
  REQUIRE(txn->Put(names, "name", "mine").ok());
  CHECK(absl::IsAborted(store.Commit(*txn, {.add = {writer.get()}, .copy = {}, .remove = {}},
                                     kv::Durability::kSync)));
  CHECK(absl::IsNotFound(store.OpenReader(info->id).status()));
  CHECK(store.Stats().stream_count == 0);

  txn = home.kv().Begin();
  REQUIRE(txn->Put(names, "name", info->id.ToHex()).ok());
  REQUIRE(
      store.Commit(*txn, {.add = {writer.get()}, .copy = {}, .remove = {}}, kv::Durability::kSync)
          .ok());
  CHECK(MustGet(store, info->id) == data);
  txn = home.kv().Begin();
  CHECK(absl::IsFailedPrecondition(store.Commit(
      *txn, {.add = {writer.get()}, .copy = {}, .remove = {}}, kv::Durability::kSync)));
  CHECK(absl::IsFailedPrecondition(writer->Finish().status()));

  txn = home.kv().Begin();
  CHECK(absl::IsNotFound(store.Commit(
      *txn, {.add = {}, .copy = {}, .remove = {store.NewStreamId()}}, kv::Durability::kSync)));
}

TEST_CASE("fixed chunks and other sizes make a store too, and stay with it") {
  Home home(false);
  const uint64_t seed = test::Seed();
  home.options.chunker = GENERATE(
      ChunkerOptions{.algorithm = ChunkAlgorithm::kFixed, .avg_bytes = 4096},
      ChunkerOptions{.min_bytes = 64, .avg_bytes = 256, .max_bytes = 1024, .normalization = 1},
      ChunkerOptions{.min_bytes = 65536, .avg_bytes = 131072, .max_bytes = 524288});
  const ChunkerOptions made_with = home.options.chunker;
  Store* store = &home.Open();
  const Bytes data = TextBytes(seed, 3000000);
  const StreamInfo first = MustPut(*store, data);
  home.options.chunker = {};
  store = &home.Open();
  CHECK(MustGet(*store, first.id) == data);
  const StreamInfo second = MustPut(*store, data);
  INFO("made with " << ChunkAlgorithmName(made_with.algorithm) << " " << made_with.avg_bytes);
  CHECK(second.new_chunk_bytes == 0);
  CHECK(second.chunk_count == first.chunk_count);
}

TEST_CASE("options out of range are named") {
  MemoryHome home;
  const auto message = [&home](auto change) {
    StoreOptions options = home.options;
    change(options);
    const absl::Status status = Store::Open(options).status();
    CHECK(absl::IsInvalidArgument(status));
    return std::string(status.message());
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(message([](StoreOptions& o) { o.container_bytes = 3u << 20; }),
             Contains("container_bytes"));
  CHECK_THAT(message([](StoreOptions& o) { o.region_bytes = 1; }), Contains("region_bytes"));
  CHECK_THAT(message([](StoreOptions& o) { o.compression_level = 99; }),
             Contains("compression_level"));
  CHECK_THAT(message([](StoreOptions& o) { o.chunker.avg_bytes = 5000; }), Contains("avg_bytes"));
  CHECK_THAT(message([](StoreOptions& o) { o.device = nullptr; }), Contains("device"));
  CHECK_THAT(message([](StoreOptions& o) { o.chunker.max_bytes = 1u << 20; }), Contains("twice"));
  home.options.container_bytes = 64u << 20;
  CHECK_THAT(message([](StoreOptions&) {}), Contains("too few"));
  CHECK(absl::IsInvalidArgument(StreamId::FromHex("xyz").status()));
  const StreamId id = *StreamId::FromHex("00112233445566778899aabbccddeeff");
  CHECK(id.ToHex() == "00112233445566778899aabbccddeeff");
}

TEST_CASE("statistics count operations and the time spent in them") {
  MemoryHome home;
  home.Open();
  const Bytes data = TextBytes(test::Seed(), 3000000);
  const StreamId kept = home.Put(data).id;
  const StreamId dropped = home.Put(data).id;
  home.Get(kept);
  REQUIRE(home.store->Delete(dropped).ok());
  home.Collect();
  CHECK(home.Damages() == 0);
  { const std::unique_ptr<Writer> abandoned = home.store->NewWriter(); }
  const Stats stats = home.store->Stats();
  CHECK(stats.ingests == 2);
  CHECK(stats.reads == 1);
  CHECK(stats.commits == 3);
  CHECK(stats.collections == 1);
  CHECK(stats.verifications == 1);
  CHECK(stats.ingest_ns > 0);
  CHECK(stats.read_ns > 0);
  CHECK(stats.commit_ns > 0);
  CHECK(stats.collection_ns > 0);
  CHECK(stats.verification_ns > 0);
  CHECK(stats.average_chunk_bytes() > 4096);
  CHECK(stats.average_chunk_bytes() < 16384);
  home.Open();
  CHECK(home.store->Stats().ingests == 0);
}

TEST_CASE("statistics count recipes apart from data, open, sealed, opened again and collected") {
  MemoryHome home(64u << 20);
  home.Open();
  const Bytes data = RandomBytes(test::Seed(), 3000000);
  const StreamInfo info = home.Put(data);
  const auto check = [&] {
    const Stats stats = home.store->Stats();
    CHECK(stats.unique_bytes == data.size());
    CHECK(stats.compressed_bytes == data.size());
    CHECK(stats.chunk_count == info.chunk_count);
    CHECK(stats.recipe_count > 0);
    CHECK(stats.recipe_bytes > info.chunk_count * 32);
    CHECK(stats.recipe_bytes < data.size() / 50);
  };
  check();
  home.Open();
  check();
  home.Collect();  // Seals.
  check();
  home.Open();
  check();
}

TEST_CASE("statistics stay as they are while workers enter full containers") {
  const uint64_t seed = test::Seed();
  for (uint64_t round = 0; round < 20; ++round) {
    MemoryHome home(128u << 20);
    home.options.worker_threads = 2;
    home.Open();
    const Bytes data = RandomBytes(seed + round, 20u << 20);
    home.Put(data);
    for (int i = 0; i < 300; ++i) {
      const Stats stats = home.store->Stats();
      REQUIRE(stats.unique_bytes >= data.size());
      REQUIRE(stats.unique_bytes < data.size() + (1u << 20));
    }
  }
}

TEST_CASE("full containers do not wait for a flush without limit, however large the chunks") {
  MemoryHome home(256u << 20);
  home.options.chunker.min_bytes = 64u << 10;
  home.options.chunker.avg_bytes = 128u << 10;
  home.options.chunker.max_bytes = 256u << 10;
  home.Open();
  const std::unique_ptr<Writer> writer = home.store->NewWriter();
  REQUIRE(writer->Write(RandomBytes(test::Seed(), 100u << 20)).ok());
  CHECK(home.store->Stats().device_flushes >= 4);
  REQUIRE(writer->Finish().ok());
}

TEST_CASE("many slow readers read ahead no more than all of them may together") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  constexpr size_t kReaders = 100;
  constexpr size_t kReadBytes = 200000;
  constexpr uint64_t kTotalBytes = 8u << 20;
  MemoryHome home(64u << 20);
  home.options.read_ahead_total_bytes = kTotalBytes;
  home.options.data_cache_bytes = 0;
  home.Open();
  const Bytes data = RandomBytes(seed, 8u << 20);
  const StreamId id = home.Put(data).id;
  home.Open();
  const uint64_t before = home.store->Stats().device_read_bytes;
  std::vector<std::unique_ptr<Reader>> readers;
  Bytes bytes(kReadBytes);
  for (size_t i = 0; i < kReaders; ++i) {
    readers.push_back(home.store->OpenReader(id).value());
    REQUIRE(readers.back()->Read(0, bytes).value() == kReadBytes);
  }
  const uint64_t read_bytes = home.store->Stats().device_read_bytes - before;
  const uint64_t needed_bytes = kReaders * (kReadBytes + (256u << 10));
  CHECK(read_bytes <= needed_bytes + kTotalBytes);
  // They get on all the same, and who comes later reads ahead again.
  REQUIRE(readers[kReaders - 1]->Read(kReadBytes, bytes).value() == kReadBytes);
  CHECK(std::equal(bytes.begin(), bytes.end(), data.begin() + kReadBytes));
  readers.clear();
  const uint64_t alone = home.store->Stats().device_read_bytes;
  const auto reader = home.store->OpenReader(id).value();
  REQUIRE(reader->Read(0, bytes).value() == kReadBytes);
  CHECK(home.store->Stats().device_read_bytes - alone > kReadBytes + (400u << 10));
}

}  // namespace strata::dedup
