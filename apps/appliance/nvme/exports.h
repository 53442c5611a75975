// SPDX-License-Identifier: Apache-2.0
//
// What an appliance exports over NVMe/TCP: subsystems with their namespaces and hosts, and
// listeners. They are state: each change is durable in the kv store, and takes effect at once where
// the target runs. strata changes them without stratad too; the next start serves them.
//
//   STRATA_ASSIGN_OR_RETURN(auto exports, Exports::Open({.kv = &kv, .config = config.nvme}));
//   STRATA_RETURN_IF_ERROR(exports->Serve());
//   STRATA_RETURN_IF_ERROR(exports->CreateSubsystem({.nqn = nqn}).status());
//
// A device that cannot be opened leaves its namespace out: the log and the views say why, and the
// rest is served.
//
// Thread safety: all methods may be called from any thread. Changes come one after another; views
// wait for none.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "appliance/config.h"
#include "appliance/nvme/device_uris.h"
#include "appliance/nvme/export_records.h"
#include "strata/base/log.h"
#include "strata/block/device.h"
#include "strata/kv/store.h"
#include "strata/nvme/subsystem.h"
#include "strata/nvmeof/target.h"

namespace strata::appliance {

struct ExportsOptions {
  kv::Store* kv = nullptr;  // Outlives the object.
  OwnStorage own{};
  Config::Nvme config{};
  LogSink log{};
};

struct NamespaceView {
  NamespaceRecord record{};
  std::string error{};  // Why it is not served; empty where it is.
  uint32_t block_size_bytes = 0;
  uint64_t block_count = 0;
  bool read_only = false;
  nvme::NamespaceStatistics statistics{};
};

struct SubsystemView {
  SubsystemRecord record{};
  std::string error{};
  std::vector<HostRecord> hosts{};
  std::vector<NamespaceView> namespaces{};
  std::vector<nvme::ControllerState> controllers{};
  nvme::NamespaceStatistics statistics{};  // Of its namespaces, those that are gone included.
};

struct ListenerView {
  ListenerRecord record{};  // Its address is where it listens, port 0 replaced.
  std::string error{};
  bool is_configured = false;  // By the settings; otherwise by a command.
};

struct NamespaceChange {
  std::optional<nvme::QosLimits> qos{};
  std::optional<std::vector<std::string>> hosts{};
  std::optional<std::string> uri{};  // Opened instead of the present device; may be the same.
};

class Exports final {
 public:
  // What ExportStore says.
  static absl::StatusOr<std::unique_ptr<Exports>> Open(const ExportsOptions& options);
  ~Exports();  // Stop()s at once.

  // From here on what is exported is served: opens the devices, and listens as soon as there is a
  // subsystem. Unavailable, AlreadyExists: an address of the settings cannot be listened on.
  absl::Status Serve();
  // Takes nothing new, waits at most so long for commands in progress, cuts the rest, makes what
  // hosts wrote durable, and closes the devices.
  void Stop(std::chrono::milliseconds drain);
  bool is_serving() const;

  // AlreadyExists, NotFound, InvalidArgument (named), ResourceExhausted (a limit), and what the kv
  // store says: here and below.
  absl::Status CreateSubsystem(const SubsystemRecord& record);
  // Hosts that may not connect any more are disconnected, here and by RemoveHost().
  absl::Status AllowAnyHost(const std::string& nqn, bool allow);
  // FailedPrecondition: it has namespaces, unless `force`.
  absl::Status DeleteSubsystem(const std::string& nqn, bool force);

  absl::Status AddHost(const std::string& nqn, const std::string& host_nqn);
  absl::Status RemoveHost(const std::string& nqn, const std::string& host_nqn);

  // Opens the device first. NSID 0: a free one; no UUID: a random one. Returns what was stored.
  absl::StatusOr<NamespaceRecord> AddNamespace(const std::string& nqn, NamespaceRecord record);
  absl::StatusOr<NamespaceRecord> SetNamespace(const std::string& nqn, uint32_t nsid,
                                               const NamespaceChange& change);
  // Returns when the device is closed, or after ten seconds.
  absl::Status RemoveNamespace(const std::string& nqn, uint32_t nsid);

  // Returns where it listens.
  absl::StatusOr<std::string> AddListener(const std::string& address, bool is_discovery_only);
  absl::Status RemoveListener(const std::string& address);

  std::vector<SubsystemView> Subsystems() const;
  // NotFound.
  absl::StatusOr<SubsystemView> Subsystem(const std::string& nqn) const;
  std::vector<ListenerView> Listeners() const;
  // Empty where the target does not run.
  std::vector<nvmeof::ConnectionInfo> Connections() const;
  nvmeof::TargetStatistics Statistics() const;

 private:
  class State;
  explicit Exports(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

// A random one, version 4.
absl::StatusOr<std::array<std::byte, 16>> RandomUuid();

}  // namespace strata::appliance
