// SPDX-License-Identifier: Apache-2.0
//
// The subsystem: hosts, the current namespace table, controllers, lanes.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "device/controller_model.h"
#include "device/lane_model.h"
#include "device/namespace_table.h"
#include "strata/base/mutex.h"
#include "strata/nvme/subsystem.h"

namespace strata::nvme {

class SubsystemModel final : public Subsystem {
 public:
  explicit SubsystemModel(const SubsystemOptions& options);
  ~SubsystemModel() override;

  const SubsystemOptions& options() const override { return options_; }
  absl::Status AllowHost(const std::string& host_nqn) override;
  absl::Status DisallowHost(const std::string& host_nqn) override;
  void SetAllowAnyHost(bool allow) override;
  bool Admits(std::string_view host_nqn) const override;
  uint64_t host_generation() const override {
    return host_generation_.load(std::memory_order_acquire);
  }
  absl::StatusOr<uint32_t> AddNamespace(std::shared_ptr<block::Device> device,
                                        const NamespaceOptions& options) override;
  absl::Status RemoveNamespace(uint32_t nsid) override;
  absl::Status ReplaceDevice(uint32_t nsid, std::shared_ptr<block::Device> device) override;
  absl::Status SetQos(uint32_t nsid, const QosLimits& qos) override;
  absl::Status SetHosts(uint32_t nsid, std::vector<std::string> hosts) override;
  uint64_t generation() const override { return generation_.load(std::memory_order_acquire); }
  bool IsSettled(uint64_t generation) const override;
  void NoteDiscoveryChange() override;
  std::vector<NamespaceState> Namespaces() const override;
  std::vector<nvme::ControllerState> Controllers() const override;
  absl::StatusOr<NamespaceStatistics> StatisticsOf(uint32_t nsid) const override;
  NamespaceStatistics statistics() const override;
  absl::StatusOr<std::unique_ptr<Lane>> OpenLane(const LaneOptions& options) override;
  Connected Connect(Lane& lane, const ConnectArguments& arguments) override;

  const Clock& clock() const { return clock_; }
  std::shared_ptr<const NamespaceTable> table() const;
  std::vector<uint16_t> ControllerIds() const;

  void RemoveLane(LaneModel* lane);
  // The last queue of a controller is gone: its id is free.
  void RemoveController(const ControllerModel* controller);

 private:
  bool IsAdmitted(std::string_view host_nqn) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return allow_any_host_ || hosts_.find(host_nqn) != hosts_.end();
  }
  // Counts a change of who may connect, and ends the controllers of hosts that may not.
  void NoteHostChange() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckDevice(const block::Device* device) const;
  // Keeps what the ledgers of removed namespaces say, and those that a lane still has.
  void RetireLedger(std::shared_ptr<NamespaceLedger> ledger) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A copy of the namespace's entry to change. Null: there is none.
  std::shared_ptr<NamespaceEntry> CopyEntry(uint32_t nsid) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A free NSID, used again as late as possible. 0: there is none.
  uint32_t FreeNsid() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes `table` the current one and wakes the lanes.
  void Adopt(std::shared_ptr<NamespaceTable> table) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts `entry`, which may be null, into the table's place for `nsid` and tells everybody.
  void Publish(uint32_t nsid, std::shared_ptr<const NamespaceEntry> entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Connected ConnectAdmin(LaneModel& lane, const ConnectArguments& arguments);
  Connected ConnectIo(LaneModel& lane, const ConnectArguments& arguments);

  const SubsystemOptions options_;
  const Clock& clock_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<uint64_t> host_generation_{0};

  mutable Mutex mutex_;
  bool allow_any_host_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string, std::less<>> hosts_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const NamespaceTable> table_ ABSL_GUARDED_BY(mutex_);
  uint64_t namespace_serial_ ABSL_GUARDED_BY(mutex_) = 0;  // The newest namespace's.
  // Of namespaces that were removed; lanes may still write to the ledgers.
  std::vector<std::shared_ptr<NamespaceLedger>> removed_ledgers_ ABSL_GUARDED_BY(mutex_);
  NamespaceStatistics removed_ ABSL_GUARDED_BY(mutex_);  // Of ledgers that were dropped.
  uint32_t next_nsid_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint16_t, std::shared_ptr<ControllerModel>> controllers_ ABSL_GUARDED_BY(mutex_);
  uint16_t next_controller_id_ ABSL_GUARDED_BY(mutex_);
  std::vector<LaneModel*> lanes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::nvme
