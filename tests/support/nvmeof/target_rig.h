// SPDX-License-Identifier: Apache-2.0
//
// A target on loopback whose workers are polled by threads of the rig, with one subsystem.
//
//   TargetRig rig;
//   RawHost host(rig.endpoint);
//
// Thread safety: the rig is used by the test's thread.
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "strata/block/devices.h"
#include "strata/nvmeof/target.h"
#include "support/nvmeof/raw_host.h"

namespace strata::nvmeof {

inline constexpr uint64_t kTestBlocks = 4096;  // Of 512 bytes.

struct TargetRig {
  explicit TargetRig(const TargetOptions& options = {}, size_t workers = 1,
                     nvme::SubsystemOptions subsystem_options = {}) {
    if (subsystem_options.nqn.empty()) {
      subsystem_options.nqn = RawHost::ConnectOptions{}.subsystem_nqn;
      subsystem_options.allow_any_host = true;
    }
    auto created = Target::Create(options);
    REQUIRE(created.ok());
    target = *std::move(created);
    subsystem = *nvme::CreateSubsystem(subsystem_options);
    device =
        block::CreateMemoryDevice({.block_count = kTestBlocks, .block_size_bytes = 512}).value();
    REQUIRE(subsystem->AddNamespace(device, {}).ok());
    REQUIRE(target->AddSubsystem(subsystem).ok());
    endpoint = *target->AddListener({.endpoint = *ParseEndpoint("127.0.0.1:0")});
    for (size_t i = 0; i < workers; ++i) {
      auto worker = target->OpenWorker();
      REQUIRE(worker.ok());
      threads.emplace_back([this, worker = *std::move(worker)]() mutable {
        while (!ends.load()) worker->Poll(20'000'000);
      });
    }
  }

  ~TargetRig() {
    ends.store(true);
    for (std::thread& thread : threads) thread.join();
  }

  // Waits until the condition holds, or for ten seconds.
  template <typename Condition>
  static bool Soon(Condition condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  // An admin queue and an I/O queue of one host, enabled.
  struct Host {
    explicit Host(const Endpoint& endpoint, const PduSettings& settings = {},
                  RawHost::ConnectOptions options = {})
        : admin(endpoint), io(endpoint) {
      admin.Init(settings);
      const RawHost::Reply connected = admin.Connect(options);
      REQUIRE(connected.status.ok());
      admin.Enable();
      options.controller_id = static_cast<uint16_t>(connected.result);
      options.queue_id = 1;
      io.Init(settings);
      const RawHost::Reply queue = io.Connect(options);
      REQUIRE(queue.status.ok());
      controller_id = options.controller_id;
    }
    RawHost admin;
    RawHost io;
    uint16_t controller_id = 0;
  };

  std::unique_ptr<Target> target;
  std::shared_ptr<nvme::Subsystem> subsystem;
  std::shared_ptr<block::Device> device;
  Endpoint endpoint;
  std::atomic<bool> ends{false};
  std::vector<std::thread> threads;
};

}  // namespace strata::nvmeof
