// SPDX-License-Identifier: Apache-2.0
//
// What libkv costs, for both engines.
//
//   put_batch     Write() of n puts of 32-byte keys and 24-byte values, kAsync (fingerprints)
//   get_hit       Get() of a present key of 1,000,000 in a kPoint space
//   get_miss      Get() of an absent key of the same space
//   multi_get     MultiGet() of n present keys of the same space
//   list_page     List() of 1,000 items of 1,000,000 in a kOrdered space, from a random place
//   txn           Begin, two Gets, two Puts, Commit(kAsync)
//   txn_sync      the same with kSync, by 1, 8 and 32 threads; commits_per_sync tells how many
//                 shared a flush
//   checkpoint    Checkpoint() of the 2,000,000 keys
//
// rocksdb:0 is the memory engine, rocksdb:1 is RocksDB in a temporary folder. items_per_second
// counts keys (put_batch, get, multi_get, list_page) or transactions.
//
//   build/bench/bench/kv_bench --benchmark_filter='get_|list'
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "embedded_store.h"
#include "rocksdb_engine.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"
#include "strata/base/random.h"
#include "strata/kv/engines.h"
#include "support/scratch_folder.h"

namespace strata::kv {
namespace {

constexpr uint64_t kKeys = 1'000'000;
constexpr size_t kKeyBytes = 32;
constexpr size_t kValueBytes = 24;

enum EngineKind : int64_t { kMemory, kRocksDb };

// A store in a folder of its own, with `points` and `ordered` spaces.
struct BenchStore {
  std::optional<test::ScratchFolder> directory;
  const Engine* engine = nullptr;  // Only with RocksDB.
  std::unique_ptr<Store> store;
  SpaceId points;
  SpaceId ordered;

  explicit BenchStore(int64_t kind) {
    if (kind == kMemory) {
      store = CreateMemoryStore();
    } else {
      RocksDbOptions options;
      options.directory = directory.emplace() / "store";
      std::unique_ptr<Engine> rocksdb = OpenRocksDbEngine(options).value();
      engine = rocksdb.get();
      store = NewEmbeddedStore(std::move(rocksdb));
    }
    points = store->OpenSpace("points", {SpaceOptions::Access::kPoint}).value();
    ordered = store->OpenSpace("ordered", {}).value();
  }
};

// Key `index` of an unordered set, as fingerprints are.
std::string PointKey(uint64_t index) {
  std::string key(kKeyBytes, '\0');
  Random(index).Fill(std::as_writable_bytes(std::span(key)));
  return key;
}

std::string OrderedKey(uint64_t index) {
  char key[32];
  std::snprintf(key, sizeof(key), "bucket/object-%012llu", static_cast<unsigned long long>(index));
  return key;
}

void Fill(BenchStore& bench) {
  const std::string value(kValueBytes, 'v');
  for (uint64_t first = 0; first < kKeys; first += 10'000) {
    WriteBatch batch;
    for (uint64_t i = first; i < first + 10'000; ++i) {
      batch.Put(bench.points, PointKey(i), value);
      batch.Put(bench.ordered, OrderedKey(i), value);
    }
    STRATA_CHECK(bench.store->Write(batch, Durability::kAsync).ok(), "cannot fill the store");
  }
}

// The filled store of each engine, made when first needed and kept for all the reads.
BenchStore& Filled(int64_t kind) {
  static std::unique_ptr<BenchStore> stores[2];
  if (stores[kind] == nullptr) {
    stores[kind] = std::make_unique<BenchStore>(kind);
    Fill(*stores[kind]);
  }
  return *stores[kind];
}

void BM_PutBatch(benchmark::State& state) {
  BenchStore bench(state.range(0));
  const std::string value(kValueBytes, 'v');
  Random random(1);
  std::string key(kKeyBytes, '\0');
  for (auto _ : state) {
    WriteBatch batch;
    for (int64_t i = 0; i < state.range(1); ++i) {
      random.Fill(std::as_writable_bytes(std::span(key)));
      batch.Put(bench.points, key, value);
    }
    STRATA_CHECK(bench.store->Write(batch, Durability::kAsync).ok(), "a write failed");
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

void BM_Get(benchmark::State& state, bool present) {
  BenchStore& bench = Filled(state.range(0));
  const auto snapshot = bench.store->NewSnapshot();
  Random random(2);
  for (auto _ : state) {
    const std::string key = PointKey(random.Uniform(kKeys) + (present ? 0 : kKeys));
    const auto value = snapshot->Get(bench.points, key);
    STRATA_CHECK(value.ok() && value->has_value() == present, "a wrong answer");
  }
  state.SetItemsProcessed(state.iterations());
}

void BM_MultiGet(benchmark::State& state) {
  BenchStore& bench = Filled(state.range(0));
  const auto snapshot = bench.store->NewSnapshot();
  Random random(3);
  std::vector<std::string> keys(static_cast<size_t>(state.range(1)));
  for (auto _ : state) {
    for (std::string& key : keys) key = PointKey(random.Uniform(kKeys));
    const auto values = snapshot->MultiGet(bench.points, keys);
    STRATA_CHECK(values.ok() && values->back().has_value(), "a wrong answer");
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}

void BM_ListPage(benchmark::State& state) {
  BenchStore& bench = Filled(state.range(0));
  const auto snapshot = bench.store->NewSnapshot();
  Random random(4);
  for (auto _ : state) {
    const Range range{OrderedKey(random.Uniform(kKeys - 1000)), ""};
    const auto page = snapshot->List(bench.ordered, range, {});
    STRATA_CHECK(page.ok() && page->items.size() == 1000, "a wrong answer");
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}

void RunOneTransaction(BenchStore& bench, Random& random, Durability durability) {
  static const std::string value(kValueBytes, 'v');
  const std::string point = PointKey(random.Next64());
  const std::string ordered = OrderedKey(random.Uniform(1'000'000'000'000));
  const absl::Status status =
      RunTransaction(*bench.store, durability, [&](Transaction& txn) -> absl::Status {
        STRATA_CHECK(txn.Get(bench.points, point).ok(), "a read failed");
        STRATA_CHECK(txn.Get(bench.ordered, ordered).ok(), "a read failed");
        const absl::Status put = txn.Put(bench.points, point, value);
        return put.ok() ? txn.Put(bench.ordered, ordered, value) : put;
      });
  STRATA_CHECK(status.ok(), "a commit failed");
}

void BM_Transaction(benchmark::State& state) {
  BenchStore bench(state.range(0));
  Random random(5);
  for (auto _ : state) RunOneTransaction(bench, random, Durability::kAsync);
  state.SetItemsProcessed(state.iterations());
}

// All threads share thread 0's store: a run begins and ends with a barrier.
void BM_TransactionSync(benchmark::State& state) {
  static std::unique_ptr<BenchStore> bench;
  if (state.thread_index() == 0) bench = std::make_unique<BenchStore>(kRocksDb);
  Random random(static_cast<uint64_t>(6 + state.thread_index()));
  for (auto _ : state) RunOneTransaction(*bench, random, Durability::kSync);
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) {
    state.counters["commits_per_sync"] = static_cast<double>(bench->store->version()) /
                                         static_cast<double>(bench->engine->sync_count());
    bench.reset();
  }
}

void BM_Checkpoint(benchmark::State& state) {
  BenchStore& bench = Filled(kRocksDb);
  const std::string copy = *bench.directory / "copy";
  for (auto _ : state) {
    STRATA_CHECK(bench.store->Checkpoint(copy).ok(), "a checkpoint failed");
    state.PauseTiming();
    std::filesystem::remove_all(copy);
    state.ResumeTiming();
  }
}

BENCHMARK(BM_PutBatch)
    ->Name("put_batch")
    ->ArgNames({"rocksdb", "n"})
    ->ArgsProduct({{kMemory, kRocksDb}, {1, 100, 1000}});
BENCHMARK_CAPTURE(BM_Get, hit, true)->Name("get_hit")->ArgName("rocksdb")->Arg(0)->Arg(1);
BENCHMARK_CAPTURE(BM_Get, miss, false)->Name("get_miss")->ArgName("rocksdb")->Arg(0)->Arg(1);
BENCHMARK(BM_MultiGet)->Name("multi_get")->ArgNames({"rocksdb", "n"})->ArgsProduct({{0, 1}, {32}});
BENCHMARK(BM_ListPage)->Name("list_page")->ArgName("rocksdb")->Arg(0)->Arg(1);
BENCHMARK(BM_Transaction)->Name("txn")->ArgName("rocksdb")->Arg(0)->Arg(1);
BENCHMARK(BM_TransactionSync)
    ->Name("txn_sync/rocksdb")
    ->Threads(1)
    ->Threads(8)
    ->Threads(32)
    ->UseRealTime();
BENCHMARK(BM_Checkpoint)->Name("checkpoint/rocksdb")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace strata::kv

BENCHMARK_MAIN();
