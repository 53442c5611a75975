// SPDX-License-Identifier: Apache-2.0
//
// The host's end of NVMe over TCP: a transport for nvme::Controller, discovery, and devices by URI.
//
//   STRATA_ASSIGN_OR_RETURN(auto transport, ConnectTcp({.endpoint = endpoint,
//                                                       .subsystem_nqn = "nqn..."}));
//   STRATA_ASSIGN_OR_RETURN(auto controller, nvme::Controller::Open(std::move(transport), {}));
//   STRATA_ASSIGN_OR_RETURN(auto device, controller->OpenNamespace(1));
//
// Or, in a registry of block devices:
//
//   STRATA_RETURN_IF_ERROR(RegisterNvmeTcp(&registry, log));
//   auto device = registry.Open("nvme-tcp:127.0.0.1:4420/nqn.2026-11.org.example:a?nsid=1");
//
// Thread safety: any thread; a queue as nvme::HostQueue.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/clock.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/block/registry.h"
#include "strata/nvme/controller.h"
#include "strata/nvme/transport.h"
#include "strata/nvmeof/endpoint.h"

namespace strata::nvmeof {

struct TcpOptions {
  Endpoint endpoint{};
  std::string subsystem_nqn{};
  // Empty: "nqn.2014-08.org.nvmexpress:uuid:" and the host id.
  std::string host_nqn{};
  std::array<std::byte, 16> host_id{};  // All zero: random.
  // The controller must agree to what is asked for.
  bool header_digest = false;
  bool data_digest = false;
  // For the connection, for ICResp and for the answer to Connect: so long each. 1 to 60,000.
  uint64_t connect_timeout_ms = 5000;
  // Most bytes of one command, 4096 to 16 MiB. The controller may allow less.
  uint32_t max_transfer_bytes = 1u << 20;
  // As TargetOptions::socket_buffer_bytes.
  uint32_t socket_buffer_bytes = 2u << 20;
  const Clock* clock = nullptr;  // Null: the machine's. It outlives the transport.
};

// Makes the transport and connects nothing: its queues do. InvalidArgument names the option.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<nvme::Transport>> ConnectTcp(
    const TcpOptions& options);

// One subsystem that a discovery service tells of.
struct DiscoveryEntry {
  uint8_t transport_type = 0;  // 3: TCP.
  uint8_t address_family = 0;  // 1: IPv4, 2: IPv6.
  uint8_t subsystem_type = 0;  // 1: another discovery service, 2: NVM, 3: this service itself.
  uint8_t requirements = 0;    // TREQ
  uint16_t port_id = 0;
  uint16_t controller_id = 0;  // 0xffff: any.
  uint16_t admin_queue_size = 0;
  uint16_t flags = 0;
  std::string service_id;  // The TCP port.
  std::string address;
  std::string subsystem_nqn;
  uint8_t security = 0;  // SECTYPE of TCP: 0 none, 1 TLS 1.2, 2 TLS 1.3.
};

// Asks the discovery service at options.endpoint; an empty subsystem_nqn is the well-known one.
// Unavailable: not reached, or its log keeps changing; DataLoss: its log makes no sense.
STRATA_EXPORT absl::StatusOr<std::vector<DiscoveryEntry>> Discover(const TcpOptions& options);

// What the URI of a device says. Options and their defaults:
//
//   nvme-tcp:HOST:PORT/NQN?nsid=1            the namespace; the one option that must be there
//     &queues=4        1..64         channels at once
//     &depth=128       1..65535      most requests of one channel
//     &hdgst=0 &ddgst=0              0 or 1: header and data digests
//     &hostnqn=  &hostid=            hostid is a UUID; else random
//     &keep_alive_ms=10000           0..3600000; 0: off
//     &reconnect_ms=1000             1..60000
//     &loss_timeout_ms=30000         0..86400000
//     &timeout_ms=30000              1..86400000: of one command
//     &connect_timeout_ms=5000       1..60000: of each stage of a connect
//     &open_timeout_ms=10000         0..3600000: how long the first connect is tried again where the
//                                    target refuses, closes or does not answer; 0: one try.
//                                    ParseNvmeTcpUri() has 0 where the URI does not say.
//     &socket_buffer_bytes=2097152   0: the kernel's choice; 65536..1073741824
struct NvmeTcpUri {
  TcpOptions tcp;
  nvme::ControllerOptions controller;
  uint32_t nsid = 0;  // 0 where the URI names none.
};

// InvalidArgument names what is wrong; an unknown option is wrong.
STRATA_EXPORT absl::StatusOr<NvmeTcpUri> ParseNvmeTcpUri(std::string_view uri);

// Opens the controller of a URI, which need not name a namespace.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<nvme::Controller>> OpenNvmeTcp(const NvmeTcpUri& uri);

// Adds the scheme "nvme-tcp" to a registry. A device has a thread that sends its Keep Alive and
// reconnects. AlreadyExists: the registry has the scheme.
STRATA_EXPORT absl::Status RegisterNvmeTcp(block::Registry* registry, LogSink log = {});

}  // namespace strata::nvmeof
