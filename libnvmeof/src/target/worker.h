// SPDX-License-Identifier: Apache-2.0
//
// One thread's share of a target: its connections, their link, the lanes to the subsystems, and
// the memory for data.
//
// Thread safety: the thread that polls, but for Wake(), Give() and connection_count().
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "link/link.h"
#include "strata/base/mutex.h"
#include "strata/nvme/lane.h"
#include "target/data_pool.h"
#include "target/operation.h"
#include "target/target_model.h"

namespace strata::nvmeof {

class Connection;

// What the connections of one controller have together on this worker.
struct Association {
  uint64_t id = 0;         // Of this worker's, never another's again.
  size_t taken_bytes = 0;  // Of the pool.
};

class WorkerModel final : public Worker, WatchHandler {
 public:
  static absl::StatusOr<std::unique_ptr<WorkerModel>> Open(TargetModel& target);
  ~WorkerModel() override;

  int Poll(int64_t timeout_ns) override;
  void Wake() override { link_->Wake(); }

  // A connection for this worker. Any thread.
  void Give(Socket socket, bool is_discovery_only) ABSL_LOCKS_EXCLUDED(mutex_);
  uint32_t connection_count() const { return connection_count_.load(std::memory_order_relaxed); }

  // For its connections.
  TargetModel& target() { return target_; }
  const TargetTable& table() const { return *table_; }
  int64_t now_ns() const { return now_ns_; }  // Of this round.
  void CountWork() { ++work_; }

  Operation* TakeOperation();
  void GiveOperation(Operation* operation);

  // Takes operation->data_bytes of the pool. False: the operation waits, and its connection's
  // Resume() follows.
  bool TakeMemory(Operation* operation);
  void GiveMemory(Operation* operation);
  // Takes the connection's operations out of those that wait; returns them as a list.
  Operation* ForgetWaiting(const Connection* connection);

  std::span<std::byte> TakeReceiveBuffer();
  void GiveReceiveBuffer(std::span<std::byte> buffer);

  // Null: it cannot be opened.
  nvme::Lane* LaneOf(const std::shared_ptr<nvme::Subsystem>& subsystem);
  std::shared_ptr<Association> AssociationOf(const nvme::Subsystem* subsystem,
                                             uint16_t controller_id);

 private:
  struct LaneRecord {
    std::shared_ptr<nvme::Subsystem> subsystem;
    std::unique_ptr<nvme::Lane> lane;
    Watch* watch = nullptr;
    uint64_t host_generation = 0;  // When the connections were last compared with who may connect.
  };
  struct Mail {
    Socket socket;
    bool is_discovery_only = false;
  };
  class Acceptor;

  explicit WorkerModel(TargetModel& target);

  void OnReadable() override {}  // A lane: all are polled in each round.

  void TakeMail();
  void RefreshTable();
  void Admit(Mail mail);
  void Refuse();  // A connection that it was given is none of its own.
  bool WatchLanes();
  // Its controller's connections would have more than half of the pool.
  bool ExceedsShare(const Operation& operation) const;
  void AppendWaiting(Operation* operation);
  bool TryTakeMemory(Operation* operation);
  int64_t SleepNanos(int64_t timeout_ns);
  void PollLanes();
  void CountSocketCalls();
  void ServeWaiting();
  // Who may connect to a subsystem has changed: its connections are looked at in this round.
  void NoticeHostChanges();
  void CheckTimers();
  void BuryFinished();
  void RetireLanes();

  TargetModel& target_;
  const Clock& clock_;
  std::unique_ptr<Link> link_;
  std::shared_ptr<const TargetTable> table_;
  std::map<std::shared_ptr<const ListenerEntry>, std::pair<std::unique_ptr<Acceptor>, Listener*>>
      listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<LaneRecord> lanes_;
  std::vector<LaneRecord> retired_lanes_;  // Their descriptors stay open for another round.
  std::map<std::pair<const nvme::Subsystem*, uint16_t>, std::weak_ptr<Association>> associations_;

  DataPool pool_;
  uint64_t last_association_id_ = 0;
  Operation* free_operations_ = nullptr;
  std::vector<std::unique_ptr<Operation>> operations_;
  Operation* first_waiting_ = nullptr;  // For memory, in the order in which they came.
  Operation* last_waiting_ = nullptr;
  bool memory_was_given_ = false;
  std::vector<std::unique_ptr<std::byte[]>> receive_buffers_;
  std::vector<std::span<std::byte>> free_receive_buffers_;

  int64_t now_ns_ = 0;
  int64_t timers_ns_ = 0;  // When the timers are looked at next.
  int64_t last_work_ns_ = 0;
  LinkCounters counted_;
  int work_ = 0;  // Of this round.
  bool lanes_had_work_ = false;

  std::atomic<uint32_t> connection_count_{0};
  std::atomic<bool> has_mail_{false};  // So that a round without mail takes no lock.
  Mutex mutex_;
  std::vector<Mail> mail_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::nvmeof
