// SPDX-License-Identifier: Apache-2.0
//
// The target as all workers see it: the table of listeners and subsystems, and who is connected.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "link/socket.h"
#include "strata/base/mutex.h"
#include "strata/nvmeof/target.h"

namespace strata::nvmeof {

class WorkerModel;

struct ListenerEntry {
  ListenerOptions options;  // With the port that the kernel chose.
  Socket socket;
};

// Immutable; replaced as a whole.
struct TargetTable {
  uint64_t generation = 0;
  std::vector<std::shared_ptr<nvme::Subsystem>> subsystems;
  std::vector<std::shared_ptr<const ListenerEntry>> listeners;
  std::vector<Referral> referrals;
  bool is_draining = false;

  // Null: there is none.
  std::shared_ptr<nvme::Subsystem> Find(std::string_view nqn) const;
};

// What one thread counts and any thread reads. Counting takes no locked instruction: that would
// wait until the data that was copied just before has left the store buffer.
class Counter {
 public:
  void Add(uint64_t count) { value_.store(value() + count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// What is known of a connection outside its worker. The worker alone counts.
struct ConnectionRecord {
  ConnectionInfo info;  // Guarded by the target's mutex; its counters are these:
  Counter commands;
  Counter bytes_to_host;
  Counter bytes_from_host;
};

class TargetModel final : public Target, public nvme::DiscoverySource {
 public:
  explicit TargetModel(const TargetOptions& options);
  ~TargetModel() override;

  // Makes the discovery subsystem.
  absl::Status Init();

  absl::Status AddSubsystem(std::shared_ptr<nvme::Subsystem> subsystem) override;
  absl::Status RemoveSubsystem(const std::string& nqn) override;
  absl::StatusOr<Endpoint> AddListener(const ListenerOptions& options) override;
  absl::Status RemoveListener(const Endpoint& endpoint) override;
  std::vector<ListenerOptions> Listeners() const override;
  absl::Status AddReferral(const Referral& referral) override;
  absl::Status RemoveReferral(const Referral& referral) override;
  void Drain() override;
  std::vector<ConnectionInfo> Connections() const override;
  TargetStatistics statistics() const override;
  absl::StatusOr<std::unique_ptr<Worker>> OpenWorker() override;

  std::vector<std::byte> LogPageFor(std::string_view host_nqn,
                                    std::string_view local_address) const override;

  // For workers.
  const TargetOptions& options() const { return options_; }
  const Clock& clock() const { return clock_; }
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  std::shared_ptr<const TargetTable> table() const;
  const std::shared_ptr<nvme::Subsystem>& discovery() const { return discovery_; }

  void RemoveWorker(WorkerModel* worker);
  // The worker that accepts for all.
  bool IsAcceptor(const WorkerModel* worker) const;
  // Hands a connection to the worker that has the fewest. Closes it where there are too many.
  void Assign(Socket socket, bool is_discovery_only);

  // Null: there are max_connections.
  std::shared_ptr<ConnectionRecord> OpenRecord(const ConnectionInfo& info);
  void SetConnected(ConnectionRecord* record, const ConnectionInfo& info);
  bool HasIoConnections(std::string_view subsystem_nqn, uint16_t controller_id) const;
  void CloseRecord(const std::shared_ptr<ConnectionRecord>& record);
  void CountSocketCalls(uint64_t sends, uint64_t receives) {
    sends_.fetch_add(sends, std::memory_order_relaxed);
    receives_.fetch_add(receives, std::memory_order_relaxed);
  }
  void CountRefusal() { refused_.fetch_add(1, std::memory_order_relaxed); }
  void CountTermination() { terminated_.fetch_add(1, std::memory_order_relaxed); }

  // Tells discovery's hosts when a subsystem's host list has changed. Called now and then.
  void NoticeHostChanges();

 private:
  void Publish(std::shared_ptr<TargetTable> table) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Counts the log page's changes.
  bool RefreshDiscovery() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const TargetOptions options_;
  const Clock& clock_;
  std::shared_ptr<nvme::Subsystem> discovery_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<uint64_t> accepted_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> terminated_{0};
  std::atomic<uint64_t> sends_{0};
  std::atomic<uint64_t> receives_{0};

  mutable Mutex mutex_;
  std::shared_ptr<const TargetTable> table_ ABSL_GUARDED_BY(mutex_);
  std::vector<WorkerModel*> workers_ ABSL_GUARDED_BY(mutex_);
  std::set<std::shared_ptr<ConnectionRecord>> records_ ABSL_GUARDED_BY(mutex_);
  uint64_t ended_commands_ ABSL_GUARDED_BY(mutex_) = 0;  // Of connections that are gone.
  uint64_t ended_bytes_to_host_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t ended_bytes_from_host_ ABSL_GUARDED_BY(mutex_) = 0;
  // What the discovery log was made of when it was last counted.
  mutable std::vector<uint64_t> discovery_state_ ABSL_GUARDED_BY(mutex_);
  mutable uint64_t discovery_generation_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace strata::nvmeof
