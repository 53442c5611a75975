// SPDX-License-Identifier: Apache-2.0
#include "device/subsystem_model.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "device/queue_model.h"
#include "strata/base/check.h"
#include "strata/base/random.h"
#include "strata/base/range_check.h"
#include "strata/base/status_macros.h"

namespace strata::nvme {
namespace {

constexpr uint32_t kMostControllers = 0xfff0;
constexpr uint32_t kMostNamespaces = 1u << 16;

// Where a wrong parameter of Connect stands; kInData: in its data, not in the entry.
constexpr uint32_t kInData = 1u << 16;
constexpr uint32_t kControllerIdOffset = kInData | 16;
constexpr uint32_t kHostNqnOffset = kInData | 512;
constexpr uint32_t kQueueIdOffset = 42;
constexpr uint32_t kQueueSizeOffset = 44;

// A discovery controller whose host asked for no Keep Alive ends after so long without a command.
// NVM Express Base 2.1, section 3.1.3.3.
constexpr uint32_t kDiscoveryIdleMs = 120'000;

bool IsZero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

absl::Status CheckNqn(const std::string& nqn) {
  if (nqn.empty() || nqn.size() > kMostNqnBytes || nqn.rfind("nqn.", 0) != 0 ||
      std::ranges::any_of(nqn, [](char c) { return (c >= 0 && c < 0x21) || c == 0x7f; })) {
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' is not an NQN of at most %d bytes", nqn, kMostNqnBytes));
  }
  return absl::OkStatus();
}

absl::Status CheckText(const char* what, const std::string& text, size_t most_bytes) {
  const bool is_ascii =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (text.empty() || text.size() > most_bytes || !is_ascii) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s '%s' is not 1 to %d printable characters", what, text, most_bytes));
  }
  return absl::OkStatus();
}

absl::Status CheckOptions(const SubsystemOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckNqn(options.nqn));
  STRATA_RETURN_IF_ERROR(CheckText("serial_number", options.serial_number, 20));
  STRATA_RETURN_IF_ERROR(CheckText("model_number", options.model_number, 40));
  STRATA_RETURN_IF_ERROR(CheckText("firmware_revision", options.firmware_revision, 8));
  STRATA_RETURN_IF_ERROR(CheckRange("first_controller_id", options.first_controller_id, 1, 0xffef));
  STRATA_RETURN_IF_ERROR(CheckRange("last_controller_id", options.last_controller_id,
                                    options.first_controller_id, 0xffef));
  STRATA_RETURN_IF_ERROR(
      CheckRange("max_controllers", options.max_controllers, 1, kMostControllers));
  STRATA_RETURN_IF_ERROR(CheckRange("max_io_queues", options.max_io_queues, 1, 0xfffe));
  STRATA_RETURN_IF_ERROR(CheckRange("max_queue_entries", options.max_queue_entries, 2, 65536));
  STRATA_RETURN_IF_ERROR(CheckRange("max_namespaces", options.max_namespaces, 1, kMostNamespaces));
  STRATA_RETURN_IF_ERROR(CheckRange("max_hosts", options.max_hosts, 1, 1u << 20));
  STRATA_RETURN_IF_ERROR(CheckRange("max_async_events", options.max_async_events, 1, 256));
  STRATA_RETURN_IF_ERROR(
      CheckRange("max_transfer_bytes", options.max_transfer_bytes, 8192, 1u << 30));
  if (!std::has_single_bit(options.max_transfer_bytes)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("max_transfer_bytes %d is not a power of two", options.max_transfer_bytes));
  }
  return absl::OkStatus();
}

absl::Status NoNamespace(uint32_t nsid) {
  return absl::NotFoundError(absl::StrCat("no namespace ", nsid));
}

}  // namespace

SubsystemModel::SubsystemModel(const SubsystemOptions& options)
    : options_(options),
      clock_(options.clock != nullptr ? *options.clock : SystemClock()),
      allow_any_host_(options.allow_any_host),
      next_controller_id_(options.first_controller_id) {
  auto table = std::make_shared<NamespaceTable>();
  table->entries.resize(options_.max_namespaces);
  MutexLock lock(&mutex_);
  table_ = std::move(table);
}

SubsystemModel::~SubsystemModel() {
  MutexLock lock(&mutex_);
  STRATA_CHECK(lanes_.empty(), "a subsystem is destroyed under its lanes");
}

absl::Status SubsystemModel::AllowHost(const std::string& host_nqn) {
  STRATA_RETURN_IF_ERROR(CheckNqn(host_nqn));
  MutexLock lock(&mutex_);
  if (hosts_.count(host_nqn) > 0) {
    return absl::AlreadyExistsError(absl::StrCat("host '", host_nqn, "' is allowed already"));
  }
  if (hosts_.size() == options_.max_hosts) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the subsystem knows ", options_.max_hosts, " hosts, its limit"));
  }
  hosts_.insert(host_nqn);
  NoteHostChange();
  return absl::OkStatus();
}

absl::Status SubsystemModel::DisallowHost(const std::string& host_nqn) {
  MutexLock lock(&mutex_);
  if (hosts_.erase(host_nqn) == 0) {
    return absl::NotFoundError(absl::StrCat("host '", host_nqn, "' is not on the list"));
  }
  NoteHostChange();
  return absl::OkStatus();
}

void SubsystemModel::SetAllowAnyHost(bool allow) {
  MutexLock lock(&mutex_);
  if (allow_any_host_ == allow) return;
  allow_any_host_ = allow;
  NoteHostChange();
}

void SubsystemModel::NoteHostChange() {
  bool has_ended_one = false;
  for (const auto& [id, controller] : controllers_) {
    if (controller->has_ended() || IsAdmitted(controller->host_nqn)) continue;
    controller->End();
    has_ended_one = true;
  }
  host_generation_.fetch_add(1, std::memory_order_acq_rel);
  // A new table, of the same namespaces, wakes the lanes: their transports look at the queues.
  if (has_ended_one) Adopt(std::make_shared<NamespaceTable>(*table_));
}

bool SubsystemModel::Admits(std::string_view host_nqn) const {
  MutexLock lock(&mutex_);
  return IsAdmitted(host_nqn);
}

absl::Status SubsystemModel::CheckDevice(const block::Device* device) const {
  if (device == nullptr) return absl::InvalidArgumentError("a namespace without a device");
  const block::Geometry& geometry = device->geometry();
  if (geometry.block_size_bytes > 65536) {
    return absl::InvalidArgumentError(absl::StrCat(
        device->name(), ": blocks of ", geometry.block_size_bytes, " bytes, at most 65536"));
  }
  if (geometry.zone_size_blocks != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(device->name(), ": a zoned device cannot be a namespace of this command set"));
  }
  if (geometry.max_transfer_bytes < options_.max_transfer_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(device->name(), ": takes transfers of ", geometry.max_transfer_bytes,
                     " bytes, the subsystem announces ", options_.max_transfer_bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> SubsystemModel::AddNamespace(std::shared_ptr<block::Device> device,
                                                      const NamespaceOptions& options) {
  if (options_.discovery != nullptr) {
    return absl::InvalidArgumentError("a discovery subsystem has no namespaces");
  }
  STRATA_RETURN_IF_ERROR(CheckDevice(device.get()));
  if (options.hosts.size() > options_.max_hosts) {
    return absl::ResourceExhaustedError(absl::StrCat("a namespace for ", options.hosts.size(),
                                                     " hosts, at most ", options_.max_hosts));
  }
  for (const std::string& host : options.hosts) STRATA_RETURN_IF_ERROR(CheckNqn(host));
  auto entry = std::make_shared<NamespaceEntry>();
  entry->identity = options.identity;
  if (IsZero(entry->identity.nguid) && IsZero(entry->identity.eui64) &&
      IsZero(entry->identity.uuid)) {
    std::array<std::byte, 16>& uuid = entry->identity.uuid;
    STRATA_RETURN_IF_ERROR(SecureRandomBytes(uuid));
    uuid[6] = (uuid[6] & std::byte{0x0f}) | std::byte{0x40};  // RFC 4122: version 4, random.
    uuid[8] = (uuid[8] & std::byte{0x3f}) | std::byte{0x80};
  }
  entry->read_only = options.read_only || device->geometry().read_only;
  entry->device = std::move(device);
  entry->hosts = options.hosts;
  entry->qos = options.qos;
  entry->gate = std::make_shared<QosGate>();
  entry->ledger = std::make_shared<NamespaceLedger>();

  MutexLock lock(&mutex_);
  uint32_t nsid = options.nsid;
  if (nsid == 0) {
    nsid = FreeNsid();
    if (nsid == 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the subsystem has ", options_.max_namespaces, " namespaces, its limit"));
    }
    next_nsid_ = nsid == options_.max_namespaces ? 1 : nsid + 1;
  }
  if (nsid > options_.max_namespaces) {
    return absl::ResourceExhaustedError(
        absl::StrCat("namespace ", nsid, ": the largest is ", options_.max_namespaces));
  }
  if (table_->Find(nsid) != nullptr) {
    return absl::AlreadyExistsError(absl::StrCat("namespace ", nsid, " exists already"));
  }
  entry->nsid = nsid;
  entry->serial = ++namespace_serial_;
  Publish(nsid, std::move(entry));
  return nsid;
}

uint32_t SubsystemModel::FreeNsid() const {
  const auto begin = table_->entries.begin();
  const auto end = table_->entries.end();
  auto free = std::find(begin + (next_nsid_ - 1), end, nullptr);
  if (free == end) free = std::find(begin, end, nullptr);
  return free == end ? 0 : static_cast<uint32_t>(free - begin) + 1;
}

absl::Status SubsystemModel::RemoveNamespace(uint32_t nsid) {
  MutexLock lock(&mutex_);
  const NamespaceEntry* entry = table_->Find(nsid);
  if (entry == nullptr) return NoNamespace(nsid);
  RetireLedger(entry->ledger);
  Publish(nsid, nullptr);
  return absl::OkStatus();
}

void SubsystemModel::RetireLedger(std::shared_ptr<NamespaceLedger> ledger) {
  std::erase_if(removed_ledgers_, [this](const std::shared_ptr<NamespaceLedger>& removed) {
    if (removed.use_count() > 1) return false;
    removed_.Add(removed->Read());
    return true;
  });
  removed_ledgers_.push_back(std::move(ledger));
}

absl::Status SubsystemModel::ReplaceDevice(uint32_t nsid, std::shared_ptr<block::Device> device) {
  STRATA_RETURN_IF_ERROR(CheckDevice(device.get()));
  MutexLock lock(&mutex_);
  const std::shared_ptr<NamespaceEntry> entry = CopyEntry(nsid);
  if (entry == nullptr) return NoNamespace(nsid);
  // Commands that wait were cut into blocks of the old size.
  const uint32_t block_size_bytes = entry->device->geometry().block_size_bytes;
  if (device->geometry().block_size_bytes != block_size_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(device->name(), ": blocks of ", device->geometry().block_size_bytes,
                     " bytes, namespace ", nsid, " has blocks of ", block_size_bytes));
  }
  entry->read_only = entry->read_only || device->geometry().read_only;
  entry->device = std::move(device);
  Publish(nsid, entry);
  return absl::OkStatus();
}

absl::Status SubsystemModel::SetQos(uint32_t nsid, const QosLimits& qos) {
  MutexLock lock(&mutex_);
  const std::shared_ptr<NamespaceEntry> entry = CopyEntry(nsid);
  if (entry == nullptr) return NoNamespace(nsid);
  entry->qos = qos;
  entry->gate->Reset();
  Publish(nsid, entry);
  return absl::OkStatus();
}

absl::Status SubsystemModel::SetHosts(uint32_t nsid, std::vector<std::string> hosts) {
  for (const std::string& host : hosts) STRATA_RETURN_IF_ERROR(CheckNqn(host));
  if (hosts.size() > options_.max_hosts) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a namespace for ", hosts.size(), " hosts, at most ", options_.max_hosts));
  }
  MutexLock lock(&mutex_);
  const std::shared_ptr<NamespaceEntry> entry = CopyEntry(nsid);
  if (entry == nullptr) return NoNamespace(nsid);
  entry->hosts = std::move(hosts);
  Publish(nsid, entry);
  return absl::OkStatus();
}

std::shared_ptr<NamespaceEntry> SubsystemModel::CopyEntry(uint32_t nsid) const {
  const NamespaceEntry* entry = table_->Find(nsid);
  return entry == nullptr ? nullptr : std::make_shared<NamespaceEntry>(*entry);
}

void SubsystemModel::Publish(uint32_t nsid, std::shared_ptr<const NamespaceEntry> entry) {
  auto table = std::make_shared<NamespaceTable>(*table_);
  const std::shared_ptr<const NamespaceEntry> before = table->entries[nsid - 1];
  table->entries[nsid - 1] = entry;
  // A change of limits alone is nothing that a host could see.
  const bool is_seen = before == nullptr || entry == nullptr || before->device != entry->device ||
                       before->hosts != entry->hosts || before->read_only != entry->read_only;
  Adopt(std::move(table));
  // Then the event: a host that was told of the change before the count would be answered from the
  // old table. A lane that saw the count waits for the mutex, and delivers the event after it.
  for (const auto& [id, controller] : controllers_) {
    const bool saw = before != nullptr && before->VisibleTo(controller->host_nqn);
    const bool sees = entry != nullptr && entry->VisibleTo(controller->host_nqn);
    if (is_seen && (saw || sees)) controller->NoteChanged(nsid);
  }
}

void SubsystemModel::Adopt(std::shared_ptr<NamespaceTable> table) {
  table->generation = table_->generation + 1;
  const uint64_t generation = table->generation;
  table_ = std::move(table);
  // First the signals, then the count: a lane clears the signal when it sees the count.
  for (const LaneModel* lane : lanes_) lane->Wake();
  generation_.store(generation, std::memory_order_release);
}

// The namespaces are the same; a new table is how lanes are made to look for events.
void SubsystemModel::NoteDiscoveryChange() {
  MutexLock lock(&mutex_);
  Adopt(std::make_shared<NamespaceTable>(*table_));
  for (const auto& [id, controller] : controllers_) controller->NoteDiscoveryChange();
}

bool SubsystemModel::IsSettled(uint64_t generation) const {
  MutexLock lock(&mutex_);
  return std::all_of(lanes_.begin(), lanes_.end(), [generation](const LaneModel* lane) {
    return lane->settled_generation() >= generation;
  });
}

std::vector<NamespaceState> SubsystemModel::Namespaces() const {
  const std::shared_ptr<const NamespaceTable> table = this->table();
  std::vector<NamespaceState> states;
  for (const std::shared_ptr<const NamespaceEntry>& entry : table->entries) {
    if (entry == nullptr) continue;
    states.push_back({.nsid = entry->nsid,
                      .device_name = entry->device->name(),
                      .identity = entry->identity,
                      .block_size_bytes = entry->device->geometry().block_size_bytes,
                      .block_count = entry->device->geometry().block_count,
                      .read_only = entry->read_only,
                      .hosts = entry->hosts,
                      .qos = entry->qos});
  }
  return states;
}

std::vector<nvme::ControllerState> SubsystemModel::Controllers() const {
  MutexLock lock(&mutex_);
  std::vector<nvme::ControllerState> states;
  for (const auto& [id, controller] : controllers_) {
    const CounterTotals totals = controller->Totals();
    states.push_back({.id = id,
                      .host_nqn = controller->host_nqn,
                      .queue_count = static_cast<uint32_t>(controller->queue_count()),
                      .reads = totals.reads,
                      .writes = totals.writes,
                      .read_bytes = totals.read_bytes,
                      .written_bytes = totals.written_bytes,
                      .errors = totals.errors});
  }
  return states;
}

absl::StatusOr<NamespaceStatistics> SubsystemModel::StatisticsOf(uint32_t nsid) const {
  const std::shared_ptr<const NamespaceTable> table = this->table();
  const NamespaceEntry* entry = table->Find(nsid);
  if (entry == nullptr) return NoNamespace(nsid);
  return entry->ledger->Read();
}

NamespaceStatistics SubsystemModel::statistics() const {
  MutexLock lock(&mutex_);
  NamespaceStatistics sum = removed_;
  for (const std::shared_ptr<NamespaceLedger>& ledger : removed_ledgers_) sum.Add(ledger->Read());
  for (const std::shared_ptr<const NamespaceEntry>& entry : table_->entries) {
    if (entry != nullptr) sum.Add(entry->ledger->Read());
  }
  return sum;
}

std::vector<uint16_t> SubsystemModel::ControllerIds() const {
  MutexLock lock(&mutex_);
  std::vector<uint16_t> ids;
  for (const auto& [id, controller] : controllers_) ids.push_back(id);
  return ids;
}

std::shared_ptr<const NamespaceTable> SubsystemModel::table() const {
  MutexLock lock(&mutex_);
  return table_;
}

absl::StatusOr<std::unique_ptr<Lane>> SubsystemModel::OpenLane(const LaneOptions& options) {
  if (options.channel_depth == 0) return absl::InvalidArgumentError("channel_depth is 0");
  auto lane = std::make_unique<LaneModel>(*this, options);
  {
    MutexLock lock(&mutex_);
    lanes_.push_back(lane.get());
  }
  lane->Refresh();  // A change before this did not know the lane.
  return lane;
}

void SubsystemModel::RemoveLane(LaneModel* lane) {
  MutexLock lock(&mutex_);
  std::erase(lanes_, lane);
}

void SubsystemModel::RemoveController(const ControllerModel* controller) {
  MutexLock lock(&mutex_);
  // A queue that connected as its controller ended comes here twice: the id may be another's.
  const auto found = controllers_.find(controller->id);
  if (found != controllers_.end() && found->second.get() == controller) controllers_.erase(found);
}

Connected SubsystemModel::Connect(Lane& lane, const ConnectArguments& arguments) {
  auto& model = static_cast<LaneModel&>(lane);
  STRATA_CHECK(&model.subsystem() == this, "a queue connects through another subsystem's lane");
  const Status invalid = Status(StatusCode::kConnectInvalidParameters).DoNotRetry();
  if (!CheckNqn(arguments.host_nqn).ok()) return {invalid, kHostNqnOffset, nullptr};
  if (arguments.queue_entries < 2 || arguments.queue_entries > options_.max_queue_entries) {
    return {invalid, kQueueSizeOffset, nullptr};
  }
  const uint32_t max_io_queues = options_.discovery == nullptr ? options_.max_io_queues : 0;
  if (arguments.queue_id > max_io_queues) return {invalid, kQueueIdOffset, nullptr};
  return arguments.queue_id == 0 ? ConnectAdmin(model, arguments) : ConnectIo(model, arguments);
}

Connected SubsystemModel::ConnectAdmin(LaneModel& lane, const ConnectArguments& arguments) {
  const Status invalid = Status(StatusCode::kConnectInvalidParameters).DoNotRetry();
  if (arguments.controller_id != kDynamicController) {
    return {invalid, kControllerIdOffset, nullptr};
  }
  std::shared_ptr<ControllerModel> controller;
  {
    MutexLock lock(&mutex_);
    if (!IsAdmitted(arguments.host_nqn)) {
      return {Status(StatusCode::kConnectInvalidHost).DoNotRetry(), 0, nullptr};
    }
    const uint32_t range = options_.last_controller_id - options_.first_controller_id + 1u;
    // One that has ended keeps its id until its queues are gone, but no other host waits for that.
    const auto living = std::count_if(controllers_.begin(), controllers_.end(),
                                      [](const auto& c) { return !c.second->has_ended(); });
    if (living >= static_cast<ptrdiff_t>(options_.max_controllers) ||
        controllers_.size() >= range) {
      return {StatusCode::kConnectControllerBusy, 0, nullptr};
    }
    // Round the range, so that an id is used again as late as possible.
    while (controllers_.count(next_controller_id_) > 0) {
      next_controller_id_ = next_controller_id_ == options_.last_controller_id
                                ? options_.first_controller_id
                                : static_cast<uint16_t>(next_controller_id_ + 1);
    }
    const uint16_t id = next_controller_id_;
    next_controller_id_ = id == options_.last_controller_id ? options_.first_controller_id
                                                            : static_cast<uint16_t>(id + 1);
    controller = std::make_shared<ControllerModel>(id, arguments, options_, clock_);
    if (options_.discovery != nullptr && arguments.keep_alive_ms == 0) {
      controller->keep_alive_ms.store(kDiscoveryIdleMs, std::memory_order_relaxed);
    }
    controllers_[id] = controller;
  }
  auto queue = std::make_unique<QueueModel>(lane, controller, 0, controller->epoch());
  STRATA_CHECK(queue->Register(), "a new controller has a queue");
  return {{}, controller->id, std::move(queue)};
}

Connected SubsystemModel::ConnectIo(LaneModel& lane, const ConnectArguments& arguments) {
  std::shared_ptr<ControllerModel> controller;
  {
    MutexLock lock(&mutex_);
    const auto found = controllers_.find(arguments.controller_id);
    if (found != controllers_.end()) controller = found->second;
  }
  // Read first: a controller that is reset or ends after the checks is of another epoch.
  const uint32_t epoch = controller == nullptr ? 0 : controller->epoch();
  if (controller == nullptr || controller->has_ended() ||
      controller->host_nqn != arguments.host_nqn || controller->host_id != arguments.host_id) {
    return {Status(StatusCode::kConnectInvalidParameters).DoNotRetry(), kControllerIdOffset,
            nullptr};
  }
  if (!controller->is_ready()) {
    return {Status(StatusCode::kCommandSequenceError).DoNotRetry(), 0, nullptr};
  }
  // The id is taken until the queue that has it is gone.
  auto queue = std::make_unique<QueueModel>(lane, controller, arguments.queue_id, epoch);
  if (!queue->Register()) {
    return {Status(StatusCode::kCommandSequenceError).DoNotRetry(), 0, nullptr};
  }
  return {{}, controller->id, std::move(queue)};
}

absl::StatusOr<std::shared_ptr<Subsystem>> CreateSubsystem(const SubsystemOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckOptions(options));
  return std::make_shared<SubsystemModel>(options);
}

}  // namespace strata::nvme
