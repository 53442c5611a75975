// SPDX-License-Identifier: Apache-2.0
//
// Many threads on one store. Assertions come after the threads have joined.
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "fixture.h"
#include "support/block/fault_device.h"

namespace strata::dedup {
namespace {

// Gathers what went wrong in threads.
class Problems {
 public:
  void Add(std::string what) {
    std::lock_guard lock(mutex_);
    if (list_.size() < 10) list_.push_back(std::move(what));
  }
  void Check() {
    for (const std::string& problem : list_) UNSCOPED_INFO(problem);
    CHECK(list_.empty());
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> list_;
};

}  // namespace

TEST_CASE("writers, readers, deleters and garbage collection side by side") {
  MemoryHome home(192u << 20);
  Store& store = home.Open();
  const uint64_t seed = test::Seed();
  Problems problems;
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::map<StreamId, uint64_t> streams;  // And the seeds of their contents.
  // Contents repeat between threads, so that one's duplicate is another's garbage.
  const auto content = [](uint64_t content_seed) {
    Bytes bytes = TextBytes(content_seed, 60000 + 20000 * (content_seed % 7));
    const Bytes shared = TextBytes(content_seed % 3, 50000);
    bytes.insert(bytes.end(), shared.begin(), shared.end());
    return bytes;
  };
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Random random(seed + t);
      for (int i = 0; i < 60; ++i) {
        const uint64_t content_seed = random.Uniform(40);
        const absl::StatusOr<StreamInfo> info = Put(store, content(content_seed));
        if (!info.ok()) {
          problems.Add("put: " + info.status().ToString());
          continue;
        }
        std::lock_guard lock(mutex);
        streams[info->id] = content_seed;
      }
    });
  }
  for (uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      Random random(seed + 100 + t);
      while (!stop) {
        StreamId id;
        uint64_t content_seed = 0;
        bool remove = false;
        {
          std::lock_guard lock(mutex);
          if (streams.size() < 10) continue;
          auto it = streams.begin();
          std::advance(it, random.Uniform(streams.size()));
          id = it->first;
          content_seed = it->second;
          remove = random.Chance(0.4);
          if (remove) streams.erase(it);
        }
        if (remove) {
          // While it is read, and gone right after.
          const auto reader = store.OpenReader(id);
          const absl::Status status = store.Delete(id);
          if (!status.ok()) problems.Add("delete: " + status.ToString());
          if (!reader.ok()) {
            problems.Add("open before delete: " + reader.status().ToString());
            continue;
          }
          Bytes back((*reader)->info().size_bytes);
          const auto size = (*reader)->Read(0, back);
          if (!size.ok()) {
            problems.Add("read of a deleted stream: " + size.status().ToString());
          } else if (back != content(content_seed)) {
            problems.Add("a deleted stream's reader sees other bytes");
          }
          continue;
        }
        const absl::StatusOr<Bytes> back = Get(store, id);
        if (absl::IsNotFound(back.status())) continue;  // The other thread deleted it.
        if (!back.ok()) {
          problems.Add("get: " + back.status().ToString());
        } else if (*back != content(content_seed)) {
          problems.Add("a stream reads other bytes");
        }
      }
    });
  }
  std::atomic<uint64_t> freed{0};
  std::thread collector([&] {
    while (!stop) {
      const auto report =
          store.CollectGarbage({.rewrite_below_live_ratio = 0.95, .progress = nullptr});
      if (report.ok()) {
        freed += report->containers_freed;
      } else {
        problems.Add("gc: " + report.status().ToString());
      }
    }
  });
  std::thread verifier([&] {
    while (!stop) {
      const auto report = store.Verify({});
      if (!report.ok()) {
        problems.Add("verify: " + report.status().ToString());
        return;
      }
      for (const std::string& damage : report->container_damage) problems.Add(damage);
      for (const Damage& damage : report->streams) problems.Add("a stream: " + damage.detail);
    }
  });
  for (int t = 0; t < 4; ++t) threads[t].join();
  stop = true;
  for (size_t t = 4; t < threads.size(); ++t) threads[t].join();
  collector.join();
  verifier.join();
  problems.Check();
  for (const auto& [id, content_seed] : streams) {
    const absl::StatusOr<Bytes> back = Get(store, id);
    INFO(back.status());
    REQUIRE(back.ok());
    CHECK(*back == content(content_seed));
  }
  CHECK(home.Damages() == 0);
  CHECK(store.Stats().stream_count == streams.size());
  for (const auto& [id, content_seed] : streams) REQUIRE(store.Delete(id).ok());
  home.Collect();
  home.Collect();
  CHECK(freed > 0);
  home.Open();
  CHECK(home.Damages() == 0);
  CHECK(home.store->Stats().logical_bytes == 0);
}

TEST_CASE("small streams that finish together share flushes of the device") {
  // Room for fewer containers than there are threads, all of which find none open.
  block::FaultDisk disk({.block_count = (64u << 20) / 4096, .seed = 1});
  // While one flush is under way the others gather for the next.
  const auto device = *block::CreateDelayDevice(disk.Open(), {.flush_ns = 2000000});
  const auto kv = kv::CreateMemoryStore();
  StoreOptions options;
  options.device = device.get();
  options.kv = kv.get();
  const auto store = *Store::Open(options);
  Problems problems;
  std::vector<std::thread> threads;
  constexpr int kThreads = 32;
  constexpr int kEach = 30;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const Bytes data = RandomBytes(t * 1000 + i, 4096);
        const auto info = Put(*store, data);
        if (!info.ok()) problems.Add(info.status().ToString());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  problems.Check();
  CHECK(store->Stats().stream_count == kThreads * kEach);
  CHECK(disk.counts().flushes < kThreads * kEach / 2);
  CHECK(store->Stats().device_flushes <= disk.counts().flushes);
  // Small streams stand side by side in the container, not each in blocks of its own.
  CHECK(store->Stats().container_bytes < kThreads * kEach * 8192ull);
}

TEST_CASE("a lookup storm while containers move finds every chunk") {
  MemoryHome home(96u << 20);
  home.options.data_cache_bytes = 0;
  home.options.metadata_cache_bytes = 100000;
  Store& store = home.Open();
  const uint64_t seed = test::Seed();
  std::vector<StreamId> kept;
  std::vector<StreamId> dropped;
  for (int i = 0; i < 200; ++i) {
    (i % 2 == 0 ? kept : dropped).push_back(home.Put(RandomBytes(seed + i, 100000)).id);
  }
  Problems problems;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Random random(seed + t);
      while (!stop) {
        const size_t i = random.Uniform(kept.size());
        const auto back = Get(store, kept[i]);
        if (!back.ok()) {
          problems.Add(back.status().ToString());
        } else if (*back != RandomBytes(seed + 2 * i, 100000)) {
          problems.Add("a stream reads other bytes");
        }
      }
    });
  }
  absl::Status deleted;
  uint64_t freed = 0;
  for (const StreamId& id : dropped) deleted.Update(store.Delete(id));
  for (int i = 0; i < 4; ++i) {
    const auto report = store.CollectGarbage({.rewrite_below_live_ratio = 1, .progress = nullptr});
    if (report.ok()) freed += report->containers_freed;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  problems.Check();
  CHECK(deleted.ok());
  CHECK(freed > 15);
}

}  // namespace strata::dedup
