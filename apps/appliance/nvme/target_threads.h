// SPDX-License-Identifier: Apache-2.0
//
// An NVMe/TCP target with the threads that poll its workers: what stratad and `strata nvme serve`
// run.
//
//   STRATA_ASSIGN_OR_RETURN(auto threads, TargetThreads::Start({.workers = 2}));
//   STRATA_RETURN_IF_ERROR(threads->target().AddSubsystem(subsystem));
//   STRATA_RETURN_IF_ERROR(threads->target().AddListener({.endpoint = endpoint}).status());
//   ...
//   threads->Drain(std::chrono::seconds(5));
//
// Thread-safe, as nvmeof::Target is; Drain() and destruction are the owner's.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/nvmeof/target.h"

namespace strata::appliance {

struct TargetThreadsOptions {
  nvmeof::TargetOptions target{};
  uint32_t workers = 1;
  bool busy_poll = false;  // Workers never sleep.
};

class TargetThreads final {
 public:
  // What nvmeof::Target says of its options; Unavailable: the kernel refuses what a worker needs.
  static absl::StatusOr<std::unique_ptr<TargetThreads>> Start(const TargetThreadsOptions& options);

  ~TargetThreads();  // Cuts the connections that are left.

  nvmeof::Target& target() { return *target_; }
  const nvmeof::Target& target() const { return *target_; }

  // Lets each worker pass a round soon: what is not used any more is given back in one.
  void WakeAll();

  // Ends listeners at once, and each connection when what it asked for is answered; waits for that
  // at most so long. Returns how many connections are left.
  size_t Drain(std::chrono::milliseconds limit);

 private:
  TargetThreads() = default;

  std::unique_ptr<nvmeof::Target> target_;
  std::vector<std::unique_ptr<nvmeof::Worker>> workers_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
};

// "127.0.0.1:4420" for the configuration, where localhost is one too; InvalidArgument.
absl::StatusOr<nvmeof::Endpoint> ParseTargetEndpoint(std::string_view text, uint16_t default_port);

// Makes what hosts wrote to the device durable.
absl::Status FlushDevice(block::Device& device);

}  // namespace strata::appliance
