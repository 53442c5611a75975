// SPDX-License-Identifier: Apache-2.0
//
// The running side of what an appliance exports: the target with its threads, a device model per
// subsystem, and the open devices of the namespaces. Exports decides what is to be there and calls
// in.
//
// Thread safety: changes come from one thread at a time; the views are for any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "appliance/config.h"
#include "appliance/nvme/export_store.h"
#include "appliance/nvme/target_threads.h"
#include "strata/base/log.h"
#include "strata/base/mutex.h"
#include "strata/block/device.h"
#include "strata/block/registry.h"
#include "strata/nvme/subsystem.h"

namespace strata::appliance {

struct LiveNamespace {
  std::shared_ptr<block::Device> device{};  // Null: not served.
  std::string error{};                      // Why.
};

struct LiveSubsystem {
  std::shared_ptr<nvme::Subsystem> model{};
  std::map<uint32_t, LiveNamespace> namespaces{};
};

struct LiveListener {
  std::string address{};  // As asked for.
  nvmeof::Endpoint endpoint{};
  std::string error{};  // Not empty: it does not listen.
  bool is_discovery_only = false;
  bool is_configured = false;
};

class LiveTarget final {
 public:
  // Without a listener: what is to be served is added first.
  static absl::StatusOr<std::unique_ptr<LiveTarget>> Start(const Config::Nvme& config,
                                                           const LogSink& log);
  ~LiveTarget();

  // Listens where the settings say. AlreadyExists, Unavailable: it cannot, named.
  absl::Status Listen();

  // As Exports::Stop().
  void Stop(std::chrono::milliseconds drain);

  // Without namespaces. Errors as nvme::CreateSubsystem().
  absl::Status AddSubsystem(const ExportedSubsystem& exported);
  // Returns when its devices are closed, or after ten seconds.
  void RemoveSubsystem(const std::string& nqn);
  absl::Status AllowHost(const std::string& nqn, const std::string& host_nqn);
  // These two return when the hosts that may not connect any more are disconnected and nothing of
  // what they sent is in progress, or after ten seconds.
  void SetAllowAnyHost(const std::string& nqn, bool allow);
  absl::Status DisallowHost(const std::string& nqn, const std::string& host_nqn);

  // What nvme::Subsystem says of the device; it is closed then.
  absl::Status AddNamespace(const std::string& nqn, const NamespaceRecord& record,
                            std::unique_ptr<block::Device> device);
  // One whose device could not be opened.
  void AddBrokenNamespace(const std::string& nqn, uint32_t nsid, const absl::Status& why);
  // Flushes and closes the device.
  void RemoveNamespace(const std::string& nqn, uint32_t nsid);
  // Closes the device of a namespace and opens another one while commands wait; after an error the
  // former is back, opened by `former`. Serves a namespace that was left out.
  absl::Status Reopen(const std::string& nqn, const NamespaceRecord& record,
                      const std::string& former_uri, const block::Registry& devices);
  absl::Status SetQos(const std::string& nqn, uint32_t nsid, const nvme::QosLimits& qos);
  absl::Status SetHosts(const std::string& nqn, uint32_t nsid,
                        const std::vector<std::string>& hosts);

  // An error stays in the view.
  absl::StatusOr<std::string> AddListener(const ListenerRecord& record);
  void RemoveListener(const std::string& address);

  // NotFound.
  absl::StatusOr<LiveSubsystem> Subsystem(const std::string& nqn) const;
  std::vector<LiveListener> Listeners() const;
  std::vector<nvmeof::ConnectionInfo> Connections() const;
  nvmeof::TargetStatistics Statistics() const;

 private:
  explicit LiveTarget(const Config::Nvme& config, const LogSink& log)
      : config_(config), log_(log) {}

  absl::Status ListenOn(const std::string& address, bool is_discovery_only, bool is_configured);
  absl::StatusOr<std::shared_ptr<nvme::Subsystem>> MakeModel(
      const ExportedSubsystem& exported) const;
  nvme::Subsystem& ModelOf(const std::string& nqn) const;
  // False: it is not so after ten seconds.
  bool WaitUntil(const std::function<bool()>& condition);
  // Flushes the device, and waits until nobody has it any more.
  void Release(std::shared_ptr<block::Device> device);
  // Waits until the hosts that the model does not admit are gone.
  void AwaitDisallowed(const nvme::Subsystem& model);
  // Waits for the hosts of a model that was removed from the target, and takes its devices away.
  void EndModel(nvme::Subsystem& model);
  void SetNamespace(const std::string& nqn, uint32_t nsid, std::shared_ptr<block::Device> device,
                    std::string error);

  const Config::Nvme config_;
  const LogSink log_;
  mutable Mutex mutex_;
  std::map<std::string, LiveSubsystem> subsystems_ ABSL_GUARDED_BY(mutex_);
  std::vector<LiveListener> listeners_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<TargetThreads> threads_;
};

}  // namespace strata::appliance
