// SPDX-License-Identifier: Apache-2.0
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "device/segments.h"
#include "strata/base/check.h"
#include "strata/base/mutex.h"
#include "strata/base/status_macros.h"
#include "strata/nvme/loop.h"

namespace strata::nvme {
namespace {

class LoopQueue final : public HostQueue {
 public:
  LoopQueue(std::unique_ptr<Lane> lane, std::unique_ptr<DeviceQueue> queue, uint32_t entries)
      : lane_(std::move(lane)), queue_(std::move(queue)), slots_(entries) {
    completed_.reserve(entries);
    for (Slot& slot : slots_) {
      slot.command.context = this;
      slot.command.done = &OnDone;
    }
  }

  // What a device has begun it ends, before its memory may be used for something else.
  ~LoopQueue() override {
    queue_->Close();
    while (queue_->in_flight() > 0) lane_->Poll(64);
  }

  absl::Status Submit(const SubmissionEntry& entry, DataDirection /*direction*/,
                      std::span<const block::Segment> data) override {
    STRATA_RETURN_IF_ERROR(health());
    const uint16_t id = entry.command_id();
    STRATA_CHECK(id < slots_.size() && !slots_[id].is_busy, "a command id that is in use");
    Slot& slot = slots_[id];
    slot.is_busy = true;
    slot.command.entry = entry;
    slot.command.data = data;
    const Plan plan = queue_->Examine(entry);
    if (plan.status.ok() && TotalBytes(data) != plan.data_bytes) {
      slot.command.status = Status(StatusCode::kSglInvalidLength).DoNotRetry();
      slot.command.result = 0;
      completed_.push_back(&slot);
      return absl::OkStatus();
    }
    queue_->Start(&slot.command);
    return absl::OkStatus();
  }

  int Poll(std::span<CompletionEntry> completions) override {
    if (completed_.size() < completions.size()) {
      lane_->Poll(static_cast<int>(completions.size() - completed_.size()));
    }
    const size_t count = std::min(completed_.size(), completions.size());
    for (size_t i = 0; i < count; ++i) {
      Slot& slot = *completed_[i];
      CompletionEntry& entry = completions[i];
      entry.Set(CompletionEntry::kResult, slot.command.result);
      entry.Set(CompletionEntry::kQueueId, queue_->id());
      entry.Set(CompletionEntry::kCommandId, slot.command.entry.command_id());
      entry.Set(CompletionEntry::kStatus, static_cast<uint16_t>(slot.command.status.field() << 1));
      slot.is_busy = false;
    }
    completed_.erase(completed_.begin(), completed_.begin() + static_cast<ptrdiff_t>(count));
    return static_cast<int>(count);
  }

  absl::StatusOr<int> EventFd() override { return lane_->EventFd(); }

  absl::Status health() const override {
    if (queue_->is_alive()) return absl::OkStatus();
    return absl::UnavailableError("loop: the controller was reset or is gone");
  }

  DeviceQueue& device_queue() { return *queue_; }

 private:
  struct Slot {
    Command command;
    bool is_busy = false;
  };

  static void OnDone(Command* command) {
    auto* self = static_cast<LoopQueue*>(command->context);
    self->completed_.push_back(&self->slots_[command->entry.command_id()]);
  }

  const std::unique_ptr<Lane> lane_;
  const std::unique_ptr<DeviceQueue> queue_;
  std::vector<Slot> slots_;
  std::vector<Slot*> completed_;
};

class LoopTransport final : public Transport {
 public:
  LoopTransport(std::shared_ptr<Subsystem> subsystem, LoopOptions options)
      : subsystem_(std::move(subsystem)), options_(std::move(options)) {}

  std::string name() const override { return absl::StrCat("loop:", subsystem_->options().nqn); }
  TransportLimits limits() const override { return {}; }
  bool has_registers() const override { return true; }

  absl::StatusOr<uint64_t> ReadProperty(Property property) override {
    MutexLock lock(&mutex_);
    STRATA_CHECK(admin_ != nullptr, "a property is read without an admin queue");
    uint64_t value = 0;
    const Status status = admin_->device_queue().ReadProperty(static_cast<uint32_t>(property),
                                                              PropertyBytes(property), &value);
    STRATA_RETURN_IF_ERROR(status.ToAbsl("loop: reading a property", true));
    return value;
  }

  absl::Status WriteProperty(Property property, uint64_t value) override {
    MutexLock lock(&mutex_);
    STRATA_CHECK(admin_ != nullptr, "a property is written without an admin queue");
    return admin_->device_queue()
        .WriteProperty(static_cast<uint32_t>(property), PropertyBytes(property), value)
        .ToAbsl("loop: writing a property", true);
  }

  absl::StatusOr<std::unique_ptr<HostQueue>> OpenAdminQueue(const QueueOptions& options) override {
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<LoopQueue> queue, Connect(options, kDynamicController));
    MutexLock lock(&mutex_);
    admin_ = queue.get();
    controller_id_ = queue->device_queue().controller_id();
    return queue;
  }

  absl::StatusOr<std::unique_ptr<HostQueue>> OpenQueue(const QueueOptions& options) override {
    uint16_t controller_id;
    {
      MutexLock lock(&mutex_);
      controller_id = controller_id_;
    }
    return Connect(options, controller_id);
  }

 private:
  absl::StatusOr<std::unique_ptr<LoopQueue>> Connect(const QueueOptions& options,
                                                     uint16_t controller_id) {
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Lane> lane,
                            subsystem_->OpenLane({.channel_depth = options.entries}));
    Connected connected = subsystem_->Connect(*lane, {.host_nqn = options_.host_nqn,
                                                      .host_id = options_.host_id,
                                                      .controller_id = controller_id,
                                                      .queue_id = options.queue_id,
                                                      .queue_entries = options.entries,
                                                      .keep_alive_ms = options.keep_alive_ms});
    STRATA_RETURN_IF_ERROR(connected.status.ToAbsl(absl::StrCat(name(), ": connect"), true));
    return std::make_unique<LoopQueue>(std::move(lane), std::move(connected.queue),
                                       options.entries);
  }

  const std::shared_ptr<Subsystem> subsystem_;
  const LoopOptions options_;
  Mutex mutex_;
  LoopQueue* admin_ ABSL_GUARDED_BY(mutex_) = nullptr;
  uint16_t controller_id_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Transport>> OpenLoop(std::shared_ptr<Subsystem> subsystem,
                                                    const LoopOptions& options) {
  if (subsystem == nullptr) return absl::InvalidArgumentError("loop: no subsystem");
  return std::make_unique<LoopTransport>(std::move(subsystem), options);
}

}  // namespace strata::nvme
