// SPDX-License-Identifier: Apache-2.0
//
// Lanes in threads, while namespaces come, go and change: no lane is paused, every command ends,
// and a change settles.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "strata/base/random.h"
#include "strata/block/blocking.h"
#include "strata/block/devices.h"
#include "strata/nvme/controller.h"
#include "strata/nvme/loop.h"
#include "support/seed.h"

namespace strata::nvme {
namespace {

std::shared_ptr<block::Device> Memory(uint64_t blocks) {
  return *block::CreateMemoryDevice({.block_count = blocks});
}

TEST_CASE("namespaces change under the I/O of several threads") {
  constexpr int kThreads = 3;
  const uint64_t seed = test::Seed();
  auto subsystem =
      *CreateSubsystem({.nqn = "nqn.2026-11.org.example:threads", .allow_any_host = true});
  REQUIRE(subsystem->AddNamespace(Memory(256), {}).ok());
  REQUIRE(subsystem->AddNamespace(Memory(256), {}).ok());
  const auto controller =
      *Controller::Open(*OpenLoop(subsystem, {}), {.has_thread = true, .thread_poll_ms = 1});
  // Namespace 1 stays and must never fail; namespace 2 changes.
  auto steady = *controller->OpenNamespace(1);
  auto changing = *controller->OpenNamespace(2);
  std::atomic<bool> stop{false};
  std::vector<absl::Status> outcomes(kThreads);
  std::vector<uint64_t> served(kThreads);
  const auto work = [&](int t) -> absl::Status {
    Random random(seed + static_cast<uint64_t>(t));
    auto first = steady->OpenChannel({.queue_depth = 4});
    auto second = changing->OpenChannel({.queue_depth = 4});
    if (!first.ok()) return first.status();
    if (!second.ok()) return second.status();
    block::Buffer written(8192);
    block::Buffer read(8192);
    while (!stop.load() || served[t] < 50) {
      random.Fill(written.span());
      const block::Lba lba{static_cast<uint64_t>(t) * 64 + random.Uniform(62)};
      if (absl::Status s = WriteBlocking(**first, lba, written.span()); !s.ok()) return s;
      if (absl::Status s = ReadBlocking(**first, lba, read.span()); !s.ok()) return s;
      if (!std::ranges::equal(read.span(), written.span())) {
        return absl::DataLossError("a read differs from its write");
      }
      // Gone, smaller or there: an answer in any case.
      const absl::Status other = ReadBlocking(**second, lba, read.span());
      if (!other.ok() && !absl::IsUnavailable(other)) return other;
      ++served[t];
    }
    return absl::OkStatus();
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] { outcomes[t] = work(t); });
  }
  Random random(seed);
  int failed_changes = 0;
  for (int change = 0; change < 60; ++change) {
    const absl::Status status =
        change % 4 == 0   ? subsystem->RemoveNamespace(2)
        : change % 4 == 1 ? subsystem->AddNamespace(Memory(256), {.nsid = 2}).status()
        : change % 4 == 2 ? subsystem->ReplaceDevice(2, Memory(1 + random.Uniform(512)))
                          : subsystem->SetQos(2, {.iops = random.Uniform(2) * 100'000});
    failed_changes += status.ok() ? 0 : 1;
    const uint64_t generation = subsystem->generation();
    while (!subsystem->IsSettled(generation)) std::this_thread::yield();
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < kThreads; ++t) {
    INFO("thread " << t << ": " << outcomes[t]);
    CHECK(outcomes[t].ok());
    CHECK(served[t] >= 50);
  }
  CHECK(failed_changes == 0);
  CHECK(controller->statistics().resets == 0);
}

TEST_CASE("resets under the I/O of several threads lose no request") {
  constexpr int kThreads = 3;
  auto subsystem =
      *CreateSubsystem({.nqn = "nqn.2026-11.org.example:threads", .allow_any_host = true});
  REQUIRE(subsystem->AddNamespace(Memory(256), {}).ok());
  const auto controller =
      *Controller::Open(*OpenLoop(subsystem, {}), {.has_thread = true, .thread_poll_ms = 1});
  auto device = *controller->OpenNamespace(1);
  std::atomic<bool> stop{false};
  std::vector<absl::Status> outcomes(kThreads);
  const auto work = [&](int t) -> absl::Status {
    auto channel = device->OpenChannel({.queue_depth = 4});
    if (!channel.ok()) return channel.status();
    block::Buffer buffer(8192);
    while (!stop.load()) {
      const block::Lba lba{static_cast<uint64_t>(t) * 64};
      const absl::Status write = WriteBlocking(**channel, lba, buffer.span());
      if (!write.ok() && !absl::IsUnavailable(write)) return write;
      const absl::Status read = ReadBlocking(**channel, lba, buffer.span());
      if (!read.ok() && !absl::IsUnavailable(read)) return read;
    }
    return absl::OkStatus();
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] { outcomes[t] = work(t); });
  }
  for (uint64_t reset = 1; reset <= 20; ++reset) {
    controller->RequestReset("a test");
    while (controller->statistics().resets < reset) std::this_thread::yield();
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& outcome : outcomes) CHECK(outcome == absl::OkStatus());
  CHECK(controller->health().ok());
}

}  // namespace
}  // namespace strata::nvme
