// SPDX-License-Identifier: Apache-2.0
//
// Stores with threads of their own: the same results, errors that arrive, nothing left running.
#include <atomic>
#include <thread>

#include "containers/worker_pool.h"
#include "fixture.h"
#include "support/block/fault_device.h"

namespace strata::dedup {

TEST_CASE("every job runs once, by a worker or by who needs it") {
  for (const uint32_t threads : {0u, 1u, 3u}) {
    WorkerPool pool(threads);
    CHECK(pool.thread_count() == threads);
    constexpr int kJobs = 500;
    std::vector<std::atomic<int>> runs(kJobs);
    std::vector<std::shared_ptr<Job>> jobs;
    for (int i = 0; i < kJobs; ++i) {
      jobs.push_back(std::make_shared<Job>([&runs, i] { ++runs[i]; }));
      pool.Submit(jobs.back());
      if (i % 5 == 0) pool.TryRun(*jobs[i / 2]);
    }
    for (const auto& job : jobs) {
      pool.Finish(*job);
      CHECK(job->done());
    }
    for (const std::atomic<int>& count : runs) REQUIRE(count == 1);
  }
}

TEST_CASE("a cancelled job does not run afterwards") {
  for (int round = 0; round < 50; ++round) {
    WorkerPool pool(1);
    std::atomic<bool> cancelled{false};
    std::atomic<bool> late{false};
    std::vector<std::shared_ptr<Job>> jobs;
    for (int i = 0; i < 20; ++i) {
      jobs.push_back(std::make_shared<Job>([&] { late = late || cancelled; }));
      pool.Submit(jobs.back());
    }
    for (const auto& job : jobs) pool.Cancel(*job);
    cancelled = true;
    CHECK_FALSE(late);
  }
}

TEST_CASE("streams written and read with workers are those written and read without") {
  const uint64_t seed = test::Seed();
  for (const uint32_t writing : {0u, 1u, 3u}) {
    for (const uint32_t reading : {0u, 1u, 3u}) {
      INFO("STRATA_SEED=" << seed << " workers: " << writing << " writing, " << reading
                          << " reading");
      MemoryHome home;
      home.options.worker_threads = writing;
      home.Open();
      const Bytes data = TextBytes(seed, 5000000);
      const Bytes changed = [&] {
        Bytes bytes = data;
        const Bytes piece = RandomBytes(seed + 1, 70000);
        bytes.insert(bytes.begin() + 2000000, piece.begin(), piece.end());
        return bytes;
      }();
      const StreamInfo first = home.Put(data);
      const StreamInfo second = home.Put(changed);
      CHECK(second.new_chunk_bytes < 200000);
      home.options.worker_threads = reading;
      home.Open();
      CHECK(home.Get(first.id) == data);
      CHECK(home.Get(second.id) == changed);
      CHECK(home.Damages() == 0);
      // Pieces in and out of order.
      auto reader = home.store->OpenReader(second.id);
      REQUIRE(reader.ok());
      Random random(seed);
      uint64_t offset = 0;
      for (int i = 0; i < 200; ++i) {
        Bytes piece(1 + random.Uniform(100000));
        if (random.Uniform(4) == 0) offset = random.Uniform(changed.size());
        const absl::StatusOr<size_t> size = (*reader)->Read(offset, piece);
        REQUIRE(size.ok());
        REQUIRE(std::equal(piece.begin(), piece.begin() + static_cast<ptrdiff_t>(*size),
                           changed.begin() + static_cast<ptrdiff_t>(offset)));
        offset += *size;
        if (offset == changed.size()) offset = 0;
      }
    }
  }
}

TEST_CASE("workers cut streams and containers as the caller alone does") {
  const Bytes data = TextBytes(test::Seed(), 3000000);
  std::vector<StreamInfo> infos;
  for (const uint32_t threads : {0u, 1u, 4u}) {
    MemoryHome home;
    home.options.worker_threads = threads;
    home.Open();
    infos.push_back(home.Put(data));
  }
  for (const StreamInfo& info : infos) {
    CHECK(info.chunk_count == infos[0].chunk_count);
    CHECK(info.new_chunk_bytes == infos[0].new_chunk_bytes);
    CHECK(info.new_stored_bytes == infos[0].new_stored_bytes);
  }
}

TEST_CASE("writers and readers may be dropped at any moment while workers are busy") {
  MemoryHome home(256u << 20);
  home.options.worker_threads = 2;
  home.Open();
  const Bytes data = TextBytes(test::Seed(), 1500000);
  const StreamId id = home.Put(data).id;
  for (size_t size = 10000; size < data.size(); size += 90000) {
    const std::unique_ptr<Writer> writer = home.store->NewWriter();
    REQUIRE(writer->Write(RandomBytes(size, size)).ok());
    auto reader = home.store->OpenReader(id);
    REQUIRE(reader.ok());
    Bytes piece(size);
    REQUIRE((*reader)->Read(0, piece).ok());
  }
  CHECK(home.Get(id) == data);
  CHECK(home.Damages() == 0);
}

TEST_CASE("a device that fails under workers fails the next call, and the stream stays away") {
  const uint64_t seed = test::Seed();
  for (uint64_t n = 1;; ++n) {
    INFO("STRATA_SEED=" << seed << " write " << n << " fails");
    block::FaultDisk disk({.block_count = (32u << 20) / 4096, .seed = seed});
    const std::unique_ptr<block::Device> device = disk.Open();
    const std::unique_ptr<kv::Store> kv = kv::CreateMemoryStore();
    StoreOptions options;
    options.device = device.get();
    options.kv = kv.get();
    options.container_bytes = 1u << 20;
    options.worker_threads = 2;
    {
      absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(options);
      REQUIRE(store.ok());
      disk.Inject({.op = block::Op::kWrite, .nth = n});
      const absl::StatusOr<StreamInfo> info = Put(**store, RandomBytes(seed, 4000000));
      if (disk.faults_fired() == 0) {
        REQUIRE(info.ok());
        REQUIRE(n > 5);
        break;
      }
      CHECK_FALSE(info.ok());
      CHECK((*store)->Stats().stream_count == 0);
    }
    disk.ClearFaults();
    absl::StatusOr<std::unique_ptr<Store>> again = Store::Open(options);
    REQUIRE(again.ok());
    const Bytes data = RandomBytes(seed + 1, 1000000);
    const absl::StatusOr<StreamInfo> info = Put(**again, data);
    REQUIRE(info.ok());
    CHECK(*Get(**again, info->id) == data);
  }
}

}  // namespace strata::dedup
