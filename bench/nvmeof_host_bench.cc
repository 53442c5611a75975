// SPDX-License-Identifier: Apache-2.0
//
// What a command costs the initiator: one channel with a full queue, against our target over null:
// on another thread. Prints, for each row, thousands of commands a second and nanoseconds of
// processor time of the host's thread for each, kernel included.
//
//   nvmeof_host_bench [SECONDS_PER_ROW]
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "strata/base/check.h"
#include "strata/base/random.h"
#include "strata/block/buffer.h"
#include "strata/block/devices.h"
#include "strata/nvmeof/initiator.h"
#include "strata/nvmeof/target.h"

namespace strata::nvmeof {
namespace {

using block::Lba;
using block::Op;

constexpr char kNqn[] = "nqn.2026-11.org.example:bench";
constexpr uint64_t kBlocks = 1u << 20;

int64_t ThreadNanos() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

struct Server {
  Server() {
    target = *Target::Create({});
    auto subsystem = *nvme::CreateSubsystem({.nqn = kNqn, .allow_any_host = true});
    STRATA_CHECK(
        subsystem->AddNamespace(*block::CreateNullDevice({.block_count = kBlocks}), {}).ok(),
        "a namespace");
    STRATA_CHECK(target->AddSubsystem(subsystem).ok(), "a subsystem");
    endpoint = *target->AddListener({.endpoint = *ParseEndpoint("127.0.0.1:0")});
    thread = std::thread([this, worker = *target->OpenWorker()]() mutable {
      while (!ends.load(std::memory_order_relaxed)) worker->Poll(1'000'000);
    });
  }
  ~Server() {
    ends.store(true);
    thread.join();
  }

  std::unique_ptr<Target> target;
  Endpoint endpoint;
  std::atomic<bool> ends{false};
  std::thread thread;
};

struct Row {
  const char* name;
  Op op;
  uint32_t blocks;
  uint32_t depth;
  bool has_digests;
};

struct Load {
  block::Channel* channel;
  Random random{1};
  uint64_t count = 0;
  bool ends = false;
};

void Measure(const Row& row, double seconds) {
  Server server;
  auto controller = *nvme::Controller::Open(*ConnectTcp({.endpoint = server.endpoint,
                                                         .subsystem_nqn = kNqn,
                                                         .header_digest = row.has_digests,
                                                         .data_digest = row.has_digests}),
                                            {.io_queue_entries = row.depth + 1});
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({.queue_depth = row.depth});
  Load load{.channel = channel.get()};
  const size_t bytes = row.blocks * size_t{4096};
  block::Buffer memory(bytes * row.depth);
  std::vector<block::Segment> segments(row.depth);
  std::vector<block::Request> requests(row.depth);
  for (uint32_t i = 0; i < row.depth; ++i) {
    segments[i] = {memory.data() + i * bytes, bytes};
    requests[i] = {.op = row.op,
                   .block_count = row.blocks,
                   .segments = {&segments[i], 1},
                   .done =
                       [](block::Request* request) {
                         Load* own = static_cast<Load*>(request->context);
                         STRATA_CHECK(request->status.ok(), "a request failed");
                         ++own->count;
                         if (own->ends) return;
                         request->lba = Lba{own->random.Uniform(kBlocks - request->block_count)};
                         STRATA_CHECK(own->channel->Submit(request).ok(), "a request is refused");
                       },
                   .context = &load};
    STRATA_CHECK(channel->Submit(&requests[i]).ok(), "a request is refused");
  }
  const auto run = [&](double for_seconds) {
    const int64_t end_ns = SystemClock().MonotonicNanos() + static_cast<int64_t>(for_seconds * 1e9);
    while (SystemClock().MonotonicNanos() < end_ns) {
      for (int i = 0; i < 32; ++i) channel->Poll(256);
    }
  };
  run(seconds / 4);
  load.count = 0;
  const int64_t wall_before = SystemClock().MonotonicNanos();
  const int64_t thread_before = ThreadNanos();
  run(seconds);
  const double count = static_cast<double>(load.count);
  const double wall_ns = static_cast<double>(SystemClock().MonotonicNanos() - wall_before);
  std::printf("%-28s %8.1f k/s %8.0f ns\n", row.name, count / wall_ns * 1e6,
              static_cast<double>(ThreadNanos() - thread_before) / count);
  std::fflush(stdout);
  load.ends = true;
  while (channel->in_flight() > 0) channel->Poll(256);
}

}  // namespace
}  // namespace strata::nvmeof

int main(int argc, char** argv) {
  using strata::block::Op;
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1;
  const strata::nvmeof::Row rows[] = {
      {"4 KiB read, depth 1", Op::kRead, 1, 1, false},
      {"4 KiB read, depth 32", Op::kRead, 1, 32, false},
      {"4 KiB read, depth 128", Op::kRead, 1, 128, false},
      {"4 KiB write, depth 1", Op::kWrite, 1, 1, false},
      {"4 KiB write, depth 32", Op::kWrite, 1, 32, false},
      {"4 KiB write, depth 128", Op::kWrite, 1, 128, false},
      {"128 KiB read, depth 32", Op::kRead, 32, 32, false},
      {"128 KiB write, depth 32", Op::kWrite, 32, 32, false},
      {"4 KiB read, 128, digests", Op::kRead, 1, 128, true},
      {"4 KiB write, 128, digests", Op::kWrite, 1, 128, true},
  };
  for (const auto& row : rows) Measure(row, seconds);
  return 0;
}
