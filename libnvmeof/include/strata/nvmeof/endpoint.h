// SPDX-License-Identifier: Apache-2.0
//
// A numeric IP address and a TCP port. Names are not resolved: that would block.
//
//   STRATA_ASSIGN_OR_RETURN(Endpoint endpoint, ParseEndpoint("[::1]:4420"));
//
// Values; safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "strata/base/export.h"

namespace strata::nvmeof {

inline constexpr uint16_t kDefaultPort = 4420;    // NVMe/TCP
inline constexpr uint16_t kDiscoveryPort = 8009;  // NVMe discovery

struct Endpoint {
  std::array<uint8_t, 16> address{};  // Network order; of an IPv4 address the first four bytes.
  bool is_ipv6 = false;
  uint16_t port = 0;  // 0, where one listens: the kernel chooses.

  bool operator==(const Endpoint&) const = default;
};

// "127.0.0.1:4420", "[::1]:4420", or without a port, which is then `default_port`.
// InvalidArgument: anything else, a name or a zone (%eth0) among it.
STRATA_EXPORT absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text,
                                                     uint16_t default_port = kDefaultPort);

// Whether only this machine can reach it: 127.0.0.0/8, ::1, and ::ffff:127.0.0.0/104.
STRATA_EXPORT bool IsLoopback(const Endpoint& endpoint);

// What ParseEndpoint() reads, with the port.
STRATA_EXPORT std::string ToString(const Endpoint& endpoint);

}  // namespace strata::nvmeof
