// SPDX-License-Identifier: Apache-2.0
//
// The queue under the container log: what was waited for survives a power cut, one flush serves all
// who wait, and after a failure nothing more is taken.
#include "containers/append_queue.h"

#include <memory>
#include <thread>
#include <vector>

#include "fixture.h"
#include "strata/block/blocking.h"
#include "support/block/fault_device.h"

namespace strata::dedup {
namespace {

constexpr uint32_t kBlockBytes = 4096;

struct QueueHome {
  explicit QueueHome(uint64_t seed)
      : disk(std::make_unique<block::FaultDisk>(
            block::FaultDiskOptions{.block_count = 4096, .seed = seed})),
        device(disk->Open()) {
    queue = AppendQueue::Create({.device = device.get(),
                                 .mutex = &mutex,
                                 .block_bytes = kBlockBytes,
                                 .most_append_bytes = 4u << 20,
                                 .log = {},
                                 .on_durable = [this](uint64_t position) { durable = position; }})
                .value();
  }
  ~QueueHome() {
    MutexLock lock(&mutex);
    queue->Drain();
  }

  // At the end of what is there, without padding where the queue allows it.
  absl::StatusOr<uint64_t> Append(std::span<const std::byte> bytes) {
    MutexLock lock(&mutex);
    if (!queue->Continues(end)) end = (end + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    const uint64_t position = queue->Begin();
    places.push_back(end);
    const absl::Status status = queue->Stage(end, bytes);
    if (!status.ok()) return status;
    queue->MarkStaged(position);
    end += bytes.size();
    return position;
  }
  absl::Status WaitDurable(uint64_t position) {
    MutexLock lock(&mutex);
    bool flushed = false;
    return queue->WaitDurable(position, &flushed);
  }

  std::unique_ptr<block::FaultDisk> disk;
  std::unique_ptr<block::Device> device;
  Mutex mutex;
  uint64_t durable = 0;
  uint64_t end = 0;
  std::vector<uint64_t> places;
  std::unique_ptr<AppendQueue> queue;
};

Bytes ReadBack(block::FaultDisk& disk, uint64_t offset, size_t size) {
  const auto device = disk.Open();
  const auto channel = device->OpenChannel({}).value();
  const uint64_t first = offset / kBlockBytes;
  block::Buffer buffer((offset + size - first * kBlockBytes + kBlockBytes - 1) / kBlockBytes *
                       kBlockBytes);
  REQUIRE(block::ReadBlocking(*channel, block::Lba{first}, buffer.span()).ok());
  const auto bytes = buffer.span().subspan(offset - first * kBlockBytes, size);
  return Bytes(bytes.begin(), bytes.end());
}

}  // namespace

TEST_CASE("what was waited for survives a power cut, wherever it lies in its blocks") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  QueueHome home(seed);
  Random random(seed);
  std::vector<Bytes> appended;
  size_t promised = 0;
  for (int i = 0; i < 60; ++i) {
    appended.push_back(RandomBytes(seed + static_cast<uint64_t>(i), 1 + random.Uniform(90000)));
    const uint64_t position = home.Append(appended.back()).value();
    if (random.Uniform(4) != 0) continue;
    REQUIRE(home.WaitDurable(position).ok());
    CHECK(home.durable >= position);
    promised = appended.size();
  }
  const auto survivor = home.disk->PowerCut(seed);
  REQUIRE(promised > 0);
  for (size_t i = 0; i < promised; ++i) {
    REQUIRE(ReadBack(*survivor, home.places[i], appended[i].size()) == appended[i]);
  }
}

TEST_CASE("one flush serves everybody who appended before it began") {
  QueueHome home(1);
  constexpr int kThreads = 8;
  constexpr int kRounds = 50;
  const Bytes bytes = RandomBytes(1, 1000);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const absl::StatusOr<uint64_t> position = home.Append(bytes);
        if (!position.ok() || !home.WaitDurable(*position).ok()) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  MutexLock lock(&home.mutex);
  CHECK(home.queue->durable() == kThreads * kRounds);
  CHECK(home.queue->flush_count() <= kThreads * kRounds);
  CHECK(home.queue->flush_count() == home.disk->counts().flushes);
}

TEST_CASE("after a write or a flush that failed nothing more is taken, nor promised") {
  const block::Op failing = GENERATE(block::Op::kWrite, block::Op::kFlush);
  QueueHome home(2);
  const uint64_t first = home.Append(RandomBytes(1, 5000)).value();
  REQUIRE(home.WaitDurable(first).ok());
  home.disk->Inject({.op = failing, .nth = 1});
  const absl::StatusOr<uint64_t> second = home.Append(RandomBytes(2, 5000));
  REQUIRE(second.ok());
  const absl::Status status = home.WaitDurable(*second);
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(home.durable == first);
  home.disk->ClearFaults();
  const absl::StatusOr<uint64_t> third = home.Append(RandomBytes(3, 5000));
  CHECK((!third.ok() || absl::IsFailedPrecondition(home.WaitDurable(*third))));
  CHECK(home.WaitDurable(first).ok());  // That was true before.
  CHECK(home.durable == first);
}

}  // namespace strata::dedup
