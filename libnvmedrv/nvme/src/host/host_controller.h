// SPDX-License-Identifier: Apache-2.0
//
// The host driver's controller: bring-up, admin commands, events, aborts and resets. Channels of
// namespaces (namespace_device.cc) see resets in epoch() and is_ready().
//
// Thread safety: any thread.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "host/admin_command.h"
#include "host/bring_up.h"
#include "host/counters.h"
#include "host/namespace_ids.h"
#include "host/queue_pair.h"
#include "strata/base/fork.h"
#include "strata/base/mutex.h"
#include "strata/nvme/controller.h"

namespace strata::nvme {

// What a channel needs to know of a reset, while its thread may sleep.
class ResetListener {
 public:
  virtual ~ResetListener() = default;
  virtual void OnResetStep() = 0;  // Any thread; it may only wake the channel's.
  // Any thread: the time, now and then. A deadline that has passed wakes the channel's thread.
  virtual void OnTick(int64_t now_ns) = 0;
  // Any thread: the abort that the channel asked for has ended, or will not be sent.
  virtual void OnAbortEnded() = 0;
};

class HostController final : public Controller {
 public:
  HostController(std::unique_ptr<Transport> transport, const ControllerOptions& options);
  ~HostController() override;

  absl::Status Start();

  std::string name() const override { return transport_->name(); }
  IdentifyController identify() const override;
  std::vector<uint32_t> Namespaces() const override;
  uint64_t namespace_generation() const override { return namespace_generation_.load(); }
  absl::StatusOr<std::unique_ptr<block::Device>> OpenNamespace(uint32_t nsid) override;
  absl::StatusOr<PassthroughResult> Admin(SubmissionEntry entry, DataDirection direction,
                                          std::span<std::byte> data) override;
  void Poll() override;
  void RequestReset(std::string_view reason) override;
  absl::Status health() const override;
  ControllerStatistics statistics() const override;

  // For channels.
  const ProcessMark& opener() const { return transport_.opener(); }
  const ControllerOptions& options() const { return options_; }
  const Clock& clock() const { return clock_; }
  uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }
  bool is_ready() const { return is_ready_.load(std::memory_order_acquire); }
  // Bring-up failed since the last reset: what waits for it need not wait.
  bool has_failed() const { return has_failed_.load(std::memory_order_acquire); }
  // What was sent to lost controllers, and not answered, can be sent again: none of them can carry
  // it out behind the back of this one.
  bool may_replay_writes() const { return may_replay_writes_.load(std::memory_order_acquire); }
  uint32_t QueueEntries(uint32_t asked_depth) const;

  // Takes a queue id. ResourceExhausted: all that the controller granted are in use.
  absl::StatusOr<uint16_t> Attach(ResetListener* listener, const ChannelCounters* counters);
  void Detach(uint16_t queue_id, ResetListener* listener, const ChannelCounters* counters);
  // Never blocks; the queue may open later.
  absl::StatusOr<std::unique_ptr<QueuePair>> OpenQueuePair(uint16_t queue_id, uint32_t entries);
  // As RequestReset(), for a channel that saw the controller of `epoch`. Nothing happens where that
  // one was reset already.
  void RequestResetOf(uint64_t epoch, std::string_view reason);
  // False: none is sent. Otherwise OnAbortEnded() follows.
  bool RequestAbort(ResetListener* listener, uint64_t epoch, uint16_t queue_id,
                    uint16_t command_id);

 private:
  // Of the association with the controller.
  enum class State {
    kReady,
    kDisabling,  // A reset has begun: what the old controller has under way ends there.
    kDown,       // Waits for next_try_ns_.
    kBringingUp,
  };
  struct AbortRequest {
    ResetListener* listener;
    uint16_t queue_id;
    uint16_t command_id;
  };
  struct AbortWait {
    AdminWait wait;
    ResetListener* listener = nullptr;  // Null: free, or the channel is gone.
    bool is_used = false;
  };

  // Brings the controller up and waits for it.
  absl::Status TryToOpen() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status BeginBringUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One step of a bring-up or reset. False: there is nothing to do now.
  bool AdvanceState() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AdoptFacts() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AskForEvents() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SubmitEvent(AdminWait* event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleEvents(int64_t now_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleEvent(AdminWait* event, int64_t now_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AdvanceReview() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendAborts() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropAborts() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void KeepAlive(int64_t now_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PollReady(int64_t now_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BeginReset() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropAdmin(absl::Status reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FailBringUp(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteLoss(int64_t now_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellChannels() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<std::shared_ptr<OpenedNamespace>> Opened() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ShutDown() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<uint64_t> AskProperty(Property property, std::optional<uint64_t> value,
                                       int64_t deadline_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits, and lets others have the lock while it does.
  absl::StatusOr<PassthroughResult> RunAdmin(SubmissionEntry entry, DataDirection direction,
                                             std::span<std::byte> data) ABSL_LOCKS_EXCLUDED(mutex_);
  // An admin command whose failure is an error that names `what`.
  absl::Status RunAdminOk(std::string_view what, const SubmissionEntry& entry,
                          DataDirection direction, std::span<std::byte> data)
      ABSL_LOCKS_EXCLUDED(mutex_);

  const ParentOwned<Transport> transport_;
  const ControllerOptions options_;
  const Clock& clock_;

  std::atomic<uint64_t> epoch_{1};
  std::atomic<bool> is_ready_{false};
  std::atomic<bool> has_failed_{false};
  std::atomic<bool> may_replay_writes_{true};
  std::atomic<uint64_t> namespace_generation_{0};
  std::atomic<uint32_t> max_queue_entries_{0};

  mutable Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kDown;
  std::unique_ptr<QueuePair> admin_ ABSL_GUARDED_BY(mutex_);
  BringUp bring_up_ ABSL_GUARDED_BY(mutex_);  // Of the controller, and of a review.
  ControllerFacts facts_ ABSL_GUARDED_BY(mutex_);
  uint32_t capsule_data_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<SubsystemIdentity> identity_ ABSL_GUARDED_BY(mutex_);  // As it was first seen.
  std::vector<std::weak_ptr<OpenedNamespace>> opened_ ABSL_GUARDED_BY(mutex_);
  std::set<uint16_t> used_queue_ids_ ABSL_GUARDED_BY(mutex_);
  std::vector<ResetListener*> listeners_ ABSL_GUARDED_BY(mutex_);
  std::vector<const ChannelCounters*> counters_ ABSL_GUARDED_BY(mutex_);
  ControllerStatistics ended_channels_ ABSL_GUARDED_BY(mutex_);
  uint64_t reset_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<std::string> reset_reason_ ABSL_GUARDED_BY(mutex_);
  absl::Status health_ ABSL_GUARDED_BY(mutex_);
  std::set<uint16_t> old_ids_ ABSL_GUARDED_BY(mutex_);  // Of lost controllers not known to be gone.
  int64_t lost_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t next_try_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t failed_tries_ ABSL_GUARDED_BY(mutex_) = 0;
  AdminWait disable_ ABSL_GUARDED_BY(mutex_);
  int64_t disable_deadline_ns_ ABSL_GUARDED_BY(mutex_) = 0;

  std::array<AdminWait, 2> events_ ABSL_GUARDED_BY(mutex_);
  int64_t next_event_try_ns_ ABSL_GUARDED_BY(mutex_) = 0;  // After one that was refused.
  uint32_t odd_events_ ABSL_GUARDED_BY(mutex_) = 0;        // Of this controller.
  bool review_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  std::array<AbortWait, 2> aborts_ ABSL_GUARDED_BY(mutex_);
  std::vector<AbortRequest> abort_requests_ ABSL_GUARDED_BY(mutex_);
  AdminWait keep_alive_ ABSL_GUARDED_BY(mutex_);
  int64_t keep_alive_sent_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t passed_through_ ABSL_GUARDED_BY(mutex_) = 0;  // Admin commands of the owner.

  int stop_event_ = -1;
  std::unique_ptr<std::thread> thread_;
  std::atomic<bool> is_busy_{false};  // Poll() has begun something.
};

struct NamespaceTraits {
  std::shared_ptr<OpenedNamespace> opened;
  block::Geometry geometry{};
  uint16_t io_commands = 0;         // ONCS.
  uint32_t most_zeroed_blocks = 0;  // Of one Write Zeroes command.
  std::string name{};
};

std::unique_ptr<block::Device> MakeNamespaceDevice(HostController& controller,
                                                   NamespaceTraits traits);

}  // namespace strata::nvme
