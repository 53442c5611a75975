// SPDX-License-Identifier: Apache-2.0
//
// A lane: channels to the namespaces' devices, the commands that wait for them, and the namespace
// table of the moment.
//
// Thread safety: the lane's thread, but for Wake() and settled_generation().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "device/command_list.h"
#include "device/namespace_table.h"
#include "strata/nvme/lane.h"

namespace strata::nvme {

class QueueModel;
class SubsystemModel;

// A lane's channel to the device of one namespace, and the commands that it serves.
class NamespaceChannel {
 public:
  explicit NamespaceChannel(std::shared_ptr<const NamespaceEntry> served)
      : entry(std::move(served)), counters(entry->ledger) {}

  std::shared_ptr<const NamespaceEntry> entry;
  NamespaceCounters counters;
  std::unique_ptr<block::Channel> channel;  // Null: it could not be opened.
  int64_t open_again_ns = 0;                // When that is tried again.
  CommandList waiting;                      // For room in the channel, or for a limit.
  uint32_t busy_count = 0;                  // Commands with a request in flight.
  int64_t retry_at_ns = 0;                  // When a limit may let the first one pass.
  bool is_active = false;                   // In the lane's list of channels to poll.
  bool holds_back = false;                  // A command began on it since it was last polled.

  const block::Geometry& geometry() const { return entry->device->geometry(); }
};

class LaneModel final : public Lane {
 public:
  LaneModel(SubsystemModel& subsystem, const LaneOptions& options);
  ~LaneModel() override;

  int Poll(int max_completions) override;
  absl::StatusOr<int> EventFd() override;
  uint32_t in_flight() const override { return in_flight_; }

  SubsystemModel& subsystem() { return subsystem_; }
  const NamespaceTable& table() const { return *table_; }

  // Takes the newest table over, where there is a newer one.
  void Refresh();

  // Null where the namespace is unknown.
  NamespaceChannel* ChannelOf(uint32_t nsid) {
    return nsid == 0 || nsid > channels_.size() ? nullptr : channels_[nsid - 1].get();
  }

  // The time for figures. It is read once for the commands that are started, or that end, together:
  // a clock costs as much as a good part of a command.
  int64_t RoundNanos() {
    if (!round_is_timed_) [[unlikely]]
      TimeRound();
    return round_ns_;
  }

  // Starts the command's first request on `channel`, or keeps it until that is possible.
  void Dispatch(Command* command, NamespaceChannel* channel);
  // The channel must be polled: it has a request in flight or a command that waits.
  void Activate(NamespaceChannel* channel);

  bool HasRoom(const NamespaceChannel& channel) const {
    return channel.channel->in_flight() < options_.channel_depth;
  }

  // Ends the command in the next Poll().
  void EndLater(Command* command, Status status);
  // Ends it now. REQUIRES: inside Poll().
  void End(Command* command);

  // Ends the commands of `queue` that wait here, with `status`.
  void EndWaiting(QueueModel* queue, Status status);
  // Ends the waiting command with this id. False: there is none.
  bool AbortWaiting(const QueueModel* queue, uint16_t command_id);

  void AddQueue(QueueModel* queue);
  void RemoveQueue(QueueModel* queue);
  QueueModel* FindQueue(uint16_t controller_id, uint16_t queue_id) const;
  void CountStarted() { ++in_flight_; }

  // Any thread: the subsystem has a newer table.
  void Wake() const;
  uint64_t settled_generation() const {
    return settled_generation_.load(std::memory_order_acquire);
  }

 private:
  void Adopt(std::shared_ptr<const NamespaceTable> table);
  void Open(NamespaceChannel* channel);
  bool Watch(int fd, NamespaceChannel* channel);
  void Retire(std::unique_ptr<NamespaceChannel> channel);
  bool TryBegin(Command* command, NamespaceChannel* channel);
  void PumpWaiting(NamespaceChannel* channel);
  void RunReady(int max_completions);
  void PollActive(int max_completions);
  bool HoldsBack() const;
  void PollReadable();
  void DropRetired();
  void SetTimer();
  void TimeRound();

  SubsystemModel& subsystem_;
  const LaneOptions options_;
  const Clock& clock_;
  std::shared_ptr<const NamespaceTable> table_;
  std::vector<std::unique_ptr<NamespaceChannel>> channels_;  // By NSID - 1.
  std::vector<std::unique_ptr<NamespaceChannel>> retired_;   // Of older tables; still busy.
  std::vector<NamespaceChannel*> active_;
  std::vector<QueueModel*> queues_;
  bool opens_channels_ = false;  // From the first I/O queue on.
  CommandList ready_;
  uint32_t in_flight_ = 0;
  int completions_ = 0;  // Of the Poll() under way.
  bool is_odd_poll_ = false;
  int64_t round_ns_ = 0;  // Of RoundNanos(), where round_is_timed_.
  bool round_is_timed_ = false;
  std::atomic<uint64_t> settled_generation_{0};

  // Of EventFd(); -1 before.
  int epoll_ = -1;
  int timer_ = -1;
  int ready_event_ = -1;
  bool ready_is_signalled_ = false;
  bool timer_is_set_ = false;
  std::atomic<int> wake_event_{-1};
};

}  // namespace strata::nvme
