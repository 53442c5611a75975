// SPDX-License-Identifier: Apache-2.0
#include "appliance/nvme/live_target.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/nvme/held_device.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr std::chrono::seconds kReleaseLimit{10};
constexpr std::chrono::milliseconds kReleaseStep{2};

absl::Status In(const std::string& what, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<LiveTarget>> LiveTarget::Start(const Config::Nvme& config,
                                                              const LogSink& log) {
  std::unique_ptr<LiveTarget> live(new LiveTarget(config, log));
  TargetThreadsOptions options;
  options.workers = static_cast<uint32_t>(config.workers);
  options.busy_poll = config.busy_poll;
  options.target.max_connections = static_cast<uint32_t>(config.max_connections);
  options.target.pool_bytes = static_cast<uint32_t>(config.pool_bytes);
  options.target.log = log;
  STRATA_ASSIGN_OR_RETURN(live->threads_, TargetThreads::Start(options));
  return live;
}

absl::Status LiveTarget::Listen() {
  STRATA_RETURN_IF_ERROR(
      ListenOn(config_.listen, /*is_discovery_only=*/false, /*is_configured=*/true));
  if (config_.discovery.empty()) return absl::OkStatus();
  return ListenOn(config_.discovery, /*is_discovery_only=*/true, /*is_configured=*/true);
}

LiveTarget::~LiveTarget() { Stop(std::chrono::milliseconds(0)); }

void LiveTarget::Stop(std::chrono::milliseconds drain) {
  if (threads_ == nullptr) return;
  const size_t cut = threads_->Drain(drain);
  if (cut > 0) {
    Log(log_, LogLevel::kWarning, absl::StrCat("nvme: ", cut, " connections were cut off"));
  }
  std::unique_ptr<TargetThreads> threads;
  std::map<std::string, LiveSubsystem> subsystems;
  {
    MutexLock lock(&mutex_);
    threads.swap(threads_);
    subsystems.swap(subsystems_);
    listeners_.clear();
  }
  threads.reset();
  for (const auto& [nqn, subsystem] : subsystems) {
    for (const auto& [nsid, space] : subsystem.namespaces) {
      if (space.device == nullptr) continue;
      const absl::Status status = FlushDevice(*space.device);
      if (status.ok()) continue;
      Log(log_, LogLevel::kError,
          absl::StrCat("nvme: ", nqn, ", namespace ", nsid, ": ", status.message()));
    }
  }
}

absl::Status LiveTarget::ListenOn(const std::string& address, bool is_discovery_only,
                                  bool is_configured) {
  const uint16_t port = is_discovery_only ? nvmeof::kDiscoveryPort : nvmeof::kDefaultPort;
  LiveListener listener{
      .address = address, .is_discovery_only = is_discovery_only, .is_configured = is_configured};
  absl::StatusOr<nvmeof::Endpoint> endpoint = ParseTargetEndpoint(address, port);
  if (endpoint.ok()) {
    endpoint = threads_->target().AddListener(
        {.endpoint = *endpoint, .is_discovery_only = is_discovery_only});
  }
  if (endpoint.ok()) {
    listener.endpoint = *endpoint;
    Log(log_, LogLevel::kInfo,
        absl::StrCat(is_discovery_only ? "nvme discovery on " : "nvme on ",
                     nvmeof::ToString(*endpoint)));
  } else {
    listener.error = std::string(endpoint.status().message());
  }
  MutexLock lock(&mutex_);
  listeners_.push_back(std::move(listener));
  return endpoint.status();
}

absl::StatusOr<std::shared_ptr<nvme::Subsystem>> LiveTarget::MakeModel(
    const ExportedSubsystem& exported) const {
  const SubsystemRecord& record = exported.record;
  nvme::SubsystemOptions options;
  options.nqn = record.nqn;
  options.serial_number = record.serial_number;
  options.model_number = record.model_number;
  options.allow_any_host = record.allow_any_host;
  options.first_controller_id = record.first_controller_id;
  options.last_controller_id = record.last_controller_id;
  options.max_controllers = static_cast<uint32_t>(config_.max_controllers);
  options.max_io_queues = static_cast<uint32_t>(config_.max_io_queues);
  options.max_queue_entries = static_cast<uint32_t>(config_.max_queue_entries);
  options.max_namespaces = static_cast<uint32_t>(config_.max_namespaces);
  options.max_hosts = static_cast<uint32_t>(config_.max_hosts);
  STRATA_ASSIGN_OR_RETURN(std::shared_ptr<nvme::Subsystem> model, nvme::CreateSubsystem(options));
  for (const auto& [host_nqn, host] : exported.hosts) {
    STRATA_RETURN_IF_ERROR(model->AllowHost(host_nqn));
  }
  return model;
}

absl::Status LiveTarget::AddSubsystem(const ExportedSubsystem& exported) {
  STRATA_ASSIGN_OR_RETURN(std::shared_ptr<nvme::Subsystem> model, MakeModel(exported));
  STRATA_RETURN_IF_ERROR(threads_->target().AddSubsystem(model));
  MutexLock lock(&mutex_);
  subsystems_[exported.record.nqn].model = std::move(model);
  return absl::OkStatus();
}

bool LiveTarget::WaitUntil(const std::function<bool()>& condition) {
  using std::chrono::steady_clock;
  const steady_clock::time_point deadline = steady_clock::now() + kReleaseLimit;
  while (!condition()) {
    if (steady_clock::now() >= deadline) return false;
    threads_->WakeAll();
    std::this_thread::sleep_for(kReleaseStep);
  }
  return true;
}

void LiveTarget::Release(std::shared_ptr<block::Device> device) {
  const absl::Status status = FlushDevice(*device);
  if (!status.ok()) Log(log_, LogLevel::kError, absl::StrCat("nvme: ", status.message()));
  const std::string name = device->name();
  const std::weak_ptr<block::Device> released = std::exchange(device, nullptr);
  if (WaitUntil([&released] { return released.expired(); })) return;
  Log(log_, LogLevel::kWarning,
      absl::StrCat("nvme: ", name, " stays open until its requests have ended"));
}

void LiveTarget::EndModel(nvme::Subsystem& model) {
  // A controller goes when its last command has ended: none of them can overtake what comes later.
  WaitUntil([&model] { return model.Controllers().empty(); });
  for (const nvme::NamespaceState& space : model.Namespaces()) {
    model.RemoveNamespace(space.nsid).IgnoreError();
  }
}

void LiveTarget::RemoveSubsystem(const std::string& nqn) {
  threads_->target().RemoveSubsystem(nqn).IgnoreError();
  LiveSubsystem removed;
  {
    MutexLock lock(&mutex_);
    const auto found = subsystems_.find(nqn);
    if (found == subsystems_.end()) return;
    removed = std::move(found->second);
    subsystems_.erase(found);
  }
  EndModel(*removed.model);
  for (auto& [nsid, space] : removed.namespaces) {
    if (space.device != nullptr) Release(std::move(space.device));
  }
}

nvme::Subsystem& LiveTarget::ModelOf(const std::string& nqn) const {
  MutexLock lock(&mutex_);
  const auto found = subsystems_.find(nqn);
  STRATA_CHECK(found != subsystems_.end(), "a subsystem that is stored does not run");
  return *found->second.model;
}

absl::Status LiveTarget::AllowHost(const std::string& nqn, const std::string& host_nqn) {
  return ModelOf(nqn).AllowHost(host_nqn);
}

absl::Status LiveTarget::DisallowHost(const std::string& nqn, const std::string& host_nqn) {
  nvme::Subsystem& model = ModelOf(nqn);
  STRATA_RETURN_IF_ERROR(model.DisallowHost(host_nqn));
  AwaitDisallowed(model);
  return absl::OkStatus();
}

void LiveTarget::SetAllowAnyHost(const std::string& nqn, bool allow) {
  nvme::Subsystem& model = ModelOf(nqn);
  model.SetAllowAnyHost(allow);
  AwaitDisallowed(model);
}

void LiveTarget::AwaitDisallowed(const nvme::Subsystem& model) {
  // A controller goes when its last command has ended.
  const bool are_gone = WaitUntil([&model] {
    const std::vector<nvme::ControllerState> controllers = model.Controllers();
    return std::ranges::all_of(controllers, [&model](const nvme::ControllerState& controller) {
      return model.Admits(controller.host_nqn);
    });
  });
  if (are_gone) return;
  Log(log_, LogLevel::kWarning,
      absl::StrCat("nvme: ", model.options().nqn,
                   ": commands of hosts that were disconnected are still in progress"));
}

absl::Status LiveTarget::SetQos(const std::string& nqn, uint32_t nsid, const nvme::QosLimits& qos) {
  return ModelOf(nqn).SetQos(nsid, qos);
}

absl::Status LiveTarget::SetHosts(const std::string& nqn, uint32_t nsid,
                                  const std::vector<std::string>& hosts) {
  return ModelOf(nqn).SetHosts(nsid, hosts);
}

void LiveTarget::SetNamespace(const std::string& nqn, uint32_t nsid,
                              std::shared_ptr<block::Device> device, std::string error) {
  MutexLock lock(&mutex_);
  LiveNamespace& space = subsystems_.at(nqn).namespaces[nsid];
  space.device = std::move(device);
  space.error = std::move(error);
}

absl::Status LiveTarget::AddNamespace(const std::string& nqn, const NamespaceRecord& record,
                                      std::unique_ptr<block::Device> device) {
  std::shared_ptr<block::Device> shared = std::move(device);
  absl::Status status =
      ModelOf(nqn)
          .AddNamespace(shared, {.nsid = record.nsid,
                                 .identity = {.nguid = record.nguid, .uuid = record.uuid},
                                 .read_only = record.read_only,
                                 .hosts = record.hosts,
                                 .qos = record.qos})
          .status();
  SetNamespace(nqn, record.nsid, status.ok() ? std::move(shared) : nullptr,
               std::string(status.message()));
  return status;
}

void LiveTarget::AddBrokenNamespace(const std::string& nqn, uint32_t nsid,
                                    const absl::Status& why) {
  Log(log_, LogLevel::kError,
      absl::StrCat("nvme: ", nqn, ", namespace ", nsid, " is left out: ", why.message()));
  SetNamespace(nqn, nsid, nullptr, std::string(why.message()));
}

void LiveTarget::RemoveNamespace(const std::string& nqn, uint32_t nsid) {
  ModelOf(nqn).RemoveNamespace(nsid).IgnoreError();
  LiveNamespace space;
  {
    MutexLock lock(&mutex_);
    LiveSubsystem& subsystem = subsystems_.at(nqn);
    const auto found = subsystem.namespaces.find(nsid);
    if (found == subsystem.namespaces.end()) return;
    space = std::move(found->second);
    subsystem.namespaces.erase(found);
  }
  if (space.device != nullptr) Release(std::move(space.device));
}

absl::Status LiveTarget::Reopen(const std::string& nqn, const NamespaceRecord& record,
                                const std::string& former_uri, const block::Registry& devices) {
  STRATA_ASSIGN_OR_RETURN(LiveSubsystem live, Subsystem(nqn));
  LiveNamespace& space = live.namespaces[record.nsid];
  if (space.device == nullptr) {
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<block::Device> device, devices.Open(record.uri));
    return AddNamespace(nqn, record, std::move(device));
  }
  nvme::Subsystem& model = *live.model;
  const block::Geometry geometry = space.device->geometry();
  STRATA_RETURN_IF_ERROR(FlushDevice(*space.device));
  const std::shared_ptr<HeldDevice> held = HeldDevice::Create(geometry, space.device->name());
  STRATA_RETURN_IF_ERROR(model.ReplaceDevice(record.nsid, held));
  SetNamespace(nqn, record.nsid, held, "");
  const std::weak_ptr<block::Device> former = std::exchange(space.device, nullptr);

  const auto serve = [&](std::shared_ptr<block::Device> device) -> absl::Status {
    STRATA_RETURN_IF_ERROR(model.ReplaceDevice(record.nsid, device));
    SetNamespace(nqn, record.nsid, device, "");
    held->Continue(std::move(device));
    return absl::OkStatus();
  };
  const auto open = [&](const std::string& uri) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<block::Device> device, devices.Open(uri));
    if (device->geometry().block_count < geometry.block_count) {
      return absl::FailedPreconditionError(absl::StrCat(
          "'", uri, "' has ", device->geometry().block_count, " blocks, fewer than the ",
          geometry.block_count, " of before: hosts may have data in those"));
    }
    return serve(std::move(device));
  };

  if (!WaitUntil([&former] { return former.expired(); })) {
    if (std::shared_ptr<block::Device> device = former.lock(); device != nullptr) {
      STRATA_RETURN_IF_ERROR(serve(std::move(device)));
      return absl::UnavailableError("the device did not finish its requests in ten seconds");
    }
  }
  absl::Status status = open(record.uri);
  if (status.ok()) return status;
  const absl::Status back = open(former_uri);
  if (back.ok()) return status;
  // Nothing can serve it: its hosts see it go, and an operator sees why.
  model.RemoveNamespace(record.nsid).IgnoreError();
  AddBrokenNamespace(nqn, record.nsid, back);
  held->Continue(absl::UnavailableError(back.message()));
  return status;
}

absl::StatusOr<std::string> LiveTarget::AddListener(const ListenerRecord& record) {
  const absl::Status status =
      ListenOn(record.address, record.is_discovery_only, /*is_configured=*/false);
  if (status.ok()) return record.address;
  Log(log_, LogLevel::kError,
      absl::StrCat("nvme: cannot listen on ", record.address, ": ", status.message()));
  return In(record.address, status);
}

void LiveTarget::RemoveListener(const std::string& address) {
  LiveListener listener;
  {
    MutexLock lock(&mutex_);
    const auto found = std::find_if(
        listeners_.begin(), listeners_.end(),
        [&](const LiveListener& l) { return !l.is_configured && l.address == address; });
    if (found == listeners_.end()) return;
    listener = std::move(*found);
    listeners_.erase(found);
  }
  if (listener.error.empty()) {
    threads_->target().RemoveListener(listener.endpoint).IgnoreError();
  }
}

absl::StatusOr<LiveSubsystem> LiveTarget::Subsystem(const std::string& nqn) const {
  MutexLock lock(&mutex_);
  const auto found = subsystems_.find(nqn);
  if (found == subsystems_.end()) return absl::NotFoundError("it does not run");
  return found->second;
}

std::vector<LiveListener> LiveTarget::Listeners() const {
  MutexLock lock(&mutex_);
  return listeners_;
}

std::vector<nvmeof::ConnectionInfo> LiveTarget::Connections() const {
  MutexLock lock(&mutex_);
  if (threads_ == nullptr) return {};
  return threads_->target().Connections();
}

nvmeof::TargetStatistics LiveTarget::Statistics() const {
  MutexLock lock(&mutex_);
  if (threads_ == nullptr) return {};
  return threads_->target().statistics();
}

}  // namespace strata::appliance
