// SPDX-License-Identifier: Apache-2.0
#include "target/target_model.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "strata/base/check.h"
#include "strata/base/range_check.h"
#include "strata/base/status_macros.h"
#include "strata/nvme/wire/fabrics.h"
#include "target/data_pool.h"
#include "target/discovery_log.h"
#include "target/worker.h"

namespace strata::nvmeof {
namespace {

constexpr size_t kMostListeners = 1024;
constexpr size_t kMostSubsystems = 4096;
constexpr size_t kMostReferrals = 1024;

absl::Status CheckMultiple(const char* what, uint64_t value, uint64_t unit) {
  if (value % unit == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s %d is not a multiple of %d", what, value, unit));
}

absl::Status CheckOptions(const TargetOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckRange("max_connections", options.max_connections, 1, 1u << 20));
  STRATA_RETURN_IF_ERROR(CheckRange("pool_bytes", options.pool_bytes, 1u << 20, 2u << 30));
  STRATA_RETURN_IF_ERROR(CheckMultiple("pool_bytes", options.pool_bytes, DataPool::kChunkBytes));
  STRATA_RETURN_IF_ERROR(
      CheckRange("max_host_data_bytes", options.max_host_data_bytes, 4096, 1u << 30));
  STRATA_RETURN_IF_ERROR(CheckMultiple("max_host_data_bytes", options.max_host_data_bytes, 4096));
  if (options.socket_buffer_bytes != 0) {
    STRATA_RETURN_IF_ERROR(
        CheckRange("socket_buffer_bytes", options.socket_buffer_bytes, 64u << 10, 1u << 30));
  }
  STRATA_RETURN_IF_ERROR(
      CheckRange("connect_timeout_ms", options.connect_timeout_ms, 100, 600'000));
  STRATA_RETURN_IF_ERROR(CheckRange("data_timeout_ms", options.data_timeout_ms, 100, 600'000));
  return CheckRange("spin_us", options.spin_us, 0, 1'000'000);
}

// The kernel refuses whoever connects from now on. Workers have duplicates of the socket, which
// they close in their next rounds; until then a host would be let in, and cut.
void StopListening(const ListenerEntry& listener) {
  (void)shutdown(listener.socket.fd(), SHUT_RDWR);
}

}  // namespace

std::shared_ptr<nvme::Subsystem> TargetTable::Find(std::string_view nqn) const {
  const auto found = std::ranges::find_if(
      subsystems, [nqn](const auto& subsystem) { return subsystem->options().nqn == nqn; });
  return found == subsystems.end() ? nullptr : *found;
}

TargetModel::TargetModel(const TargetOptions& options)
    : options_(options),
      clock_(options.clock != nullptr ? *options.clock : SystemClock()),
      table_(std::make_shared<TargetTable>()) {}

TargetModel::~TargetModel() {
  MutexLock lock(&mutex_);
  STRATA_CHECK(workers_.empty(), "a target is destroyed under its workers");
}

absl::Status TargetModel::Init() {
  STRATA_ASSIGN_OR_RETURN(discovery_, nvme::CreateSubsystem({.nqn = nvme::kDiscoveryNqn,
                                                             .model_number = "Strata discovery",
                                                             .allow_any_host = true,
                                                             .max_queue_entries = 128,
                                                             .max_namespaces = 1,
                                                             .clock = options_.clock,
                                                             .discovery = this}));
  return absl::OkStatus();
}

std::shared_ptr<const TargetTable> TargetModel::table() const {
  MutexLock lock(&mutex_);
  return table_;
}

void TargetModel::Publish(std::shared_ptr<TargetTable> table) {
  table->generation = table_->generation + 1;
  const uint64_t generation = table->generation;
  table_ = std::move(table);
  generation_.store(generation, std::memory_order_release);
  for (WorkerModel* worker : workers_) worker->Wake();
  RefreshDiscovery();
  discovery_->NoteDiscoveryChange();
}

bool TargetModel::RefreshDiscovery() const {
  const size_t count = 1 + table_->subsystems.size();
  bool has_changed = discovery_state_.size() != count;
  discovery_state_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t now = i == 0 ? table_->generation : table_->subsystems[i - 1]->host_generation();
    has_changed = has_changed || discovery_state_[i] != now;
    discovery_state_[i] = now;
  }
  if (has_changed) ++discovery_generation_;
  return has_changed;
}

void TargetModel::NoticeHostChanges() {
  MutexLock lock(&mutex_);
  if (RefreshDiscovery()) discovery_->NoteDiscoveryChange();
}

absl::Status TargetModel::AddSubsystem(std::shared_ptr<nvme::Subsystem> subsystem) {
  if (subsystem == nullptr) return absl::InvalidArgumentError("no subsystem");
  const nvme::SubsystemOptions& options = subsystem->options();
  if (options.nqn == nvme::kDiscoveryNqn || options.discovery != nullptr) {
    return absl::InvalidArgumentError("the target has a discovery subsystem of its own");
  }
  if (DataPool::TakenBytes(options.max_transfer_bytes) > options_.pool_bytes / 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.nqn, ": max_transfer_bytes ", options.max_transfer_bytes,
                     " is more than half of the target's pool_bytes ", options_.pool_bytes));
  }
  MutexLock lock(&mutex_);
  if (table_->Find(options.nqn) != nullptr) {
    return absl::AlreadyExistsError(absl::StrCat("the target has '", options.nqn, "' already"));
  }
  if (table_->subsystems.size() == kMostSubsystems) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the target has ", kMostSubsystems, " subsystems, its limit"));
  }
  auto table = std::make_shared<TargetTable>(*table_);
  table->subsystems.push_back(std::move(subsystem));
  Publish(std::move(table));
  return absl::OkStatus();
}

absl::Status TargetModel::RemoveSubsystem(const std::string& nqn) {
  MutexLock lock(&mutex_);
  auto table = std::make_shared<TargetTable>(*table_);
  const size_t removed = std::erase_if(
      table->subsystems, [&nqn](const auto& subsystem) { return subsystem->options().nqn == nqn; });
  if (removed == 0) return absl::NotFoundError(absl::StrCat("the target has no '", nqn, "'"));
  Publish(std::move(table));
  return absl::OkStatus();
}

absl::StatusOr<Endpoint> TargetModel::AddListener(const ListenerOptions& options) {
  STRATA_ASSIGN_OR_RETURN(Socket socket, ListenOn(options.endpoint));
  auto entry = std::make_shared<ListenerEntry>();
  entry->options = options;
  entry->options.endpoint = LocalAddress(socket.fd());
  entry->socket = std::move(socket);
  const Endpoint endpoint = entry->options.endpoint;
  MutexLock lock(&mutex_);
  if (table_->is_draining) return absl::FailedPreconditionError("the target is being stopped");
  if (table_->listeners.size() == kMostListeners) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the target has ", kMostListeners, " listeners, its limit"));
  }
  auto table = std::make_shared<TargetTable>(*table_);
  table->listeners.push_back(std::move(entry));
  Publish(std::move(table));
  return endpoint;
}

absl::Status TargetModel::RemoveListener(const Endpoint& endpoint) {
  MutexLock lock(&mutex_);
  auto table = std::make_shared<TargetTable>(*table_);
  const size_t removed = std::erase_if(table->listeners, [&endpoint](const auto& listener) {
    if (listener->options.endpoint != endpoint) return false;
    StopListening(*listener);
    return true;
  });
  if (removed == 0) {
    return absl::NotFoundError(absl::StrCat("the target does not listen on ", ToString(endpoint)));
  }
  Publish(std::move(table));
  return absl::OkStatus();
}

std::vector<ListenerOptions> TargetModel::Listeners() const {
  std::vector<ListenerOptions> listeners;
  for (const auto& listener : table()->listeners) listeners.push_back(listener->options);
  return listeners;
}

absl::Status TargetModel::AddReferral(const Referral& referral) {
  MutexLock lock(&mutex_);
  auto table = std::make_shared<TargetTable>(*table_);
  if (std::ranges::find(table->referrals, referral) != table->referrals.end()) {
    return absl::AlreadyExistsError(
        absl::StrCat("a referral to ", ToString(referral.endpoint), " exists already"));
  }
  if (table->referrals.size() == kMostReferrals) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the target has ", kMostReferrals, " referrals, its limit"));
  }
  table->referrals.push_back(referral);
  Publish(std::move(table));
  return absl::OkStatus();
}

absl::Status TargetModel::RemoveReferral(const Referral& referral) {
  MutexLock lock(&mutex_);
  auto table = std::make_shared<TargetTable>(*table_);
  if (std::erase(table->referrals, referral) == 0) {
    return absl::NotFoundError(
        absl::StrCat("there is no referral to ", ToString(referral.endpoint)));
  }
  Publish(std::move(table));
  return absl::OkStatus();
}

void TargetModel::Drain() {
  MutexLock lock(&mutex_);
  if (table_->is_draining) return;
  auto table = std::make_shared<TargetTable>(*table_);
  for (const auto& listener : table->listeners) StopListening(*listener);
  table->listeners.clear();
  table->is_draining = true;
  Publish(std::move(table));
}

std::vector<ConnectionInfo> TargetModel::Connections() const {
  MutexLock lock(&mutex_);
  std::vector<ConnectionInfo> connections;
  connections.reserve(records_.size());
  for (const std::shared_ptr<ConnectionRecord>& record : records_) {
    ConnectionInfo info = record->info;
    info.commands = record->commands.value();
    info.bytes_to_host = record->bytes_to_host.value();
    info.bytes_from_host = record->bytes_from_host.value();
    connections.push_back(std::move(info));
  }
  return connections;
}

TargetStatistics TargetModel::statistics() const {
  TargetStatistics statistics;
  {
    MutexLock lock(&mutex_);
    statistics.commands = ended_commands_;
    statistics.bytes_to_host = ended_bytes_to_host_;
    statistics.bytes_from_host = ended_bytes_from_host_;
  }
  for (const ConnectionInfo& info : Connections()) {
    statistics.commands += info.commands;
    statistics.bytes_to_host += info.bytes_to_host;
    statistics.bytes_from_host += info.bytes_from_host;
  }
  statistics.connections_accepted = accepted_.load(std::memory_order_relaxed);
  statistics.connections_refused = refused_.load(std::memory_order_relaxed);
  statistics.sends = sends_.load(std::memory_order_relaxed);
  statistics.receives = receives_.load(std::memory_order_relaxed);
  statistics.connections_terminated = terminated_.load(std::memory_order_relaxed);
  return statistics;
}

absl::StatusOr<std::unique_ptr<Worker>> TargetModel::OpenWorker() {
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<WorkerModel> worker, WorkerModel::Open(*this));
  MutexLock lock(&mutex_);
  workers_.push_back(worker.get());
  return worker;
}

void TargetModel::RemoveWorker(WorkerModel* worker) {
  MutexLock lock(&mutex_);
  std::erase(workers_, worker);
  // Another one accepts from now on.
  if (!workers_.empty()) Publish(std::make_shared<TargetTable>(*table_));
}

bool TargetModel::IsAcceptor(const WorkerModel* worker) const {
  MutexLock lock(&mutex_);
  return !workers_.empty() && workers_.front() == worker;
}

void TargetModel::Assign(Socket socket, bool is_discovery_only) {
  MutexLock lock(&mutex_);
  accepted_.fetch_add(1, std::memory_order_relaxed);
  WorkerModel* least = *std::ranges::min_element(
      workers_, {}, [](const WorkerModel* worker) { return worker->connection_count(); });
  least->Give(std::move(socket), is_discovery_only);
}

std::shared_ptr<ConnectionRecord> TargetModel::OpenRecord(const ConnectionInfo& info) {
  MutexLock lock(&mutex_);
  if (records_.size() >= options_.max_connections) return nullptr;
  auto record = std::make_shared<ConnectionRecord>();
  record->info = info;
  records_.insert(record);
  return record;
}

void TargetModel::SetConnected(ConnectionRecord* record, const ConnectionInfo& info) {
  MutexLock lock(&mutex_);
  record->info = info;
}

bool TargetModel::HasIoConnections(std::string_view subsystem_nqn, uint16_t controller_id) const {
  MutexLock lock(&mutex_);
  return std::ranges::any_of(records_, [&](const auto& record) {
    const ConnectionInfo& info = record->info;
    return info.queue_id != 0 && info.controller_id == controller_id &&
           info.subsystem_nqn == subsystem_nqn;
  });
}

void TargetModel::CloseRecord(const std::shared_ptr<ConnectionRecord>& record) {
  MutexLock lock(&mutex_);
  if (records_.erase(record) == 0) return;
  ended_commands_ += record->commands.value();
  ended_bytes_to_host_ += record->bytes_to_host.value();
  ended_bytes_from_host_ += record->bytes_from_host.value();
}

std::vector<std::byte> TargetModel::LogPageFor(std::string_view host_nqn,
                                               std::string_view local_address) const {
  const absl::StatusOr<Endpoint> local = ParseEndpoint(local_address);
  MutexLock lock(&mutex_);
  RefreshDiscovery();
  return MakeDiscoveryLog(*table_, discovery_generation_, host_nqn, local.value_or(Endpoint{}));
}

absl::StatusOr<std::unique_ptr<Target>> Target::Create(const TargetOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckOptions(options));
  auto target = std::make_unique<TargetModel>(options);
  STRATA_RETURN_IF_ERROR(target->Init());
  return target;
}

}  // namespace strata::nvmeof
