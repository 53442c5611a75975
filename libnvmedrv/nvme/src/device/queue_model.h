// SPDX-License-Identifier: Apache-2.0
//
// The device's end of a queue: what is common to admin and I/O commands. The commands themselves
// are in io_commands.cc and admin_commands.cc.
//
// Thread safety: the lane's thread.
#pragma once

#include <memory>
#include <vector>

#include "device/command_table.h"
#include "device/controller_model.h"
#include "device/lane_model.h"
#include "strata/nvme/device_queue.h"

namespace strata::nvme {

class QueueModel final : public DeviceQueue {
 public:
  // An I/O queue belongs to `epoch`, which the caller read before it looked at the controller.
  QueueModel(LaneModel& lane, std::shared_ptr<ControllerModel> controller, uint16_t queue_id,
             uint32_t epoch);
  ~QueueModel() override;

  // Takes the queue's id. False: another queue of the controller has it.
  bool Register();

  Plan Examine(const SubmissionEntry& entry) const override;
  void Start(Command* command) override;
  void Close() override;
  bool is_open() const override { return is_open_; }
  bool is_alive() const override {
    return !controller_->has_ended() && (queue_id_ == 0 || controller_->epoch() == epoch_);
  }
  uint32_t in_flight() const override { return in_flight_; }
  uint16_t id() const override { return queue_id_; }
  uint16_t controller_id() const override { return controller_->id; }
  Status ReadProperty(uint32_t offset, uint32_t size_bytes, uint64_t* value) const override;
  Status WriteProperty(uint32_t offset, uint32_t size_bytes, uint64_t value) override;
  bool KeepAliveExpired() const override;

  LaneModel& lane() { return lane_; }
  ControllerModel& controller() { return *controller_; }
  QueueCounters& counters() { return counters_; }

  // Starts a command again whose namespace changed while it waited.
  void Restart(Command* command);
  // Called when a command of this queue has its status, before its callback.
  void NoteEnd(Command* command);
  // Ends event requests for which there is an event.
  void DeliverEvents();

 private:
  // io_commands.cc
  Plan ExamineIo(const SubmissionEntry& entry) const;
  Plan ExamineBlocks(const CommandRow& row, const SubmissionEntry& entry,
                     const NamespaceEntry& space) const;
  void StartIo(Command* command);

  // admin_commands.cc
  Plan ExamineAdmin(const SubmissionEntry& entry) const;
  Plan ExamineFabrics(const SubmissionEntry& entry) const;
  void StartAdmin(Command* command);
  void StartFabrics(Command* command);
  Status Abort(const Command& command, uint64_t* result);

  const NamespaceEntry* Visible(uint32_t nsid) const;

  LaneModel& lane_;
  const std::shared_ptr<ControllerModel> controller_;
  const uint16_t queue_id_;
  const uint32_t epoch_;
  bool is_registered_ = false;
  bool is_open_ = true;
  uint32_t in_flight_ = 0;
  QueueCounters counters_;
  CommandList event_requests_;  // Of the admin queue.
  uint32_t event_request_count_ = 0;
};

IoKind KindOf(const SubmissionEntry& entry);

// Submits the next request of an I/O command that is on its channel. Ends it where there is none.
void ContinueIo(LaneModel& lane, Command* command);

}  // namespace strata::nvme
