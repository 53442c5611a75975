// SPDX-License-Identifier: Apache-2.0
//
// The namespaces of a subsystem at one moment. A table never changes; a change makes another one.
//
// Thread safety: immutable, any thread. The gate and the ledger of an entry take care of
// themselves.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device/namespace_counters.h"
#include "device/qos_gate.h"
#include "strata/block/device.h"
#include "strata/nvme/subsystem.h"

namespace strata::nvme {

struct NamespaceEntry {
  uint32_t nsid = 0;
  uint64_t serial = 0;  // Of the subsystem's namespaces, in the order of their creation; kept.
  std::shared_ptr<block::Device> device;
  NamespaceIdentity identity{};
  bool read_only = false;
  std::vector<std::string> hosts;
  QosLimits qos{};
  std::shared_ptr<QosGate> gate;
  std::shared_ptr<NamespaceLedger> ledger;

  bool IsSameNamespace(const NamespaceEntry& other) const { return serial == other.serial; }

  bool VisibleTo(std::string_view host_nqn) const {
    return hosts.empty() || std::find(hosts.begin(), hosts.end(), host_nqn) != hosts.end();
  }
};

struct NamespaceTable {
  uint64_t generation = 0;
  std::vector<std::shared_ptr<const NamespaceEntry>> entries;  // By NSID - 1; null: none.

  const NamespaceEntry* Find(uint32_t nsid) const {
    return nsid == 0 || nsid > entries.size() ? nullptr : entries[nsid - 1].get();
  }
};

}  // namespace strata::nvme
