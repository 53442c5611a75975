// SPDX-License-Identifier: Apache-2.0
//
// A change is checked, stored, and then carried out; where the target refuses it after all, it is
// taken back. So what was acknowledged is there after any crash.
#include "appliance/nvme/exports.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/nvme/export_store.h"
#include "appliance/nvme/live_target.h"
#include "appliance/storage_devices.h"
#include "strata/base/clock.h"
#include "strata/base/hex.h"
#include "strata/base/mutex.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr char kNotServed[] = "the target does not run";

uint64_t Now() { return static_cast<uint64_t>(SystemClock().WallNanos()); }

absl::Status Unknown(const std::string& nqn) {
  return absl::NotFoundError(absl::StrCat("there is no subsystem '", nqn, "'"));
}

absl::Status Unknown(const std::string& nqn, uint32_t nsid) {
  return absl::NotFoundError(absl::StrCat("subsystem '", nqn, "' has no namespace ", nsid));
}

absl::StatusOr<std::string> RandomSerialNumber() {
  std::array<std::byte, 10> bytes;
  STRATA_RETURN_IF_ERROR(SecureRandomBytes(bytes));
  return ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

absl::Status CheckHosts(const std::vector<std::string>& hosts, uint64_t most) {
  for (const std::string& host : hosts) STRATA_RETURN_IF_ERROR(CheckNqn("host", host));
  if (hosts.size() <= most) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("a namespace for ", hosts.size(), " hosts; nvme.max_hosts allows ", most));
}

}  // namespace

absl::StatusOr<std::array<std::byte, 16>> RandomUuid() {
  std::array<std::byte, 16> uuid;
  STRATA_RETURN_IF_ERROR(SecureRandomBytes(uuid));
  uuid[6] = (uuid[6] & std::byte{0x0f}) | std::byte{0x40};  // RFC 4122: version 4, random.
  uuid[8] = (uuid[8] & std::byte{0x3f}) | std::byte{0x80};
  return uuid;
}

class Exports::State final {
 public:
  explicit State(const ExportsOptions& options)
      : options_(options), devices_(StorageDevices(options.log)) {}

  absl::Status Load() {
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<ExportStore> store, ExportStore::Open(options_.kv));
    MutexLock lock(&mutex_);
    store_ = std::move(store);
    return absl::OkStatus();
  }

  // A copy, for views and checks: it holds nobody up.
  ExportedState stored() const {
    MutexLock lock(&mutex_);
    return store_->state();
  }
  absl::StatusOr<ExportedSubsystem> Stored(const std::string& nqn) const {
    MutexLock lock(&mutex_);
    const auto found = store_->state().subsystems.find(nqn);
    if (found == store_->state().subsystems.end()) return Unknown(nqn);
    return found->second;
  }
  absl::StatusOr<NamespaceRecord> Stored(const std::string& nqn, uint32_t nsid) const {
    STRATA_ASSIGN_OR_RETURN(const ExportedSubsystem subsystem, Stored(nqn));
    const auto found = subsystem.namespaces.find(nsid);
    if (found == subsystem.namespaces.end()) return Unknown(nqn, nsid);
    return found->second;
  }

  template <typename Change>
  absl::Status Store(Change change) {
    MutexLock lock(&mutex_);
    return change(*store_);
  }

  std::shared_ptr<LiveTarget> live() const {
    MutexLock lock(&mutex_);
    return live_;
  }

  // The target, started where stratad runs and nothing was exported before. Null: none is to run.
  absl::StatusOr<std::shared_ptr<LiveTarget>> Running() {
    {
      MutexLock lock(&mutex_);
      if (!serves_ || live_ != nullptr) return live_;
    }
    STRATA_ASSIGN_OR_RETURN(std::shared_ptr<LiveTarget> live,
                            LiveTarget::Start(options_.config, options_.log));
    STRATA_RETURN_IF_ERROR(Open(live));
    return live;
  }

  // It listens last: a host that found no subsystem or no namespace yet would give up for good.
  absl::Status ServeStored() {
    STRATA_ASSIGN_OR_RETURN(const std::shared_ptr<LiveTarget> live,
                            LiveTarget::Start(options_.config, options_.log));
    for (const auto& [nqn, subsystem] : stored().subsystems) {
      const absl::Status added = live->AddSubsystem(subsystem);
      if (!added.ok()) {
        Log(options_.log, LogLevel::kError,
            absl::StrCat("nvme: ", nqn, " is left out: ", added.message()));
        continue;
      }
      for (const auto& [nsid, record] : subsystem.namespaces) ServeNamespace(*live, nqn, record);
    }
    return Open(live);
  }

  absl::StatusOr<std::unique_ptr<block::Device>> OpenDevice(const std::string& uri) const {
    STRATA_RETURN_IF_ERROR(CheckExportUri(uri, options_.own));
    return devices_.Open(uri);
  }

  const ExportsOptions options_;
  const block::Registry devices_;
  // Held by a change from its beginning to its end. Taken before mutex_.
  Mutex changing_;
  mutable Mutex mutex_;
  bool serves_ ABSL_GUARDED_BY(mutex_) = false;

 private:
  friend class Exports;

  // Lets hosts in.
  absl::Status Open(const std::shared_ptr<LiveTarget>& live) {
    STRATA_RETURN_IF_ERROR(live->Listen());
    for (const auto& [address, listener] : stored().listeners) {
      live->AddListener(listener).status().IgnoreError();  // Its view says why.
    }
    MutexLock lock(&mutex_);
    live_ = live;
    return absl::OkStatus();
  }

  void ServeNamespace(LiveTarget& live, const std::string& nqn, const NamespaceRecord& record) {
    absl::StatusOr<std::unique_ptr<block::Device>> device = OpenDevice(record.uri);
    if (device.ok()) {
      const absl::Status added = live.AddNamespace(nqn, record, *std::move(device));
      if (added.ok()) return;
      device = added;
    }
    live.AddBrokenNamespace(nqn, record.nsid, device.status());
  }

  std::unique_ptr<ExportStore> store_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<LiveTarget> live_ ABSL_GUARDED_BY(mutex_);
};

Exports::Exports(std::unique_ptr<State> state) : state_(std::move(state)) {}
Exports::~Exports() { Stop(std::chrono::milliseconds(0)); }

absl::StatusOr<std::unique_ptr<Exports>> Exports::Open(const ExportsOptions& options) {
  auto state = std::make_unique<State>(options);
  STRATA_RETURN_IF_ERROR(state->Load());
  return std::unique_ptr<Exports>(new Exports(std::move(state)));
}

absl::Status Exports::Serve() {
  MutexLock changing(&state_->changing_);
  {
    MutexLock lock(&state_->mutex_);
    state_->serves_ = !state_->options_.config.listen.empty();
    if (!state_->serves_ || state_->store_->state().subsystems.empty()) return absl::OkStatus();
  }
  return state_->ServeStored();
}

void Exports::Stop(std::chrono::milliseconds drain) {
  MutexLock changing(&state_->changing_);
  const std::shared_ptr<LiveTarget> live = state_->live();
  if (live != nullptr) live->Stop(drain);
  MutexLock lock(&state_->mutex_);
  state_->serves_ = false;
  state_->live_ = nullptr;
}

bool Exports::is_serving() const { return state_->live() != nullptr; }

absl::Status Exports::CreateSubsystem(const SubsystemRecord& record) {
  MutexLock changing(&state_->changing_);
  SubsystemRecord made = record;
  if (made.serial_number.empty()) {
    STRATA_ASSIGN_OR_RETURN(made.serial_number, RandomSerialNumber());
  }
  if (made.model_number.empty()) made.model_number = "Strata";
  STRATA_RETURN_IF_ERROR(CheckSubsystem(made));
  made.created_ns = Now();
  if (state_->Stored(made.nqn).ok()) {
    return absl::AlreadyExistsError(absl::StrCat("there is a subsystem '", made.nqn, "'"));
  }
  if (state_->stored().subsystems.size() >= kMaxSubsystems) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", kMaxSubsystems, " subsystems, the most that there can be"));
  }
  STRATA_ASSIGN_OR_RETURN(const std::shared_ptr<LiveTarget> live, state_->Running());
  STRATA_RETURN_IF_ERROR(state_->Store([&](ExportStore& store) { return store.Put(made); }));
  if (live == nullptr) return absl::OkStatus();
  absl::Status status = live->AddSubsystem({.record = made, .hosts = {}, .namespaces = {}});
  if (!status.ok()) {
    STRATA_RETURN_IF_ERROR(
        state_->Store([&](ExportStore& store) { return store.DeleteSubsystem(made.nqn); }));
  }
  return status;
}

absl::Status Exports::AllowAnyHost(const std::string& nqn, bool allow) {
  MutexLock changing(&state_->changing_);
  STRATA_ASSIGN_OR_RETURN(ExportedSubsystem subsystem, state_->Stored(nqn));
  if (subsystem.record.allow_any_host == allow) return absl::OkStatus();
  subsystem.record.allow_any_host = allow;
  STRATA_RETURN_IF_ERROR(
      state_->Store([&](ExportStore& store) { return store.Put(subsystem.record); }));
  const std::shared_ptr<LiveTarget> live = state_->live();
  if (live != nullptr) live->SetAllowAnyHost(nqn, allow);
  return absl::OkStatus();
}

absl::Status Exports::DeleteSubsystem(const std::string& nqn, bool force) {
  MutexLock changing(&state_->changing_);
  STRATA_ASSIGN_OR_RETURN(const ExportedSubsystem subsystem, state_->Stored(nqn));
  if (!subsystem.namespaces.empty() && !force) {
    return absl::FailedPreconditionError(absl::StrCat(
        "subsystem '", nqn, "' has ", subsystem.namespaces.size(),
        " namespaces; remove them first, or all at once with --force (their data stays)"));
  }
  STRATA_RETURN_IF_ERROR(
      state_->Store([&](ExportStore& store) { return store.DeleteSubsystem(nqn); }));
  const std::shared_ptr<LiveTarget> live = state_->live();
  if (live != nullptr) live->RemoveSubsystem(nqn);
  return absl::OkStatus();
}

absl::Status Exports::AddHost(const std::string& nqn, const std::string& host_nqn) {
  MutexLock changing(&state_->changing_);
  STRATA_RETURN_IF_ERROR(CheckNqn("host", host_nqn));
  STRATA_ASSIGN_OR_RETURN(const ExportedSubsystem subsystem, state_->Stored(nqn));
  if (subsystem.hosts.contains(host_nqn)) {
    return absl::AlreadyExistsError(
        absl::StrCat("subsystem '", nqn, "' admits host '", host_nqn, "' already"));
  }
  if (subsystem.hosts.size() >= state_->options_.config.max_hosts) {
    return absl::ResourceExhaustedError(absl::StrCat("subsystem '", nqn, "' knows ",
                                                     subsystem.hosts.size(),
                                                     " hosts, which nvme.max_hosts allows"));
  }
  const HostRecord record{.nqn = host_nqn, .created_ns = Now()};
  STRATA_RETURN_IF_ERROR(state_->Store([&](ExportStore& store) { return store.Put(nqn, record); }));
  const std::shared_ptr<LiveTarget> live = state_->live();
  return live == nullptr ? absl::OkStatus() : live->AllowHost(nqn, host_nqn);
}

absl::Status Exports::RemoveHost(const std::string& nqn, const std::string& host_nqn) {
  MutexLock changing(&state_->changing_);
  STRATA_ASSIGN_OR_RETURN(const ExportedSubsystem subsystem, state_->Stored(nqn));
  if (!subsystem.hosts.contains(host_nqn)) {
    return absl::NotFoundError(
        absl::StrCat("subsystem '", nqn, "' does not know a host '", host_nqn, "'"));
  }
  STRATA_RETURN_IF_ERROR(
      state_->Store([&](ExportStore& store) { return store.DeleteHost(nqn, host_nqn); }));
  const std::shared_ptr<LiveTarget> live = state_->live();
  return live == nullptr ? absl::OkStatus() : live->DisallowHost(nqn, host_nqn);
}

namespace {

// The first free one from `begin` on, round; 0: none.
uint32_t FreeNsid(const ExportedSubsystem& subsystem, uint32_t most) {
  const uint32_t begin = subsystem.record.next_nsid;
  for (uint32_t i = 0; i < most; ++i) {
    const uint32_t nsid = (begin - 1 + i) % most + 1;
    if (!subsystem.namespaces.contains(nsid)) return nsid;
  }
  return 0;
}

absl::Status CheckIdentity(const ExportedState& state, const NamespaceRecord& record) {
  for (const auto& [nqn, subsystem] : state.subsystems) {
    for (const auto& [nsid, other] : subsystem.namespaces) {
      const bool same_nguid =
          record.nguid != std::array<std::byte, 16>{} && other.nguid == record.nguid;
      if (other.uuid != record.uuid && !same_nguid) continue;
      return absl::AlreadyExistsError(absl::StrCat(
          "namespace ", nsid, " of '", nqn, "' has the same ", same_nguid ? "NGUID" : "UUID"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NamespaceRecord> Exports::AddNamespace(const std::string& nqn,
                                                      NamespaceRecord record) {
  MutexLock changing(&state_->changing_);
  const Config::Nvme& config = state_->options_.config;
  STRATA_ASSIGN_OR_RETURN(const ExportedSubsystem subsystem, state_->Stored(nqn));
  STRATA_RETURN_IF_ERROR(CheckHosts(record.hosts, config.max_hosts));
  const auto most = static_cast<uint32_t>(config.max_namespaces);
  std::optional<uint32_t> next_nsid;
  if (record.nsid == 0) {
    record.nsid = FreeNsid(subsystem, most);
    if (record.nsid == 0) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "subsystem '", nqn, "' has ", most, " namespaces, which nvme.max_namespaces allows"));
    }
    next_nsid = record.nsid % most + 1;
  }
  if (record.nsid > most) {
    return absl::InvalidArgumentError(absl::StrCat("namespace identifier ", record.nsid,
                                                   ": nvme.max_namespaces allows up to ", most));
  }
  if (subsystem.namespaces.contains(record.nsid)) {
    return absl::AlreadyExistsError(
        absl::StrCat("subsystem '", nqn, "' has a namespace ", record.nsid));
  }
  if (record.uuid == std::array<std::byte, 16>{}) {
    STRATA_ASSIGN_OR_RETURN(record.uuid, RandomUuid());
  }
  STRATA_RETURN_IF_ERROR(CheckIdentity(state_->stored(), record));
  record.created_ns = Now();
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<block::Device> device, state_->OpenDevice(record.uri));
  STRATA_RETURN_IF_ERROR(
      state_->Store([&](ExportStore& store) { return store.Put(nqn, record, next_nsid); }));
  const std::shared_ptr<LiveTarget> live = state_->live();
  if (live == nullptr) return record;
  const absl::Status status = live->AddNamespace(nqn, record, std::move(device));
  if (status.ok()) return record;
  live->RemoveNamespace(nqn, record.nsid);
  STRATA_RETURN_IF_ERROR(
      state_->Store([&](ExportStore& store) { return store.DeleteNamespace(nqn, record.nsid); }));
  return status;
}

absl::StatusOr<NamespaceRecord> Exports::SetNamespace(const std::string& nqn, uint32_t nsid,
                                                      const NamespaceChange& change) {
  MutexLock changing(&state_->changing_);
  STRATA_ASSIGN_OR_RETURN(const NamespaceRecord former, state_->Stored(nqn, nsid));
  NamespaceRecord record = former;
  if (change.qos.has_value()) record.qos = *change.qos;
  if (change.hosts.has_value()) {
    STRATA_RETURN_IF_ERROR(CheckHosts(*change.hosts, state_->options_.config.max_hosts));
    record.hosts = *change.hosts;
  }
  const std::shared_ptr<LiveTarget> live = state_->live();
  if (change.uri.has_value()) {
    record.uri = *change.uri;
    STRATA_RETURN_IF_ERROR(CheckExportUri(record.uri, state_->options_.own));
    if (IsFleeting(former.uri) && live != nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("'", former.uri, "' loses its data when it is closed"));
    }
  }
  STRATA_RETURN_IF_ERROR(state_->Store([&](ExportStore& store) { return store.Put(nqn, record); }));
  if (live == nullptr) return record;
  if (change.uri.has_value()) {
    const absl::Status status = live->Reopen(nqn, record, former.uri, state_->devices_);
    if (!status.ok()) {
      STRATA_RETURN_IF_ERROR(
          state_->Store([&](ExportStore& store) { return store.Put(nqn, former); }));
      return status;
    }
  }
  // One that is left out has nothing to change: it begins with what is stored.
  if (change.qos.has_value()) live->SetQos(nqn, nsid, record.qos).IgnoreError();
  if (change.hosts.has_value()) live->SetHosts(nqn, nsid, record.hosts).IgnoreError();
  return record;
}

absl::Status Exports::RemoveNamespace(const std::string& nqn, uint32_t nsid) {
  MutexLock changing(&state_->changing_);
  STRATA_RETURN_IF_ERROR(state_->Stored(nqn, nsid).status());
  STRATA_RETURN_IF_ERROR(
      state_->Store([&](ExportStore& store) { return store.DeleteNamespace(nqn, nsid); }));
  const std::shared_ptr<LiveTarget> live = state_->live();
  if (live != nullptr) live->RemoveNamespace(nqn, nsid);
  return absl::OkStatus();
}

absl::StatusOr<std::string> Exports::AddListener(const std::string& address,
                                                 bool is_discovery_only) {
  MutexLock changing(&state_->changing_);
  STRATA_ASSIGN_OR_RETURN(const nvmeof::Endpoint endpoint,
                          ParseTargetEndpoint(address, is_discovery_only ? nvmeof::kDiscoveryPort
                                                                         : nvmeof::kDefaultPort));
  const ListenerRecord record{.address = nvmeof::ToString(endpoint),
                              .is_discovery_only = is_discovery_only,
                              .created_ns = Now()};
  if (endpoint.port == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", address, "': the port 0 would be another one after each start"));
  }
  const ExportedState stored = state_->stored();
  if (stored.listeners.contains(record.address)) {
    return absl::AlreadyExistsError(absl::StrCat("there is a listener on ", record.address));
  }
  if (stored.listeners.size() >= kMaxListeners) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", kMaxListeners, " listeners, the most that there can be"));
  }
  STRATA_RETURN_IF_ERROR(state_->Store([&](ExportStore& store) { return store.Put(record); }));
  const std::shared_ptr<LiveTarget> live = state_->live();
  if (live == nullptr) return record.address;
  absl::StatusOr<std::string> added = live->AddListener(record);
  if (!added.ok()) {
    live->RemoveListener(record.address);
    STRATA_RETURN_IF_ERROR(
        state_->Store([&](ExportStore& store) { return store.DeleteListener(record.address); }));
  }
  return added;
}

absl::Status Exports::RemoveListener(const std::string& address) {
  MutexLock changing(&state_->changing_);
  const ExportedState stored = state_->stored();
  for (const uint16_t port : {nvmeof::kDefaultPort, nvmeof::kDiscoveryPort}) {
    STRATA_ASSIGN_OR_RETURN(const nvmeof::Endpoint endpoint, ParseTargetEndpoint(address, port));
    const std::string name = nvmeof::ToString(endpoint);
    if (!stored.listeners.contains(name)) continue;
    STRATA_RETURN_IF_ERROR(
        state_->Store([&](ExportStore& store) { return store.DeleteListener(name); }));
    const std::shared_ptr<LiveTarget> live = state_->live();
    if (live != nullptr) live->RemoveListener(name);
    return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat("no listener on ", address,
                                          " was added; those of the settings are changed there"));
}

namespace {

SubsystemView ViewOf(const ExportedSubsystem& exported, const LiveTarget* live) {
  SubsystemView view;
  view.record = exported.record;
  for (const auto& [nqn, host] : exported.hosts) view.hosts.push_back(host);
  absl::StatusOr<LiveSubsystem> running = absl::NotFoundError(kNotServed);
  if (live != nullptr) running = live->Subsystem(exported.record.nqn);
  if (!running.ok()) {
    view.error = std::string(running.status().message());
    running = LiveSubsystem();
  }
  if (running->model != nullptr) {
    view.controllers = running->model->Controllers();
    view.statistics = running->model->statistics();
  }
  for (const auto& [nsid, record] : exported.namespaces) {
    NamespaceView space{.record = record, .error = view.error, .read_only = record.read_only};
    const auto found = running->namespaces.find(nsid);
    if (found != running->namespaces.end()) {
      space.error = found->second.error;
      space.statistics = running->model->StatisticsOf(nsid).value_or(nvme::NamespaceStatistics());
      if (const block::Device* device = found->second.device.get(); device != nullptr) {
        space.block_size_bytes = device->geometry().block_size_bytes;
        space.block_count = device->geometry().block_count;
        space.read_only = record.read_only || device->geometry().read_only;
      }
    }
    view.namespaces.push_back(std::move(space));
  }
  return view;
}

}  // namespace

std::vector<SubsystemView> Exports::Subsystems() const {
  const std::shared_ptr<LiveTarget> live = state_->live();
  std::vector<SubsystemView> views;
  for (const auto& [nqn, subsystem] : state_->stored().subsystems) {
    views.push_back(ViewOf(subsystem, live.get()));
  }
  return views;
}

absl::StatusOr<SubsystemView> Exports::Subsystem(const std::string& nqn) const {
  STRATA_ASSIGN_OR_RETURN(const ExportedSubsystem subsystem, state_->Stored(nqn));
  return ViewOf(subsystem, state_->live().get());
}

std::vector<ListenerView> Exports::Listeners() const {
  const std::shared_ptr<LiveTarget> live = state_->live();
  const Config::Nvme& config = state_->options_.config;
  std::vector<ListenerView> views;
  if (live == nullptr) {
    const auto add = [&](const std::string& address, bool is_discovery_only, bool is_configured) {
      views.push_back({.record = {.address = address, .is_discovery_only = is_discovery_only},
                       .error = kNotServed,
                       .is_configured = is_configured});
    };
    if (!config.listen.empty()) add(config.listen, false, true);
    if (!config.listen.empty() && !config.discovery.empty()) add(config.discovery, true, true);
    for (const auto& [address, listener] : state_->stored().listeners) {
      add(address, listener.is_discovery_only, false);
    }
    return views;
  }
  for (const LiveListener& listener : live->Listeners()) {
    const bool listens = listener.error.empty();
    views.push_back(
        {.record = {.address = listens ? nvmeof::ToString(listener.endpoint) : listener.address,
                    .is_discovery_only = listener.is_discovery_only},
         .error = listener.error,
         .is_configured = listener.is_configured});
  }
  return views;
}

std::vector<nvmeof::ConnectionInfo> Exports::Connections() const {
  const std::shared_ptr<LiveTarget> live = state_->live();
  if (live == nullptr) return {};
  return live->Connections();
}

nvmeof::TargetStatistics Exports::Statistics() const {
  const std::shared_ptr<LiveTarget> live = state_->live();
  if (live == nullptr) return {};
  return live->Statistics();
}

}  // namespace strata::appliance
