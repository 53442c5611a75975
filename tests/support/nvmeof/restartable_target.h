// SPDX-License-Identifier: Apache-2.0
//
// A target that can be ended and begun again on the same port, over a device that stays, and the
// host's way to it.
//
//   RestartableTarget target(device);
//   auto device = OpenRestartable(target.endpoint, "&ddgst=1");
//   target.Stop();
//   target.Start();
//
// Thread safety: the test's thread.
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/block/device.h"
#include "strata/block/registry.h"
#include "strata/nvmeof/initiator.h"
#include "support/nvmeof/target_rig.h"

namespace strata::nvmeof {

class RestartableTarget {
 public:
  static constexpr char kNqn[] = "nqn.2026-11.org.example:test";

  explicit RestartableTarget(std::shared_ptr<block::Device> device,
                             const TargetOptions& options = {},
                             const Endpoint& listening = *ParseEndpoint("127.0.0.1:0"))
      : endpoint(listening), options_(options), device_(std::move(device)) {
    SetUuid(std::byte{1});
    Start();
  }
  ~RestartableTarget() { Stop(); }

  void Start() {
    target_ = *Target::Create(options_);
    auto subsystem =
        *nvme::CreateSubsystem({.nqn = kNqn, .serial_number = serial, .allow_any_host = true});
    REQUIRE(subsystem->AddNamespace(device_, {.nsid = 1, .identity = identity_}).ok());
    REQUIRE(target_->AddSubsystem(subsystem).ok());
    absl::StatusOr<Endpoint> listening;
    // Its old connections may be on their way out.
    REQUIRE(TargetRig::Soon([&] {
      listening = target_->AddListener({.endpoint = endpoint});
      return listening.ok();
    }));
    endpoint = *listening;
    ends_.store(false);
    auto worker = *target_->OpenWorker();
    thread_ = std::thread([this, worker = std::move(worker)]() mutable {
      while (!ends_.load()) worker->Poll(5'000'000);
    });
  }

  void Stop() {
    if (!thread_.joinable()) return;
    ends_.store(true);
    thread_.join();
    target_.reset();
  }

  // Of the next Start().
  void SetUuid(std::byte first) { identity_.uuid[0] = first; }
  void SetDevice(std::shared_ptr<block::Device> device) { device_ = std::move(device); }

  TargetStatistics statistics() const { return target_->statistics(); }

  Endpoint endpoint;
  std::string serial = "A1";

 private:
  const TargetOptions options_;
  nvme::NamespaceIdentity identity_;
  std::shared_ptr<block::Device> device_;
  std::unique_ptr<Target> target_;
  std::thread thread_;
  std::atomic<bool> ends_{false};
};

// Its namespace 1, by URI, patient enough for a loaded machine.
inline absl::StatusOr<std::unique_ptr<block::Device>> OpenRestartable(const Endpoint& endpoint,
                                                                      const std::string& options) {
  block::Registry registry = block::Registry::WithDefaults();
  REQUIRE(RegisterNvmeTcp(&registry).ok());
  return registry.Open(absl::StrCat("nvme-tcp:", ToString(endpoint), "/", RestartableTarget::kNqn,
                                    "?nsid=1&reconnect_ms=5&connect_timeout_ms=60000", options));
}

}  // namespace strata::nvmeof
