// SPDX-License-Identifier: Apache-2.0
//
// What a command costs the NVMe/TCP target, without a host that thinks: one thread polls a target's
// worker, another keeps commands under way on one connection, whose bytes it made beforehand.
//
//   nvmeof_target_bench [--device URI] [--op read|write] [--bytes N] [--depth N] [--seconds S]
//                       [--engine epoll|io_uring] [--digests] [--sleep]
//
// Prints: name, commands per second, the target thread's processor time per command (user and
// kernel, in nanoseconds), its socket calls per command, and allocations per command (operator new,
// both threads). On loopback the kernel delivers what a
// thread sends in that thread's time.
//
// --device   below the namespace [null:?size=1T]
// --bytes    of one command [4096]; writes carry their data in the capsule, so 8192 at most
// --sleep    both threads sleep while there is nothing to do; without it they never do, and each
//            is bound to a processor where there are two
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "strata/base/random.h"
#include "strata/block/registry.h"
#include "strata/nvmeof/target.h"
#include "support/nvmeof/raw_host.h"

namespace {
std::atomic<uint64_t> allocation_count{0};
}

void* operator new(size_t size_bytes) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(size_bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace strata::nvmeof {
namespace {

constexpr int kPatienceMs = 20'000;

struct Settings {
  std::string device = "null:?size=1T";
  nvme::IoOpcode opcode = nvme::IoOpcode::kRead;
  uint32_t bytes = 4096;
  uint32_t depth = 32;
  double seconds = 1;
  LinkEngine engine = LinkEngine::kEpoll;
  bool digests = false;
  bool sleeps = false;
};

[[noreturn]] void Die(const absl::Status& status) {
  std::fprintf(stderr, "nvmeof_target_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) Die(value.status());
  return *std::move(value);
}

void BindTo(unsigned processor) {
  if (std::thread::hardware_concurrency() < 2) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  (void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

double ThreadSeconds(pthread_t thread) {
  clockid_t clock{};
  timespec now{};
  (void)pthread_getcpuclockid(thread, &clock);
  (void)clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class PolledTarget {
 public:
  explicit PolledTarget(const Settings& settings) : target_(OrDie(Create(settings))) {
    const RawHost::ConnectOptions names;
    std::shared_ptr<nvme::Subsystem> subsystem =
        OrDie(nvme::CreateSubsystem({.nqn = names.subsystem_nqn, .allow_any_host = true}));
    std::shared_ptr<block::Device> device =
        OrDie(block::Registry::WithDefaults().Open(settings.device));
    geometry = device->geometry();
    (void)OrDie(subsystem->AddNamespace(std::move(device), {}));
    if (absl::Status status = target_->AddSubsystem(subsystem); !status.ok()) Die(status);
    endpoint = OrDie(target_->AddListener({.endpoint = *ParseEndpoint("127.0.0.1:0")}));
    worker_ = OrDie(target_->OpenWorker());
    thread_ = std::thread([this, sleeps = settings.sleeps] {
      if (!sleeps) BindTo(0);
      pthread_setname_np(pthread_self(), "target");
      while (!ends_.load(std::memory_order_relaxed)) worker_->Poll(sleeps ? 100'000'000 : 0);
    });
  }
  ~PolledTarget() {
    ends_.store(true);
    thread_.join();
    worker_.reset();
  }

  double seconds() { return ThreadSeconds(thread_.native_handle()); }
  TargetStatistics statistics() const { return target_->statistics(); }

  block::Geometry geometry;
  Endpoint endpoint;

 private:
  static absl::StatusOr<std::unique_ptr<Target>> Create(const Settings& settings) {
    return Target::Create({.engine = settings.engine});
  }

  std::unique_ptr<Target> target_;
  std::unique_ptr<Worker> worker_;
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

// The host's bytes: commands in a ring, and how many bytes answer each.
class Load {
 public:
  Load(const Settings& settings, const block::Geometry& geometry, const PduWriter& writer) {
    const bool is_write = settings.opcode == nvme::IoOpcode::kWrite;
    const uint32_t blocks = std::max(settings.bytes / geometry.block_size_bytes, 1u);
    const size_t digest = settings.digests ? pdu::kDigestBytes : 0;
    const std::vector<std::byte> data(is_write ? settings.bytes : 0, std::byte{0x11});
    Random random(1);
    // A multiple of the depth: answers come in order, so that a command id is free again in time.
    count_ = settings.depth * std::max(2048 / settings.depth, 1u);
    for (uint32_t i = 0; i < count_; ++i) {
      const uint64_t lba = random.Uniform(geometry.block_count / blocks) * blocks;
      const nvme::SubmissionEntry entry =
          MakeBlocksEntry(settings.opcode, static_cast<uint16_t>(i % settings.depth), 1, lba,
                          blocks, settings.bytes, is_write);
      std::array<std::byte, pdu::kMaxHeadBytes> head;
      const size_t size =
          writer.WriteCommandCapsule(entry.bytes, is_write ? settings.bytes : 0, head);
      requests_.insert(requests_.end(), head.begin(), head.begin() + static_cast<ptrdiff_t>(size));
      if (!is_write) continue;
      requests_.insert(requests_.end(), data.begin(), data.end());
      const iovec vector{const_cast<std::byte*>(data.data()), data.size()};
      std::array<std::byte, pdu::kDigestBytes> tail;
      const size_t tail_size = writer.WriteDataDigest({&vector, 1}, tail);
      requests_.insert(requests_.end(), tail.begin(),
                       tail.begin() + static_cast<ptrdiff_t>(tail_size));
    }
    request_bytes_ = requests_.size() / count_;
    // Without flow control a read's last data says that it succeeded.
    answer_bytes_ = is_write ? pdu::kResponseBytes + digest
                             : pdu::kTransferBytes + digest + settings.bytes + digest;
  }

  size_t answer_bytes() const { return answer_bytes_; }

  void Send(RawHost& host, size_t count) {
    while (count > 0) {
      const size_t some = std::min(count, count_ - next_);
      host.SendBytes(std::span(requests_).subspan(next_ * request_bytes_, some * request_bytes_));
      next_ = (next_ + some) % count_;
      count -= some;
    }
  }

 private:
  std::vector<std::byte> requests_;
  size_t count_ = 0;
  size_t request_bytes_ = 0;
  size_t answer_bytes_ = 0;
  size_t next_ = 0;
};

// Returns how many commands were answered.
uint64_t Drive(RawHost& host, Load& load, const Settings& settings, double seconds,
               std::span<std::byte> scratch) {
  using SteadyClock = std::chrono::steady_clock;
  const auto end = SteadyClock::now() + std::chrono::duration<double>(seconds);
  uint64_t answered = 0;
  uint64_t under_way = settings.depth;
  load.Send(host, settings.depth);
  for (size_t partial = 0; under_way > 0;) {
    const ssize_t got = recv(host.fd(), scratch.data(), scratch.size(), MSG_DONTWAIT);
    if (got == 0) Die(absl::UnavailableError("the target has ended the connection"));
    if (got < 0) {
      pollfd readable{host.fd(), POLLIN, 0};
      if (settings.sleeps && poll(&readable, 1, kPatienceMs) <= 0) {
        Die(absl::DeadlineExceededError("no answer"));
      }
      continue;
    }
    partial += static_cast<size_t>(got);
    const size_t whole = partial / load.answer_bytes();
    partial %= load.answer_bytes();
    answered += whole;
    under_way -= whole;
    if (SteadyClock::now() >= end) continue;
    load.Send(host, whole);
    under_way += whole;
  }
  return answered;
}

void Main(const Settings& settings) {
  PolledTarget target(settings);
  if (!settings.sleeps) BindTo(1);
  const PduSettings digests{.header_digest = settings.digests, .data_digest = settings.digests};
  RawHost::ConnectOptions names;
  names.queue_entries = std::max(settings.depth + 1, 32u);
  names.flow_control = false;
  RawHost admin(target.endpoint);
  admin.Init(digests);
  RawHost::ConnectOptions admin_names = names;
  admin_names.queue_entries = 32;
  names.controller_id = static_cast<uint16_t>(admin.Connect(admin_names).result);
  admin.Enable();
  RawHost host(target.endpoint);
  host.Init(digests);
  names.queue_id = 1;
  if (!host.Connect(names).status.ok()) Die(absl::InternalError("the queue was refused"));

  Load load(settings, target.geometry, host.writer());
  std::vector<std::byte> scratch(1u << 20);
  Drive(host, load, settings, settings.seconds / 5, scratch);
  const TargetStatistics before = target.statistics();
  const double target_before = target.seconds();
  const uint64_t allocations_before = allocation_count.load();
  const auto start = std::chrono::steady_clock::now();
  const double count = static_cast<double>(Drive(host, load, settings, settings.seconds, scratch));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double target_seconds = target.seconds() - target_before;
  const double allocations = static_cast<double>(allocation_count.load() - allocations_before);
  const TargetStatistics after = target.statistics();
  const double calls =
      static_cast<double>(after.sends - before.sends + after.receives - before.receives);
  std::printf(
      "%-5s %7u bytes depth %4u %10.0f IOPS %8.0f ns/command %7.4f calls/command %7.4f "
      "allocations/command\n",
      settings.opcode == nvme::IoOpcode::kRead ? "read" : "write", settings.bytes, settings.depth,
      count / seconds, target_seconds * 1e9 / count, calls / count, allocations / count);
}

Settings Parse(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--digests") {
      settings.digests = true;
    } else if (argument == "--sleep") {
      settings.sleeps = true;
    } else if (argument == "--device" && has_value) {
      settings.device = argv[++i];
    } else if (argument == "--op" && has_value) {
      settings.opcode =
          std::string_view(argv[++i]) == "write" ? nvme::IoOpcode::kWrite : nvme::IoOpcode::kRead;
    } else if (argument == "--bytes" && has_value) {
      settings.bytes = static_cast<uint32_t>(std::atoi(argv[++i]));
    } else if (argument == "--depth" && has_value) {
      settings.depth = static_cast<uint32_t>(std::atoi(argv[++i]));
    } else if (argument == "--seconds" && has_value) {
      settings.seconds = std::atof(argv[++i]);
    } else if (argument == "--engine" && has_value) {
      settings.engine =
          std::string_view(argv[++i]) == "io_uring" ? LinkEngine::kUring : LinkEngine::kEpoll;
    } else {
      Die(absl::InvalidArgumentError("unknown argument " + std::string(argument)));
    }
  }
  const bool is_write = settings.opcode == nvme::IoOpcode::kWrite;
  if (settings.bytes == 0 || settings.bytes % 4096 != 0 ||
      settings.bytes > (is_write ? 8192u : 1u << 20)) {
    Die(absl::InvalidArgumentError("--bytes: a multiple of 4096, for writes 8192 at most"));
  }
  if (settings.depth == 0 || settings.depth > 1000) {
    Die(absl::InvalidArgumentError("--depth is not in 1..1000"));
  }
  return settings;
}

}  // namespace
}  // namespace strata::nvmeof

int main(int argc, char** argv) {
  strata::nvmeof::Main(strata::nvmeof::Parse(argc, argv));
  return 0;
}
