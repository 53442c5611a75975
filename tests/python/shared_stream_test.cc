// SPDX-License-Identifier: Apache-2.0
//
// Threads that share one writer or reader, and one that closes it under the others.
#include "shared_stream.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/block/devices.h"
#include "strata/dedup/store.h"
#include "strata/kv/engines.h"
#include "support/forked_child.h"

namespace strata::python {
namespace {

constexpr int kThreads = 4;

void InThreads(const std::function<void(int)>& run) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(run, i);
  for (std::thread& thread : threads) thread.join();
}

// Sees whether two are in it together, or one after its end.
struct Fragile {
  ~Fragile() { (void)Enter(); }

  absl::Status Enter() {
    *broken = *broken || inside.exchange(true);
    std::this_thread::yield();
    ++calls;
    inside = false;
    return absl::OkStatus();
  }

  std::atomic<bool>* broken;
  std::atomic<bool> inside{false};
  int calls = 0;  // Not atomic: a thread sanitizer would see two callers.
};

struct Nothing {};

std::unique_ptr<Fragile> MakeFragile(std::atomic<bool>* broken) {
  auto fragile = std::make_unique<Fragile>();
  fragile->broken = broken;
  return fragile;
}

TEST_CASE("Calls of several threads take turns") {
  std::atomic<bool> broken{false};
  SharedStream<Nothing, Fragile> stream("writer", std::make_shared<Nothing>(),
                                        MakeFragile(&broken));
  InThreads([&](int) {
    for (int i = 0; i < 1000; ++i) {
      static_cast<void>(stream.Use([](Nothing&, Fragile& fragile) { return fragile.Enter(); }));
    }
  });
  CHECK_FALSE(broken);
  CHECK(stream.Use([](Nothing&, Fragile& fragile) { return fragile.calls; }) == kThreads * 1000);
}

TEST_CASE("Closing waits for the call in progress, and ends all later ones") {
  for (int round = 0; round < 200; ++round) {
    std::atomic<bool> broken{false};
    auto owner = std::make_shared<Nothing>();
    SharedStream<Nothing, Fragile> stream("reader", owner, MakeFragile(&broken));
    std::atomic<int> refused{0};
    InThreads([&](int i) {
      try {
        for (int n = 0; n < 20; ++n) {
          static_cast<void>(stream.Use([](Nothing&, Fragile& fragile) { return fragile.Enter(); }));
          if (i == 0 && n == 10) stream.Close();
        }
      } catch (const std::invalid_argument& error) {
        if (error.what() == std::string("the reader is closed")) ++refused;
      }
    });
    CHECK_FALSE(broken);
    CHECK(refused >= 1);
    CHECK(owner.use_count() == 1);
  }
}

// What a Python store hands its writers and readers: all of it goes with the last of them.
struct Stores {
  ~Stores() { *gone = true; }

  std::unique_ptr<kv::Store> kv = kv::CreateMemoryStore();
  std::unique_ptr<block::Device> device = block::CreateMemoryDevice({.block_count = 32768}).value();
  std::unique_ptr<dedup::Store> dedup;
  bool* gone;
};

std::shared_ptr<Stores> MakeStores(bool* gone) {
  auto stores = std::make_shared<Stores>();
  stores->gone = gone;
  dedup::StoreOptions options;
  options.device = stores->device.get();
  options.kv = stores->kv.get();
  options.container_bytes = 1u << 20;
  stores->dedup = dedup::Store::Open(options).value();
  return stores;
}

TEST_CASE("A dedup writer and reader, shared and closed by threads, keep their store until then") {
  const std::vector<std::byte> content(300'000, std::byte{7});
  for (int round = 0; round < 10; ++round) {
    bool gone = false;
    std::shared_ptr<Stores> stores = MakeStores(&gone);
    SharedStream<Stores, dedup::Writer> writer("writer", stores, stores->dedup->NewWriter());
    dedup::StreamId id;
    std::atomic<int> finished{0};
    InThreads([&](int i) {
      try {
        for (int n = 0; n < 4; ++n) {
          const absl::Status status =
              writer.Use([&](Stores&, dedup::Writer& open) { return open.Write(content); });
          if (!status.ok()) return;
        }
        if (i > 1) return;
        const absl::StatusOr<dedup::StreamInfo> info =
            writer.UseLast([](Stores&, dedup::Writer& open) { return open.Finish(); });
        if (!info.ok()) return;
        id = info->id;
        ++finished;
      } catch (const std::invalid_argument&) {
      }
    });
    CHECK(finished == 1);

    SharedStream<Stores, dedup::Reader> reader("reader", stores,
                                               stores->dedup->OpenReader(id).value());
    stores.reset();
    CHECK_FALSE(gone);
    std::atomic<int> failed{0};
    InThreads([&](int i) {
      std::vector<std::byte> out(100'000);
      try {
        for (int n = 0; n < 8; ++n) {
          const absl::StatusOr<size_t> read =
              reader.Use([&](Stores&, dedup::Reader& open) { return open.Read(5, out); });
          if (!read.ok() || *read != out.size() || out[0] != content[0]) ++failed;
          if (i == 0 && n == 4) reader.Close();
        }
      } catch (const std::invalid_argument&) {
      }
    });
    CHECK(failed == 0);
    CHECK(gone);
  }
}

TEST_CASE("A forked child does not wait for a thread that it does not have") {
  std::atomic<bool> broken{false};
  SharedStream<Nothing, Fragile> stream("writer", std::make_shared<Nothing>(),
                                        MakeFragile(&broken));
  std::atomic<bool> busy{false};
  std::atomic<bool> over{false};
  std::thread other([&] {
    static_cast<void>(stream.Use([&](Nothing&, Fragile&) {
      busy = true;
      while (!over) std::this_thread::yield();
      return absl::OkStatus();
    }));
  });
  while (!busy) std::this_thread::yield();
  CHECK(test::RunInChild(
            [&](test::ChildReport& report) {
              const absl::Status refused = stream.Use(
                  [](Nothing&, Fragile&) { return absl::FailedPreconditionError("the parent's"); });
              report.Expect(absl::IsFailedPrecondition(refused), "what the stream says");
              stream.Close();
            },
            test::ChildEnd::kQuickly) == 0);
  over = true;
  other.join();
  CHECK_FALSE(broken);
}

}  // namespace
}  // namespace strata::python
