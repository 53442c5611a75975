// SPDX-License-Identifier: Apache-2.0
//
// The NVMe/TCP target: hosts connect to subsystems of the device model over TCP.
//
//   STRATA_ASSIGN_OR_RETURN(auto target, Target::Create({}));
//   STRATA_RETURN_IF_ERROR(target->AddSubsystem(subsystem));
//   STRATA_RETURN_IF_ERROR(target->AddListener({.endpoint = endpoint}).status());
//   STRATA_ASSIGN_OR_RETURN(auto worker, target->OpenWorker());
//   while (running) worker->Poll(1'000'000'000);
//
// The target has no thread. Connections are spread over the workers, and a worker is polled by one
// thread of the caller's. Listeners, subsystems and referrals come and go while workers run: they
// are an immutable table, and each worker takes over the newest one in its next round.
//
// Each listener answers discovery too (nqn.2014-08.org.nvmexpress.discovery).
//
// Thread safety: Target: any thread. A Worker: one thread at a time, but for Wake().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/clock.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/nvme/subsystem.h"
#include "strata/nvmeof/endpoint.h"
#include "strata/nvmeof/link_engine.h"

namespace strata::nvmeof {

struct TargetOptions {
  LinkEngine engine = LinkEngine::kEpoll;
  // Of all workers. At the limit a newcomer takes the place of the oldest connection that has not
  // said who it is; where there is none, it is refused.
  uint32_t max_connections = 4096;
  // Memory for the data of commands, per worker. One controller's connections get half of it at
  // most; a command that finds none waits. A multiple of 64 KiB.
  uint32_t pool_bytes = 32u << 20;
  uint32_t max_host_data_bytes = 128u << 10;  // Of one H2CData (MAXH2CDATA); a multiple of 4096.
  // Of each buffer of a connection's socket, where the machine allows so much (net.core.rmem_max
  // and wmem_max): 64 KiB to 1 GiB. 0, or where it does not: the kernel grows them as it sees fit,
  // which suits long links and takes up to half of the rate of deep queues on short ones.
  uint32_t socket_buffer_bytes = 2u << 20;
  // Deadlines of a peer: ICReq and Connect after accepting, data that it owes, taking what is sent.
  uint32_t connect_timeout_ms = 5'000;
  uint32_t data_timeout_ms = 30'000;
  // A worker that found nothing looks again for so long before it sleeps. 0: it sleeps at once.
  uint32_t spin_us = 0;
  const Clock* clock = nullptr;  // Null: the machine's. It outlives the target.
  LogSink log{};
};

struct ListenerOptions {
  Endpoint endpoint;               // Port 0: the kernel chooses.
  bool is_discovery_only = false;  // No subsystem can be reached here, and no log page names it.
};

// Another discovery service that the log page names.
struct Referral {
  Endpoint endpoint;
  bool operator==(const Referral&) const = default;
};

struct ConnectionInfo {
  Endpoint peer;
  Endpoint local;
  std::string subsystem_nqn;  // Empty before Connect, as the next three.
  std::string host_nqn;
  uint16_t controller_id = 0;
  uint16_t queue_id = 0;
  bool has_header_digest = false;
  bool has_data_digest = false;
  int64_t connected_wall_ns = 0;
  uint64_t commands = 0;
  uint64_t bytes_to_host = 0;  // Data alone.
  uint64_t bytes_from_host = 0;
};

// What all workers did since they were opened. Rates of these are how a target is measured.
struct TargetStatistics {
  uint64_t connections_accepted = 0;
  uint64_t connections_refused = 0;     // At max_connections.
  uint64_t connections_terminated = 0;  // For what the peer did: by a TermReq or a deadline.
  uint64_t commands = 0;
  uint64_t bytes_to_host = 0;
  uint64_t bytes_from_host = 0;
  uint64_t sends = 0;  // Socket calls.
  uint64_t receives = 0;
};

class STRATA_EXPORT Worker {
 public:
  // Its connections end; commands that a device has begun are waited for.
  virtual ~Worker() = default;

  // One round: receives, starts commands, takes completions, sends. Sleeps at most timeout_ns
  // (negative: until something happens). Returns how many commands began or ended.
  virtual int Poll(int64_t timeout_ns) = 0;

  // Ends the current or the next sleep. Any thread.
  virtual void Wake() = 0;
};

class STRATA_EXPORT Target {
 public:
  // InvalidArgument names the option.
  static absl::StatusOr<std::unique_ptr<Target>> Create(const TargetOptions& options);

  virtual ~Target() = default;  // REQUIRES: its workers are destroyed.

  // AlreadyExists: one of this NQN is there. InvalidArgument: it announces transfers that the pool
  // could never hold.
  virtual absl::Status AddSubsystem(std::shared_ptr<nvme::Subsystem> subsystem) = 0;
  // Its connections end. NotFound.
  virtual absl::Status RemoveSubsystem(const std::string& nqn) = 0;

  // Returns where it listens. AlreadyExists: the address is in use. Connections come from the first
  // round of a worker on.
  virtual absl::StatusOr<Endpoint> AddListener(const ListenerOptions& options) = 0;
  // Whoever connects afterwards is refused. Connections that came this way stay. NotFound.
  virtual absl::Status RemoveListener(const Endpoint& endpoint) = 0;
  virtual std::vector<ListenerOptions> Listeners() const = 0;

  virtual absl::Status AddReferral(const Referral& referral) = 0;     // AlreadyExists.
  virtual absl::Status RemoveReferral(const Referral& referral) = 0;  // NotFound.

  // Stops for good: no listener, and each connection ends when the commands that it sent so far
  // are answered. `Connections()` is empty when that is done; the workers go on until then.
  virtual void Drain() = 0;

  virtual std::vector<ConnectionInfo> Connections() const = 0;
  virtual TargetStatistics statistics() const = 0;

  // Unavailable: the kernel refuses what the worker needs.
  virtual absl::StatusOr<std::unique_ptr<Worker>> OpenWorker() = 0;
};

}  // namespace strata::nvmeof
