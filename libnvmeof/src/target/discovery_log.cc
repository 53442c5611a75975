// SPDX-License-Identifier: Apache-2.0
#include "target/discovery_log.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "strata/nvme/wire/fabrics.h"

namespace strata::nvmeof {
namespace {

using nvme::DiscoveryLogEntry;
using nvme::DiscoveryLogHeader;

constexpr uint8_t kTransportTcp = 3;
constexpr uint8_t kFamilyIpv4 = 1;
constexpr uint8_t kFamilyIpv6 = 2;
constexpr uint8_t kSubsystemReferral = 1;
constexpr uint8_t kSubsystemNvm = 2;
constexpr uint8_t kSubsystemThisDiscovery = 3;
constexpr uint8_t kCanDisableFlowControl = 0x04;  // TREQ.
// EFLAGS: asking there gives the same answer; the host may stay connected.
constexpr uint16_t kSameAndPersistent = 0x0003;
constexpr uint16_t kAdminQueueEntries = 32;

bool IsWildcard(const Endpoint& endpoint) {
  return std::ranges::all_of(endpoint.address, [](uint8_t byte) { return byte == 0; });
}

std::string AddressOf(const Endpoint& endpoint) {
  // Without the port, and without the brackets of an IPv6 address.
  std::string text = ToString(endpoint);
  text.resize(text.rfind(':'));
  return endpoint.is_ipv6 ? text.substr(1, text.size() - 2) : text;
}

void Append(std::vector<std::byte>* log, uint8_t subsystem_type, std::string_view nqn,
            const Endpoint& endpoint, uint16_t port_id, uint16_t flags) {
  DiscoveryLogEntry entry;
  using E = DiscoveryLogEntry;
  entry.Set(E::kTransportType, kTransportTcp);
  entry.Set(E::kAddressFamily, endpoint.is_ipv6 ? kFamilyIpv6 : kFamilyIpv4);
  entry.Set(E::kSubsystemType, subsystem_type);
  entry.Set(E::kTransportRequirements, kCanDisableFlowControl);
  entry.Set(E::kPortId, port_id);
  entry.Set(E::kControllerId, nvme::kDynamicController);
  entry.Set(E::kAdminQueueSize, kAdminQueueEntries);
  entry.Set(E::kFlags, flags);
  entry.SetText(E::kServiceId, absl::StrCat(endpoint.port), ' ');
  entry.SetText(E::kSubsystemNqn, nqn, '\0');
  entry.SetText(E::kAddress, AddressOf(endpoint), ' ');
  log->insert(log->end(), entry.bytes.begin(), entry.bytes.end());
}

}  // namespace

std::vector<std::byte> MakeDiscoveryLog(const TargetTable& table, uint64_t generation,
                                        std::string_view host_nqn, const Endpoint& local) {
  std::vector<std::byte> log(DiscoveryLogHeader::kSizeBytes);
  uint16_t port_id = 0;
  for (const std::shared_ptr<const ListenerEntry>& listener : table.listeners) {
    ++port_id;
    Endpoint endpoint = listener->options.endpoint;
    if (IsWildcard(endpoint) && endpoint.is_ipv6 == local.is_ipv6) {
      endpoint.address = local.address;
    }
    // What only this machine can reach is nothing to a host elsewhere.
    if (IsLoopback(endpoint) && !IsLoopback(local)) continue;
    Append(&log, kSubsystemThisDiscovery, nvme::kDiscoveryNqn, endpoint, port_id,
           kSameAndPersistent);
    if (listener->options.is_discovery_only) continue;
    for (const std::shared_ptr<nvme::Subsystem>& subsystem : table.subsystems) {
      if (!subsystem->Admits(host_nqn)) continue;
      Append(&log, kSubsystemNvm, subsystem->options().nqn, endpoint, port_id, 0);
    }
  }
  for (const Referral& referral : table.referrals) {
    Append(&log, kSubsystemReferral, nvme::kDiscoveryNqn, referral.endpoint, 0, 0);
  }
  DiscoveryLogHeader header;
  header.Set(DiscoveryLogHeader::kGeneration, generation);
  header.Set(DiscoveryLogHeader::kRecordCount, log.size() / DiscoveryLogEntry::kSizeBytes - 1);
  std::ranges::copy(header.bytes, log.begin());
  return log;
}

}  // namespace strata::nvmeof
