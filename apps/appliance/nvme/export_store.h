// SPDX-License-Identifier: Apache-2.0
//
// What is exported over NVMe/TCP, kept in the appliance's kv store (docs/formats/nvme.md), with a
// copy in memory to read from. The space is made by the first change: a store that exports nothing
// does not have it.
//
// Used by one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "appliance/nvme/export_records.h"
#include "strata/kv/store.h"

namespace strata::appliance {

struct ExportedSubsystem {
  SubsystemRecord record;
  std::map<std::string, HostRecord> hosts;
  std::map<uint32_t, NamespaceRecord> namespaces;
};

struct ExportedState {
  std::map<std::string, ExportedSubsystem> subsystems;
  std::map<std::string, ListenerRecord> listeners;
};

class ExportStore final {
 public:
  // `kv` outlives the object. DataLoss, Unimplemented: a record; what the kv store says.
  static absl::StatusOr<std::unique_ptr<ExportStore>> Open(kv::Store* kv);

  const ExportedState& state() const { return state_; }

  // Durable when they return; after an error nothing has changed. They replace what is there.
  // REQUIRES: the subsystem that a host or a namespace belongs to is there.
  absl::Status Put(const SubsystemRecord& record);
  absl::Status Put(const std::string& nqn, const HostRecord& record);
  // With the subsystem's next_nsid, where it is given.
  absl::Status Put(const std::string& nqn, const NamespaceRecord& record,
                   std::optional<uint32_t> next_nsid = std::nullopt);
  absl::Status Put(const ListenerRecord& record);

  // With its hosts and namespaces.
  absl::Status DeleteSubsystem(const std::string& nqn);
  absl::Status DeleteHost(const std::string& nqn, const std::string& host_nqn);
  absl::Status DeleteNamespace(const std::string& nqn, uint32_t nsid);
  absl::Status DeleteListener(const std::string& address);

 private:
  explicit ExportStore(kv::Store* kv) : kv_(*kv) {}

  absl::Status Load();
  absl::Status Take(const kv::KeyValue& item);
  // The space, made where it is absent.
  absl::StatusOr<kv::SpaceId> Space();

  kv::Store& kv_;
  std::optional<kv::SpaceId> space_;
  ExportedState state_;
};

}  // namespace strata::appliance
