// SPDX-License-Identifier: Apache-2.0
#include "target/worker.h"

#include <fcntl.h>

#include <algorithm>
#include <limits>

#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "target/connection.h"

namespace strata::nvmeof {
namespace {

constexpr int64_t kTimersNs = 250'000'000;
constexpr size_t kReceiveBufferBytes = 128 << 10;
constexpr size_t kMostKeptReceiveBuffers = 32;
constexpr int kMostCompletions = 256;  // Of one lane in one round.

}  // namespace

// Accepts for all workers, and remembers at which listener.
class WorkerModel::Acceptor final : public AcceptHandler {
 public:
  Acceptor(TargetModel& target, bool is_discovery_only)
      : target_(target), is_discovery_only_(is_discovery_only) {}

  void OnAccept(Socket socket, const Endpoint& /*peer*/) override {
    target_.Assign(std::move(socket), is_discovery_only_);
  }

 private:
  TargetModel& target_;
  const bool is_discovery_only_;
};

WorkerModel::WorkerModel(TargetModel& target)
    : target_(target),
      clock_(target.clock()),
      table_(std::make_shared<TargetTable>()),
      pool_(target.options().pool_bytes) {}

absl::StatusOr<std::unique_ptr<WorkerModel>> WorkerModel::Open(TargetModel& target) {
  std::unique_ptr<WorkerModel> worker(new WorkerModel(target));
  // Connections that were cut have a stream until the end of the round.
  const size_t max_streams = 2 * size_t{target.options().max_connections} + 64;
  STRATA_ASSIGN_OR_RETURN(worker->link_, OpenLink({.engine = target.options().engine,
                                                   .clock = &target.clock(),
                                                   .max_streams = max_streams}));
  return worker;
}

WorkerModel::~WorkerModel() {
  target_.RemoveWorker(this);
  for (const auto& connection : connections_) connection->Cut("the worker ends");
  // What a device has begun it ends, before its memory may be used for something else.
  while (!connections_.empty()) {
    link_->Poll(0);
    PollLanes();
    BuryFinished();
  }
  for (LaneRecord& record : lanes_) {
    while (record.lane->in_flight() > 0) record.lane->Poll(kMostCompletions);
  }
  link_.reset();  // Before the handlers of its listeners.
}

void WorkerModel::Give(Socket socket, bool is_discovery_only) {
  connection_count_.fetch_add(1, std::memory_order_relaxed);
  {
    MutexLock lock(&mutex_);
    mail_.push_back({std::move(socket), is_discovery_only});
    has_mail_.store(true, std::memory_order_release);
  }
  Wake();
}

int WorkerModel::Poll(int64_t timeout_ns) {
  work_ = 0;
  now_ns_ = clock_.MonotonicNanos();
  TakeMail();
  RefreshTable();
  {
    const std::vector<LaneRecord> retired = std::exchange(retired_lanes_, {});
    link_->Poll(SleepNanos(timeout_ns));
  }
  CountSocketCalls();
  now_ns_ = clock_.MonotonicNanos();
  PollLanes();
  ServeWaiting();
  NoticeHostChanges();
  CheckTimers();
  BuryFinished();
  if (work_ > 0) last_work_ns_ = now_ns_;
  return work_;
}

void WorkerModel::CountSocketCalls() {
  const LinkCounters& now = link_->counters();
  if (now.sends == counted_.sends && now.receives == counted_.receives) return;
  target_.CountSocketCalls(now.sends - counted_.sends, now.receives - counted_.receives);
  counted_ = now;
}

int64_t WorkerModel::SleepNanos(int64_t timeout_ns) {
  if (timeout_ns == 0 || lanes_had_work_ || memory_was_given_) return 0;
  if (now_ns_ - last_work_ns_ < int64_t{target_.options().spin_us} * 1000) return 0;
  // A lane that cannot be watched is looked at now and then.
  int64_t left_ns = WatchLanes() ? std::numeric_limits<int64_t>::max() : 1'000'000;
  if (!connections_.empty())
    left_ns = std::min(left_ns, std::max<int64_t>(timers_ns_ - now_ns_, 0));
  if (timeout_ns < 0) {
    return left_ns == std::numeric_limits<int64_t>::max() ? int64_t{-1} : left_ns;
  }
  return std::min(left_ns, timeout_ns);
}

// The descriptors are made when the worker sleeps for the first time: one that never does spares
// its devices the signals.
bool WorkerModel::WatchLanes() {
  bool all = true;
  for (LaneRecord& record : lanes_) {
    if (record.watch != nullptr) continue;
    const absl::StatusOr<int> fd = record.lane->EventFd();
    const absl::StatusOr<Watch*> watch =
        fd.ok() ? link_->AddWatch(*fd, this) : absl::StatusOr<Watch*>(fd.status());
    if (watch.ok()) record.watch = *watch;
    all = all && watch.ok();
  }
  return all;
}

void WorkerModel::PollLanes() {
  int completions = 0;
  for (LaneRecord& record : lanes_) completions += record.lane->Poll(kMostCompletions);
  lanes_had_work_ = completions > 0;
  work_ += completions;
}

void WorkerModel::TakeMail() {
  if (!has_mail_.load(std::memory_order_acquire)) return;
  std::vector<Mail> mail;
  {
    MutexLock lock(&mutex_);
    has_mail_.store(false, std::memory_order_relaxed);
    mail.swap(mail_);
  }
  for (Mail& letter : mail) Admit(std::move(letter));
}

void WorkerModel::Refuse() {
  target_.CountRefusal();
  connection_count_.fetch_sub(1, std::memory_order_relaxed);
}

void WorkerModel::Admit(Mail mail) {
  ConnectionInfo info;
  info.peer = PeerAddress(mail.socket.fd());
  info.local = LocalAddress(mail.socket.fd());
  info.connected_wall_ns = clock_.WallNanos();
  std::shared_ptr<ConnectionRecord> record = target_.OpenRecord(info);
  if (record == nullptr) {
    // Whoever has not said who it is leaves first.
    Connection* oldest = nullptr;
    for (const auto& connection : connections_) {
      if (connection->is_identified() || connection->is_leaving()) continue;
      if (oldest == nullptr || connection->accepted_ns() < oldest->accepted_ns()) {
        oldest = connection.get();
      }
    }
    if (oldest != nullptr) {
      oldest->Cut("another connection takes its place");
      record = target_.OpenRecord(info);
    }
  }
  if (record == nullptr) {
    Refuse();
    return;
  }
  SetBuffers(mail.socket.fd(), target_.options().socket_buffer_bytes);
  auto connection = std::make_unique<Connection>(*this, mail.is_discovery_only, record);
  const absl::StatusOr<Stream*> stream = link_->Adopt(std::move(mail.socket), connection.get());
  if (!stream.ok()) {
    target_.CloseRecord(record);
    Refuse();
    return;
  }
  connection->Begin(*stream, info.local);
  if (table_->is_draining) connection->Drain();
  connections_.push_back(std::move(connection));
}

void WorkerModel::RefreshTable() {
  if (target_.generation() == table_->generation) return;
  table_ = target_.table();
  const bool accepts = target_.IsAcceptor(this);
  std::erase_if(listeners_, [&](auto& listener) {
    const bool stays =
        accepts && std::ranges::find(table_->listeners, listener.first) != table_->listeners.end();
    if (!stays) link_->StopListening(listener.second.second);
    return !stays;
  });
  for (const std::shared_ptr<const ListenerEntry>& entry : table_->listeners) {
    if (!accepts || listeners_.count(entry) > 0) continue;
    Socket socket(fcntl(entry->socket.fd(), F_DUPFD_CLOEXEC, 0));
    if (socket.fd() < 0) continue;  // No descriptor left; the next change tries again.
    auto acceptor = std::make_unique<Acceptor>(target_, entry->options.is_discovery_only);
    Listener* listener = link_->Listen(std::move(socket), acceptor.get());
    listeners_[entry] = {std::move(acceptor), listener};
  }
  for (const auto& connection : connections_) {
    if (table_->is_draining) connection->Drain();
    const nvme::Subsystem* subsystem = connection->subsystem();
    if (subsystem == nullptr || subsystem == target_.discovery().get()) continue;
    const bool exists = std::ranges::any_of(
        table_->subsystems, [subsystem](const auto& known) { return known.get() == subsystem; });
    if (!exists) connection->Cut("the subsystem was removed");
  }
  RetireLanes();
}

void WorkerModel::NoticeHostChanges() {
  for (LaneRecord& record : lanes_) {
    const uint64_t now = record.subsystem->host_generation();
    if (now == record.host_generation) continue;
    record.host_generation = now;
    timers_ns_ = now_ns_;
  }
}

void WorkerModel::CheckTimers() {
  if (now_ns_ < timers_ns_) return;
  timers_ns_ = now_ns_ + kTimersNs;
  for (const auto& connection : connections_) connection->CheckTimers(now_ns_);
  std::erase_if(associations_, [](const auto& entry) { return entry.second.expired(); });
  if (!listeners_.empty()) target_.NoticeHostChanges();
}

void WorkerModel::BuryFinished() {
  const size_t buried =
      std::erase_if(connections_, [](const auto& connection) { return connection->is_finished(); });
  if (buried == 0) return;
  connection_count_.fetch_sub(static_cast<uint32_t>(buried), std::memory_order_relaxed);
  RetireLanes();
}

// Lanes to subsystems that are gone, once the last queue on them is.
void WorkerModel::RetireLanes() {
  std::erase_if(lanes_, [this](LaneRecord& record) {
    const nvme::Subsystem* subsystem = record.subsystem.get();
    const bool is_needed =
        subsystem == target_.discovery().get() ||
        std::ranges::find(table_->subsystems, record.subsystem) != table_->subsystems.end() ||
        std::ranges::any_of(connections_, [subsystem](const auto& connection) {
          return connection->subsystem() == subsystem;
        });
    if (is_needed || record.lane->in_flight() > 0) return false;
    if (record.watch != nullptr) link_->RemoveWatch(record.watch);
    retired_lanes_.push_back(std::move(record));
    return true;
  });
}

Operation* WorkerModel::TakeOperation() {
  if (free_operations_ == nullptr) {
    operations_.push_back(std::make_unique<Operation>());
    free_operations_ = operations_.back().get();
  }
  Operation* operation = std::exchange(free_operations_, free_operations_->next);
  operation->next = nullptr;
  return operation;
}

void WorkerModel::GiveOperation(Operation* operation) {
  operation->next = free_operations_;
  free_operations_ = operation;
}

bool WorkerModel::ExceedsShare(const Operation& operation) const {
  const Association* association = operation.connection->association();
  return association != nullptr &&
         association->taken_bytes + DataPool::TakenBytes(operation.data_bytes) >
             pool_.size_bytes() / 2;
}

void WorkerModel::AppendWaiting(Operation* operation) {
  (first_waiting_ == nullptr ? first_waiting_ : last_waiting_->next) = operation;
  last_waiting_ = operation;
}

bool WorkerModel::TryTakeMemory(Operation* operation) {
  const size_t size_bytes = operation->data_bytes;
  const size_t count = DataPool::SegmentCount(size_bytes);
  if (operation->segments.size() < count) operation->segments.resize(count);
  Association* association = operation->connection->association();
  const uint64_t owner = association == nullptr ? 0 : association->id;
  if (!pool_.Take(size_bytes, owner, operation->segments, &operation->command.data_held_others)) {
    return false;
  }
  operation->segment_count = count;
  operation->association = association;
  if (operation->association != nullptr) {
    operation->association->taken_bytes += DataPool::TakenBytes(size_bytes);
  }
  return true;
}

bool WorkerModel::TakeMemory(Operation* operation) {
  if (first_waiting_ == nullptr && !ExceedsShare(*operation) && TryTakeMemory(operation)) {
    return true;
  }
  operation->stage = OperationStage::kWaitsForMemory;
  operation->next = nullptr;
  AppendWaiting(operation);
  // Those before it may wait only for what their own association holds.
  memory_was_given_ = true;
  return false;
}

void WorkerModel::GiveMemory(Operation* operation) {
  if (operation->segment_count == 0) return;
  pool_.Give(operation->data());
  if (operation->association != nullptr) {
    operation->association->taken_bytes -= DataPool::TakenBytes(operation->data_bytes);
  }
  operation->segment_count = 0;
  if (first_waiting_ != nullptr) memory_was_given_ = true;
}

// In order, except that an association which has its half waits for itself alone.
void WorkerModel::ServeWaiting() {
  if (!std::exchange(memory_was_given_, false)) return;
  Operation* operation = std::exchange(first_waiting_, nullptr);
  last_waiting_ = nullptr;
  Operation* granted = nullptr;
  Operation** granted_end = &granted;
  bool is_exhausted = false;
  while (operation != nullptr) {
    Operation* next = std::exchange(operation->next, nullptr);
    const bool is_over = ExceedsShare(*operation);
    if (!is_exhausted && !is_over && TryTakeMemory(operation)) {
      *granted_end = operation;
      granted_end = &operation->next;
    } else {
      is_exhausted = is_exhausted || !is_over;
      AppendWaiting(operation);
    }
    operation = next;
  }
  while (granted != nullptr) {
    Operation* next = std::exchange(granted->next, nullptr);
    granted->connection->Resume(granted);
    granted = next;
  }
}

Operation* WorkerModel::ForgetWaiting(const Connection* connection) {
  Operation* forgotten = nullptr;
  Operation* operation = std::exchange(first_waiting_, nullptr);
  last_waiting_ = nullptr;
  while (operation != nullptr) {
    Operation* next = std::exchange(operation->next, nullptr);
    if (operation->connection == connection) {
      operation->next = std::exchange(forgotten, operation);
    } else {
      AppendWaiting(operation);
    }
    operation = next;
  }
  return forgotten;
}

std::span<std::byte> WorkerModel::TakeReceiveBuffer() {
  if (free_receive_buffers_.empty()) {
    receive_buffers_.push_back(std::make_unique_for_overwrite<std::byte[]>(kReceiveBufferBytes));
    return {receive_buffers_.back().get(), kReceiveBufferBytes};
  }
  const std::span<std::byte> buffer = free_receive_buffers_.back();
  free_receive_buffers_.pop_back();
  return buffer;
}

void WorkerModel::GiveReceiveBuffer(std::span<std::byte> buffer) {
  if (free_receive_buffers_.size() < kMostKeptReceiveBuffers) {
    free_receive_buffers_.push_back(buffer);
    return;
  }
  std::erase_if(receive_buffers_, [&](const auto& owned) { return owned.get() == buffer.data(); });
}

nvme::Lane* WorkerModel::LaneOf(const std::shared_ptr<nvme::Subsystem>& subsystem) {
  for (const LaneRecord& record : lanes_) {
    if (record.subsystem == subsystem) return record.lane.get();
  }
  absl::StatusOr<std::unique_ptr<nvme::Lane>> lane = subsystem->OpenLane({});
  if (!lane.ok()) return nullptr;
  lanes_.push_back({subsystem, *std::move(lane), nullptr});
  return lanes_.back().lane.get();
}

std::shared_ptr<Association> WorkerModel::AssociationOf(const nvme::Subsystem* subsystem,
                                                        uint16_t controller_id) {
  std::weak_ptr<Association>& known = associations_[{subsystem, controller_id}];
  std::shared_ptr<Association> association = known.lock();
  if (association == nullptr) {
    association = std::make_shared<Association>();
    association->id = ++last_association_id_;
    known = association;
  }
  return association;
}

}  // namespace strata::nvmeof
