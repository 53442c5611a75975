// SPDX-License-Identifier: Apache-2.0
//
// Measures a block device. One thread, one channel, a fixed number of requests kept in flight.
//
//   block_bench [--device URI] [--ops a,b,...] [--seconds S] [--sleep] [--no-register] [--layout]
//
// Operations, each with the requests it keeps in flight:
//   randread1   randread32    4 KiB at random places            seqread   1 MiB in order, 8 in
//   flight randwrite1  randwrite32                                     seqwrite
// For each it prints: name, I/Os per second, MB/s, I/Os per second of processor time (what one core
// does, however many others want it), allocations per request (operator new, counted).
//
// --device       [mem:?size=16M]
// --sleep        sleep on the channel's eventfd instead of polling
// --no-register  do not register the buffers with the channel
// --layout       first write the whole device once, so that no operation meets a hole
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "strata/base/random.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/block/registry.h"
#include "support/counted_allocations.h"

namespace strata::block {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Workload {
  const char* name;
  Op op;
  bool is_random;
  uint32_t size_bytes;
  uint32_t in_flight;
};

constexpr Workload kWorkloads[] = {
    {"randread1", Op::kRead, true, 4096, 1},   {"randread32", Op::kRead, true, 4096, 32},
    {"randwrite1", Op::kWrite, true, 4096, 1}, {"randwrite32", Op::kWrite, true, 4096, 32},
    {"seqread", Op::kRead, false, 1 << 20, 8}, {"seqwrite", Op::kWrite, false, 1 << 20, 8},
};

struct Settings {
  std::string device = "mem:?size=16M";
  std::string ops;  // Empty: all.
  double seconds = 1;
  bool sleep = false;
  bool registers = true;
  bool layout = false;
};

[[noreturn]] void Die(const absl::Status& status) {
  std::fprintf(stderr, "block_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Keeps requests of one workload in flight: each completion starts the next one.
class Runner {
 public:
  Runner(Device& device, const Workload& workload, const Settings& settings)
      : workload_(workload), settings_(settings), random_(1), memory_(MemoryBytes(workload)) {
    auto channel = device.OpenChannel({.queue_depth = workload.in_flight});
    if (!channel.ok()) Die(channel.status());
    channel_ = *std::move(channel);
    const Geometry& geometry = device.geometry();
    blocks_per_io_ = workload.size_bytes / geometry.block_size_bytes;
    place_count_ = geometry.block_count / blocks_per_io_;
    random_.Fill(memory_.span());
    if (settings.registers) (void)channel_->RegisterMemory(memory_.span());
    for (uint32_t i = 0; i < workload.in_flight; ++i) {
      segments_.push_back({memory_.data() + size_t{i} * workload.size_bytes, workload.size_bytes});
    }
    requests_.resize(workload.in_flight);
  }

  void Run() {
    if (settings_.sleep) {
      const absl::StatusOr<int> fd = channel_->EventFd();
      if (!fd.ok()) Die(fd.status());
      wakeup_ = *fd;
    }
    const uint64_t allocations_before = allocation_count.load();
    const double thread_start = ThreadSeconds();
    const auto start = SteadyClock::now();
    const auto end = start + std::chrono::duration<double>(settings_.seconds);
    for (uint32_t i = 0; i < workload_.in_flight; ++i) Start(i);
    while (SteadyClock::now() < end) {
      for (int i = 0; i < 64; ++i) Step();
    }
    const double thread_seconds = ThreadSeconds() - thread_start;
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    const uint64_t completed = completed_;
    const uint64_t allocations = allocation_count.load() - allocations_before;
    is_ending_ = true;
    while (channel_->in_flight() > 0) channel_->Poll(64);
    const double per_second = static_cast<double>(completed) / seconds;
    std::printf("%-12s %10.0f IOPS %9.1f MB/s %10.0f IOPS/core %7.4f allocations/request\n",
                workload_.name, per_second, per_second * workload_.size_bytes / 1e6,
                static_cast<double>(completed) / thread_seconds,
                static_cast<double>(allocations) / static_cast<double>(completed));
    std::fflush(stdout);
  }

 private:
  static size_t MemoryBytes(const Workload& w) { return size_t{w.in_flight} * w.size_bytes; }

  void Step() {
    if (channel_->Poll(64) > 0 || wakeup_ < 0) return;
    pollfd waiter{.fd = wakeup_, .events = POLLIN, .revents = 0};
    poll(&waiter, 1, 1000);
  }

  void Start(uint32_t i) {
    Request& request = requests_[i];
    request.op = workload_.op;
    request.block_count = blocks_per_io_;
    request.segments = {&segments_[i], 1};
    request.context = this;
    request.done = [](Request* r) { static_cast<Runner*>(r->context)->OnDone(r); };
    Submit(&request);
  }

  void Submit(Request* request) {
    const uint64_t place = workload_.is_random ? random_.Uniform(place_count_) : next_place_;
    next_place_ = next_place_ + 1 < place_count_ ? next_place_ + 1 : 0;
    request->lba = Lba{place * blocks_per_io_};
    if (absl::Status status = channel_->Submit(request); !status.ok()) Die(status);
  }

  void OnDone(Request* request) {
    if (!request->status.ok()) Die(request->status);
    ++completed_;
    if (!is_ending_) Submit(request);
  }

  const Workload workload_;
  const Settings& settings_;
  Random random_;
  Buffer memory_;
  std::unique_ptr<Channel> channel_;
  uint32_t blocks_per_io_ = 0;
  uint64_t place_count_ = 0;
  uint64_t next_place_ = 0;
  uint64_t completed_ = 0;
  bool is_ending_ = false;
  int wakeup_ = -1;
  std::vector<Segment> segments_;
  std::vector<Request> requests_;
};

void LayOut(Device& device) {
  auto channel = device.OpenChannel({});
  if (!channel.ok()) Die(channel.status());
  const Geometry& geometry = device.geometry();
  Random random(2);
  Buffer buffer(8 << 20);
  random.Fill(buffer.span());
  const uint64_t step = buffer.size() / geometry.block_size_bytes;
  for (uint64_t lba = 0; lba < geometry.block_count; lba += step) {
    const uint64_t blocks = std::min(step, geometry.block_count - lba);
    const auto data = buffer.span().first(blocks * geometry.block_size_bytes);
    if (absl::Status s = WriteBlocking(**channel, Lba{lba}, data); !s.ok()) Die(s);
  }
  if (absl::Status status = FlushBlocking(**channel); !status.ok()) Die(status);
}

Settings Parse(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--sleep") {
      settings.sleep = true;
    } else if (argument == "--no-register") {
      settings.registers = false;
    } else if (argument == "--layout") {
      settings.layout = true;
    } else if (argument == "--device" && has_value) {
      settings.device = argv[++i];
    } else if (argument == "--ops" && has_value) {
      settings.ops = argv[++i];
    } else if (argument == "--seconds" && has_value) {
      settings.seconds = std::atof(argv[++i]);
    } else {
      Die(absl::InvalidArgumentError("unknown argument " + std::string(argument)));
    }
  }
  return settings;
}

bool IsAsked(const std::string& ops, const std::string& name) {
  return ops.empty() || ("," + ops + ",").find("," + name + ",") != std::string::npos;
}

void Main(const Settings& settings) {
  auto device = Registry::WithDefaults([](LogLevel, std::string_view line) {
                  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
                }).Open(settings.device);
  if (!device.ok()) Die(device.status());
  if (settings.layout) LayOut(**device);
  for (const Workload& workload : kWorkloads) {
    if (IsAsked(settings.ops, workload.name)) Runner(**device, workload, settings).Run();
  }
}

}  // namespace
}  // namespace strata::block

int main(int argc, char** argv) {
  strata::block::Main(strata::block::Parse(argc, argv));
  return 0;
}
