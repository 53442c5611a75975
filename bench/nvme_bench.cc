// SPDX-License-Identifier: Apache-2.0
//
// Measures the host driver and the device model together, in one thread over the loop: what NVMe
// itself costs, without a wire.
//
//   nvme_bench [--device URI] [--depth N] [--seconds S]
//
// For reads and writes of 4 KiB at random places it prints: name, I/Os per second, I/Os per second
// of processor time, allocations per I/O (operator new, counted), and the latency that 50 % and
// 99 % of them kept, rounded up to a power of two.
//
// --device   below the namespace [null:?size=1T]
// --depth    commands in flight [128]
#include <time.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "strata/base/random.h"
#include "strata/block/buffer.h"
#include "strata/block/registry.h"
#include "strata/nvme/controller.h"
#include "strata/nvme/loop.h"
#include "support/counted_allocations.h"

namespace strata::nvme {
namespace {

constexpr uint32_t kBytes = 4096;

struct Settings {
  std::string device = "null:?size=1T";
  uint32_t depth = 128;
  double seconds = 1;
};

[[noreturn]] void Die(const absl::Status& status) {
  std::fprintf(stderr, "nvme_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) Die(value.status());
  return *std::move(value);
}

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class Runner {
 public:
  Runner(Controller& controller, block::Op op, const Settings& settings)
      : controller_(controller),
        op_(op),
        settings_(settings),
        random_(1),
        memory_(size_t{settings.depth} * kBytes),
        segments_(settings.depth),
        requests_(settings.depth) {}

  void Run() {
    const std::unique_ptr<block::Device> device = OrDie(controller_.OpenNamespace(1));
    channel_ = OrDie(device->OpenChannel({.queue_depth = settings_.depth}));
    blocks_per_io_ = kBytes / device->geometry().block_size_bytes;
    place_count_ = device->geometry().block_count / blocks_per_io_;
    for (uint32_t i = 0; i < settings_.depth; ++i) {
      segments_[i] = {memory_.data() + size_t{i} * kBytes, kBytes};
      requests_[i].op = op_;
      requests_[i].block_count = blocks_per_io_;
      requests_[i].segments = {&segments_[i], 1};
      requests_[i].context = this;
      requests_[i].done = [](block::Request* r) { static_cast<Runner*>(r->context)->OnDone(r); };
      Submit(&requests_[i]);
    }
    using SteadyClock = std::chrono::steady_clock;
    const auto start = SteadyClock::now();
    const double thread_start = ThreadSeconds();
    const uint64_t completed_before = completed_;
    const uint64_t allocations_before = allocation_count.load();
    while (std::chrono::duration<double>(SteadyClock::now() - start).count() < settings_.seconds) {
      for (int i = 0; i < 64; ++i) channel_->Poll(64);
    }
    const double thread_seconds = ThreadSeconds() - thread_start;
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    const double count = static_cast<double>(completed_ - completed_before);
    const double allocations = static_cast<double>(allocation_count.load() - allocations_before);
    is_ending_ = true;
    while (channel_->in_flight() > 0) channel_->Poll(64);
    channel_.reset();
    const LatencyHistogram latency = controller_.statistics().latency;
    std::printf(
        "%-6s %10.0f IOPS %10.0f IOPS/core %7.4f allocations/request p50 %llu p99 %llu ns\n",
        op_ == block::Op::kRead ? "read" : "write", count / seconds, count / thread_seconds,
        allocations / count, static_cast<unsigned long long>(latency.PercentileNs(0.5)),
        static_cast<unsigned long long>(latency.PercentileNs(0.99)));
  }

 private:
  void Submit(block::Request* request) {
    request->lba = block::Lba{random_.Uniform(place_count_) * blocks_per_io_};
    if (absl::Status status = channel_->Submit(request); !status.ok()) Die(status);
  }

  void OnDone(block::Request* request) {
    if (!request->status.ok()) Die(request->status);
    ++completed_;
    if (!is_ending_) Submit(request);
  }

  Controller& controller_;
  const block::Op op_;
  const Settings& settings_;
  Random random_;
  block::Buffer memory_;
  std::vector<block::Segment> segments_;
  std::vector<block::Request> requests_;
  std::unique_ptr<block::Channel> channel_;
  uint32_t blocks_per_io_ = 1;
  uint64_t place_count_ = 1;
  uint64_t completed_ = 0;
  bool is_ending_ = false;
};

Settings Parse(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--device" && has_value) {
      settings.device = argv[++i];
    } else if (argument == "--depth" && has_value) {
      settings.depth = static_cast<uint32_t>(std::atoi(argv[++i]));
    } else if (argument == "--seconds" && has_value) {
      settings.seconds = std::atof(argv[++i]);
    } else {
      Die(absl::InvalidArgumentError("unknown argument " + std::string(argument)));
    }
  }
  if (settings.depth == 0 || settings.depth > 1000) {
    Die(absl::InvalidArgumentError("--depth is not in 1..1000"));
  }
  return settings;
}

void Main(const Settings& settings) {
  for (const block::Op op : {block::Op::kRead, block::Op::kWrite}) {
    std::shared_ptr<Subsystem> subsystem =
        OrDie(CreateSubsystem({.nqn = "nqn.2026-11.org.example:bench", .allow_any_host = true}));
    std::shared_ptr<block::Device> device =
        OrDie(block::Registry::WithDefaults().Open(settings.device));
    (void)OrDie(subsystem->AddNamespace(std::move(device), {}));
    const std::unique_ptr<Controller> controller =
        OrDie(Controller::Open(OrDie(OpenLoop(subsystem, {})), {.io_queue_entries = 1024}));
    Runner(*controller, op, settings).Run();
  }
}

}  // namespace
}  // namespace strata::nvme

int main(int argc, char** argv) {
  strata::nvme::Main(strata::nvme::Parse(argc, argv));
  return 0;
}
