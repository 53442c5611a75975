// SPDX-License-Identifier: Apache-2.0
//
// Fifty times a second a host connects and goes, one way or the other, while another one reads and
// writes. Nothing is left of them: no descriptor, no controller, no memory of the pool.
// STRATA_CHURN_SECONDS says for how long; of a minute, the second half must need no more memory.
#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "hostile_cases.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "support/nvmeof/restartable_target.h"

namespace strata::nvmeof {
namespace {

using block::Lba;

constexpr uint32_t kPoolBytes = 1u << 20;
constexpr uint32_t kHalfBlocks = kPoolBytes / 2 / kBlock;  // What takes one controller's share.
constexpr int kPerSecond = 50;

size_t OpenDescriptors() {
  size_t count = 0;
  DIR* folder = opendir("/proc/self/fd");
  REQUIRE(folder != nullptr);
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

// What the process holds of the heap. Its resident pages say less: they grow by a mebibyte whenever
// many threads happen to allocate at once.
uint64_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Another host's reads and writes, in a thread that uses none of the test framework.
class SteadyHost {
 public:
  explicit SteadyHost(const Endpoint& endpoint) {
    auto device = OpenRestartable(endpoint, "");
    INFO(device.status());
    REQUIRE(device.ok());
    device_ = *std::move(device);
    thread_ = std::thread([this] { Work(); });
  }
  ~SteadyHost() { Stop(); }

  void Stop() {
    ends_.store(true);
    if (thread_.joinable()) thread_.join();
    device_.reset();
  }
  uint64_t rounds() const { return rounds_.load(); }
  uint64_t wrong() const { return wrong_.load(); }

 private:
  // The upper half of the disk is this host's.
  void Work() {
    auto channel = device_->OpenChannel({.queue_depth = 8});
    if (!channel.ok()) {
      ++wrong_;
      return;
    }
    block::Buffer written(64 * kBlock);
    block::Buffer read(64 * kBlock);
    while (!ends_.load()) {
      const uint64_t round = ++rounds_;
      const Lba lba{kTestBlocks / 2 + round * 64 % (kTestBlocks / 2)};
      std::fill_n(written.data(), written.size(), static_cast<std::byte>(round));
      if (!WriteBlocking(**channel, lba, written.span()).ok() ||
          !ReadBlocking(**channel, lba, read.span()).ok() ||
          !std::equal(written.span().begin(), written.span().end(), read.span().begin())) {
        ++wrong_;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  std::unique_ptr<block::Device> device_;
  std::atomic<bool> ends_{false};
  std::atomic<uint64_t> rounds_{0};
  std::atomic<uint64_t> wrong_{0};
  std::thread thread_;
};

// A host that connects, uses the target, and goes as hosts should.
void ComeAndGo(const Endpoint& endpoint, const char* options) {
  auto device = OpenRestartable(endpoint, options);
  INFO(device.status());
  REQUIRE(device.ok());
  const auto channel = *(*device)->OpenChannel({.queue_depth = 4});
  block::Buffer buffer(64 * kBlock);
  CHECK(WriteBlocking(*channel, Lba{64}, buffer.span()).ok());
  CHECK(ReadBlocking(*channel, Lba{64}, buffer.span()).ok());
}

// The ways to come and go.
const std::vector<void (*)(const Endpoint&)>& Visits() {
  static const std::vector<void (*)(const Endpoint&)> visits = {
      [](const Endpoint& endpoint) { ComeAndGo(endpoint, ""); },
      [](const Endpoint& endpoint) { ComeAndGo(endpoint, "&hdgst=1&ddgst=1"); },
      // Says nothing, or half of its first PDU.
      [](const Endpoint& endpoint) { RawHost(endpoint).Abort(); },
      [](const Endpoint& endpoint) { RawHost(endpoint).SendBytes(Bytes(60, std::byte{0})); },
      // Says who it is, and goes.
      [](const Endpoint& endpoint) {
        RawHost host(endpoint);
        host.Init();
        CHECK(host.Connect({.keep_alive_ms = 1000}).status.ok());
      },
      // Owes data, for which the target holds memory.
      [](const Endpoint& endpoint) {
        TargetRig::Host host(endpoint);
        host.io.SendCommand(Write(kHalfBlocks, 0, false));
        REQUIRE(host.io.Receive().has_value());
        host.io.Abort();
        host.admin.Abort();
      },
      // Asks for more than it takes.
      [](const Endpoint& endpoint) {
        TargetRig::Host host(endpoint);
        for (uint16_t i = 0; i < 8; ++i) host.io.SendCommand(Read(kHalfBlocks));
        REQUIRE(host.io.Receive().has_value());
        host.io.Abort();
      },
      // Breaks the protocol.
      [](const Endpoint& endpoint) {
        TargetRig::Host host(endpoint);
        host.io.SendBytes(Bytes(72, std::byte{0xff}));
        CHECK(host.io.Receive().has_value());
      },
      [](const Endpoint& endpoint) {
        CHECK(Discover({.endpoint = endpoint, .connect_timeout_ms = 60'000}).ok());
      },
  };
  return visits;
}

void CheckThatThePoolIsWhole(const Endpoint& endpoint) {
  TargetRig::Host first(endpoint);
  TargetRig::Host second(endpoint);
  for (TargetRig::Host* host : {&first, &second}) {
    host->io.SendCommand(Write(kHalfBlocks, 0, false));
    const auto pdu = host->io.Receive();  // While the other one holds its half, too.
    REQUIRE(pdu.has_value());
    CHECK(pdu->header.type == PduType::kReadyToTransfer);
  }
}

void Churn(LinkEngine engine, size_t workers, int seconds) {
  INFO("engine " << static_cast<int>(engine) << ", " << workers << " workers");
  TargetRig rig({.engine = engine, .pool_bytes = kPoolBytes}, workers,
                {.nqn = RestartableTarget::kNqn,
                 .allow_any_host = true,
                 .max_transfer_bytes = kPoolBytes / 2});
  const auto is_quiet = [&](size_t connections, size_t controllers) {
    return TargetRig::Soon([&] {
      return rig.target->Connections().size() == connections &&
             rig.subsystem->Controllers().size() == controllers;
    });
  };
  // What is made once and kept: each worker's lanes and their descriptors. A lane that a busy
  // machine makes later is allowed for below; each visit's descriptor would be far more.
  for (const auto& visit : Visits()) visit(rig.endpoint);
  for (const char* nqn : {RestartableTarget::kNqn, "nqn.2014-08.org.nvmexpress.discovery"}) {
    REQUIRE(is_quiet(0, 0));
    std::vector<std::unique_ptr<RawHost>> hosts;
    for (size_t i = 0; i < workers; ++i) {
      hosts.push_back(std::make_unique<RawHost>(rig.endpoint));
      hosts.back()->Init();
      REQUIRE(hosts.back()->Connect({.subsystem_nqn = nqn}).status.ok());
    }
  }
  REQUIRE(is_quiet(0, 0));
  const size_t without_hosts = OpenDescriptors();
  SteadyHost steady(rig.endpoint);
  REQUIRE(is_quiet(2, 1));
  REQUIRE(TargetRig::Soon([&] { return steady.rounds() > 3; }));
  const size_t with_one_host = OpenDescriptors();
  std::vector<uint64_t> allocated;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < seconds * kPerSecond; ++i) {
    std::this_thread::sleep_until(start + i * std::chrono::milliseconds(1000 / kPerSecond));
    Visits()[static_cast<size_t>(i) % Visits().size()](rig.endpoint);
    if (i % kPerSecond != kPerSecond - 1) continue;
    REQUIRE(is_quiet(2, 1));
    // The kernel may close a socket a moment after the target has let go of it.
    CHECK(TargetRig::Soon([&] { return OpenDescriptors() <= with_one_host + workers; }));
    allocated.push_back(AllocatedBytes());
  }
  CHECK(steady.wrong() == 0);
  CHECK(steady.rounds() > 10);
  steady.Stop();
  REQUIRE(is_quiet(0, 0));
  CHECK(TargetRig::Soon([&] { return OpenDescriptors() <= without_hosts + workers; }));
  if (workers == 1) CheckThatThePoolIsWhole(rig.endpoint);
  if (seconds < 30) return;
  const auto half = allocated.begin() + static_cast<ptrdiff_t>(allocated.size() / 2);
  const uint64_t first_half = *std::max_element(allocated.begin(), half);
  const uint64_t second_half = *std::max_element(half, allocated.end());
  std::printf("allocated, at most: %llu KiB, then %llu KiB\n",
              static_cast<unsigned long long>(first_half >> 10),
              static_cast<unsigned long long>(second_half >> 10));
  // The half has 1,500 visits: 43 bytes that each of them left would be seen.
  CHECK(second_half <= first_half + (64u << 10));
}

TEST_CASE("connections that come and go leave nothing") {
  const char* text = std::getenv("STRATA_CHURN_SECONDS");
  const int seconds = text != nullptr ? std::atoi(text) : 3;
  if (seconds >= 30) {
    Churn(LinkEngine::kEpoll, 1, seconds);
    return;
  }
  Churn(LinkEngine::kEpoll, 1, seconds);
  Churn(LinkEngine::kUring, 2, seconds / 2);
}

}  // namespace
}  // namespace strata::nvmeof
