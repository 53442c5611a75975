// SPDX-License-Identifier: Apache-2.0
//
// A namespace as a block device. A channel owns a queue pair and turns each request into one
// command, or into several, one after the other, where a range is longer than a command takes.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "host/host_controller.h"
#include "strata/base/check.h"
#include "strata/base/fork.h"
#include "strata/base/status_macros.h"

namespace strata::nvme {
namespace {

using block::Op;

constexpr uint32_t kMostAttempts = 3;
// A closed channel's queue id comes free when the target has noticed.
constexpr int kMostIdTries = 5000;  // A millisecond apart.
constexpr uint32_t kMostCommandBlocks = 65536;
constexpr int64_t kMillisecondNs = 1'000'000;

// Why a request ends without an answer.
enum class Loss {
  kUnanswered,  // It was sent, and the queue is gone.
  kNotSent,
  kOtherNamespace,
};

const char* NameOf(Loss loss) {
  switch (loss) {
    case Loss::kUnanswered:
      return "the controller was reset; whether the request was carried out is unknown";
    case Loss::kNotSent:
      return "there is no way to the controller now";
    case Loss::kOtherNamespace:
      return "the controller has another namespace under this number now";
  }
  return "";
}

bool ChangesBlocks(Op op) { return op != Op::kRead && op != Op::kCompare && op != Op::kFlush; }

// The same command may have more luck at once, or on the next queue.
bool WasNotCarriedOut(Status status) {
  return !status.do_not_retry() && (status.code() == StatusCode::kTransientTransportError ||
                                    status.code() == StatusCode::kAbortedQueueDeleted);
}

IoOpcode OpcodeOf(Op op) {
  switch (op) {
    case Op::kRead:
      return IoOpcode::kRead;
    case Op::kWrite:
      return IoOpcode::kWrite;
    case Op::kFlush:
      return IoOpcode::kFlush;
    case Op::kDiscard:  // Dataset Management is advice, and promises no zeroes.
    case Op::kWriteZeroes:
      return IoOpcode::kWriteZeroes;
    case Op::kCompare:
      return IoOpcode::kCompare;
    case Op::kZoneAppend:
      break;
  }
  STRATA_CHECK(false, "an operation that the geometry rules out");
}

class IoChannel final : public block::Channel, private ResetListener {
 public:
  IoChannel(HostController& controller, const NamespaceTraits& traits, uint32_t entries)
      : controller_(controller), traits_(traits), entries_(entries), slots_(entries - 1) {
    for (Slot& slot : slots_) {
      slot.channel = this;
      free_.push_back(&slot);
    }
    held_.reserve(slots_.size());
    failed_.reserve(slots_.size());
  }

  ~IoChannel() override {
    STRATA_CHECK(in_flight() == 0, "channel destroyed with I/O in flight");
    if (opener_.InForkedChild()) {
      fork_internal::Keep(pair_.release());
      return;
    }
    pair_.reset();
    if (queue_id_ != 0) controller_.Detach(queue_id_, this, &counters_);
    if (epoll_ >= 0) close(epoll_);
    if (const int wake = wake_.load(); wake >= 0) close(wake);
  }

  absl::Status Open() {
    STRATA_ASSIGN_OR_RETURN(queue_id_, controller_.Attach(this, &counters_));
    for (int tries = 1;; ++tries) {
      absl::Status opened = OpenPair();
      if (opened.ok()) return opened;
      DropPair();
      if (absl::IsUnavailable(opened) && controller_.options().loss_timeout_ms > 0) {
        NoteRefusal(
            controller_.clock().MonotonicNanos());  // Requests wait for it as for any lost queue.
        return absl::OkStatus();
      }
      // The target may still hold the channel that had this queue id before.
      if (!absl::IsFailedPrecondition(opened) || tries == kMostIdTries) return opened;
      poll(nullptr, 0, 1);
    }
  }

  int Poll(int max_completions) override {
    if (opener_.InForkedChild()) return 0;
    completions_ = 0;
    if (abort_ended_.load(std::memory_order_relaxed)) TakeAbortEnd();
    if (pair_ == nullptr || controller_.epoch() != epoch_) FollowReset();
    if (pair_ != nullptr && !is_open_) FollowOpening();
    RunFailed(max_completions);
    if (pair_ != nullptr && is_open_ && completions_ <= max_completions) {
      // The next piece of a long Write Zeroes may be held back by the transport until it is polled,
      // and a caller that saw no completion may sleep.
      while (pair_->Poll(max_completions - completions_) > 0 && completions_ == 0 &&
             pair_->health().ok()) {
      }
      if (!pair_->health().ok()) {
        controller_.RequestResetOf(epoch_, std::string(pair_->health().message()));
        DropPair();
        waits_for_reset_ = true;
      } else if (pair_->in_flight() > 0) {
        WatchDeadlines();
      }
      // A queue that broke just now has left requests that failed.
      RunFailed(max_completions);
    }
    if (failed_.empty() && completions_ == 0 && max_completions > 0) {
      ClearWake();
      // A step of a reset since it was looked at above may have signalled what was just cleared.
      if (controller_.epoch() != epoch_ || (!held_.empty() && CanGoOn()) || abort_ended_.load()) {
        OnResetStep();
      }
    }
    // The caller may sleep now, and nothing else would wake it for a deadline.
    if (completions_ == 0) {
      deadline_ns_.store(pair_ != nullptr                    ? pair_->NextDeadline()
                         : held_.empty() || waits_for_reset_ ? QueuePair::kNoDeadline
                                                             : reopen_at_ns_);
    }
    return completions_;
  }

  absl::StatusOr<int> EventFd() override {
    STRATA_RETURN_IF_ERROR(opener_.Check());
    if (epoll_ >= 0) return epoll_;
    const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (wake < 0 || epoll_ < 0 || !Watch(wake) || (pair_ != nullptr && !WatchPair().ok())) {
      if (wake >= 0) close(wake);
      if (epoll_ >= 0) close(std::exchange(epoll_, -1));
      pair_fd_ = -1;
      return absl::UnavailableError("eventfd: no file descriptor left");
    }
    wake_.store(wake);
    OnResetStep();  // What happened before is looked at by the next Poll().
    return epoll_;
  }

  absl::Status RegisterMemory(std::span<std::byte>) override {
    return absl::UnimplementedError("an NVMe namespace gains nothing from registered memory");
  }

  uint32_t in_flight() const override { return opener_.InForkedChild() ? 0 : in_flight_; }
  const block::Geometry& geometry() const override { return traits_.geometry; }

 protected:
  absl::Status DoSubmit(block::Request* request) override {
    STRATA_RETURN_IF_ERROR(opener_.Check());
    if (request->op == Op::kCompare && (traits_.io_commands & kOncsCompare) == 0) {
      return absl::UnimplementedError("the controller has no Compare command");
    }
    if (request->op == Op::kWriteZeroes && (traits_.io_commands & kOncsWriteZeroes) == 0) {
      return absl::UnimplementedError("the controller has no Write Zeroes command");
    }
    if (free_.empty()) return absl::ResourceExhaustedError("queue full");
    Slot* slot = free_.back();
    free_.pop_back();
    ++in_flight_;
    slot->request = request;
    slot->done_blocks = 0;
    slot->attempts = 0;
    slot->was_sent = false;
    request->status = absl::OkStatus();
    Send(slot);
    return absl::OkStatus();
  }

 private:
  struct Slot {
    HostCommand command;
    block::Request* request = nullptr;
    IoChannel* channel = nullptr;
    uint64_t done_blocks = 0;  // Of a range that takes several commands.
    uint32_t command_blocks = 0;
    uint32_t attempts = 0;
    bool was_sent = false;  // To a controller that was lost.
    Loss loss = Loss::kUnanswered;
  };

  absl::Status OpenPair() {
    epoch_ = controller_.epoch();
    STRATA_ASSIGN_OR_RETURN(pair_, controller_.OpenQueuePair(queue_id_, entries_));
    for (int idle_rounds = 0; !pair_->is_open(); ++idle_rounds) {
      if (idle_rounds > 100) poll(nullptr, 0, 1);
      pair_->Poll(1);
      STRATA_RETURN_IF_ERROR(pair_->health());
    }
    is_open_ = true;
    return absl::OkStatus();
  }

  void Prepare(Slot* slot) {
    const block::Request& request = *slot->request;
    HostCommand& command = slot->command;
    command.entry = SubmissionEntry{};
    command.direction = DataDirection::kNone;
    command.data = {};
    command.context = slot;
    command.done = [](HostCommand* c) {
      Slot* ended = static_cast<Slot*>(c->context);
      ended->channel->OnDone(ended);
    };
    SubmissionEntry& entry = command.entry;
    entry.Set(SubmissionEntry::kOpcode, static_cast<uint8_t>(OpcodeOf(request.op)));
    entry.Set(SubmissionEntry::kNamespaceId, traits_.opened->nsid);
    if (request.op == Op::kFlush) return;
    const uint64_t lba = request.lba.value + slot->done_blocks;
    const uint64_t left = request.block_count - slot->done_blocks;
    const bool is_zeroing = request.op == Op::kWriteZeroes || request.op == Op::kDiscard;
    const uint32_t most_blocks = is_zeroing ? traits_.most_zeroed_blocks : kMostCommandBlocks;
    slot->command_blocks = static_cast<uint32_t>(std::min<uint64_t>(left, most_blocks));
    entry.Set(SubmissionEntry::kStartLba, lba);
    entry.Set(SubmissionEntry::kBlocks0based, static_cast<uint16_t>(slot->command_blocks - 1));
    if (request.force_unit_access && (request.op == Op::kWrite || request.op == Op::kWriteZeroes)) {
      entry.Set(SubmissionEntry::kIoFlags, kIoForceUnitAccess);
    }
    if (request.op == Op::kDiscard) entry.Set(SubmissionEntry::kIoFlags, kIoDeallocate);
    if (is_zeroing) return;
    command.data = request.segments;
    command.direction = request.op == Op::kRead ? DataDirection::kToHost : DataDirection::kToDevice;
  }

  void Send(Slot* slot) {
    if (traits_.opened->is_other()) {
      slot->loss = Loss::kOtherNamespace;
      failed_.push_back(slot);
      OnResetStep();  // Its callback runs in the next Poll().
      return;
    }
    if (pair_ == nullptr || !is_open_) {
      held_.push_back(slot);
      return;
    }
    Prepare(slot);
    if (pair_->Submit(&slot->command).ok()) return;
    // The queue broke: the next Poll() sees it, and sends this on the next one.
    held_.push_back(slot);
  }

  void OnDone(Slot* slot) {
    const Status status = slot->command.status;
    if (status.code() == StatusCode::kHostPathError && !pair_->health().ok()) {
      slot->was_sent = true;
      if (++slot->attempts < kMostAttempts) {
        held_.push_back(slot);
      } else {
        slot->loss = Loss::kUnanswered;
        failed_.push_back(slot);
      }
      return;
    }
    if (WasNotCarriedOut(status) && ++slot->attempts < kMostAttempts) {
      counters_.Add(ChannelCounters::kReplays, 1);
      Send(slot);
      return;
    }
    // The queue's controller was reset, or was dropped for the silence of its host: nothing was
    // carried out, and nothing will be on this queue.
    if (status.code() == StatusCode::kCommandSequenceError && ++slot->attempts < kMostAttempts) {
      controller_.RequestResetOf(epoch_, "the controller has forgotten its host");
      held_.push_back(slot);
      return;
    }
    counters_.AddLatency(controller_.clock().MonotonicNanos() - slot->command.submitted_ns);
    if (!status.ok()) {
      Complete(slot, ErrorOf(*slot, status));
      return;
    }
    slot->done_blocks += slot->command_blocks;
    const Op op = slot->request->op;
    const bool is_split = op == Op::kWriteZeroes || op == Op::kDiscard;
    if (is_split && slot->done_blocks < slot->request->block_count) {
      Send(slot);
      return;
    }
    Complete(slot, absl::OkStatus());
  }

  absl::Status ErrorOf(const Slot& slot, Status status) const {
    const std::string what =
        absl::StrFormat("%s: operation %d at block %d", traits_.name,
                        static_cast<int>(slot.request->op), slot.request->lba.value);
    // Our requests are valid for the geometry: what the controller refuses for its range, its
    // namespace, its length or its sequence has changed since. What was aborted was too slow.
    if (status.code() == StatusCode::kInvalidNamespace ||
        status.code() == StatusCode::kLbaOutOfRange ||
        status.code() == StatusCode::kSglInvalidLength ||
        status.code() == StatusCode::kCommandSequenceError ||
        status.code() == StatusCode::kAbortRequested) {
      return absl::UnavailableError(absl::StrFormat("%s: %s", what, status.ToString()));
    }
    return status.ToAbsl(what);
  }

  void Complete(Slot* slot, absl::Status status) {
    block::Request* request = slot->request;
    Count(*request, status.ok());
    request->status = std::move(status);
    slot->request = nullptr;
    free_.push_back(slot);
    --in_flight_;
    ++completions_;
    request->done(request);
  }

  void Count(const block::Request& request, bool is_ok) {
    if (!is_ok) {
      counters_.Add(ChannelCounters::kErrors, 1);
      return;
    }
    const uint64_t bytes = uint64_t{request.block_count} * traits_.geometry.block_size_bytes;
    if (request.op == Op::kRead) {
      counters_.Add(ChannelCounters::kReads, 1);
      counters_.Add(ChannelCounters::kReadBytes, bytes);
    } else if (request.op == Op::kWrite) {
      counters_.Add(ChannelCounters::kWrites, 1);
      counters_.Add(ChannelCounters::kWrittenBytes, bytes);
    } else {
      counters_.Add(ChannelCounters::kOthers, 1);
    }
  }

  void RunFailed(int max_completions) {
    while (completions_ < max_completions && !failed_.empty()) {
      Slot* slot = failed_.back();
      failed_.pop_back();
      Complete(slot, StatusOf(slot->loss));
    }
  }

  // Names the device, and why as far as it is known.
  absl::Status StatusOf(Loss loss) const {
    const std::string cause = loss == Loss::kOtherNamespace
                                  ? traits_.opened->difference()
                                  : std::string(controller_.health().message());
    return absl::UnavailableError(
        absl::StrCat(traits_.name, ": ", NameOf(loss), cause.empty() ? "" : ": ", cause));
  }

  void DropPair() {
    TakeAbortEnd();
    is_abort_asked_ = false;
    is_open_ = false;
    if (pair_ == nullptr) return;
    // A forked child may hold the descriptor open, and an epoll keeps what is not closed.
    if (pair_fd_ >= 0) epoll_ctl(epoll_, EPOLL_CTL_DEL, std::exchange(pair_fd_, -1), nullptr);
    pair_->Break(absl::UnavailableError("the controller is reset"));
    pair_.reset();
  }

  // Gives the old queue up, and opens the new one as soon as there is a controller to open it on.
  void FollowReset() {
    if (controller_.epoch() != epoch_) {
      epoch_ = controller_.epoch();
      DropPair();
      waits_for_reset_ = false;
      reopen_at_ns_ = 0;
      refused_since_ns_ = kNever;
    }
    if (pair_ == nullptr && !waits_for_reset_ && controller_.is_ready()) {
      const int64_t now_ns = controller_.clock().MonotonicNanos();
      if (now_ns < reopen_at_ns_) {
        FailHeldAfter(now_ns);
        return;
      }
      auto opened = controller_.OpenQueuePair(queue_id_, entries_);
      if (opened.ok()) {
        pair_ = *std::move(opened);
        is_open_ = false;
        if (epoll_ >= 0 && !WatchPair().ok()) DropPair();
      }
      if (pair_ == nullptr) NoteRefusal(now_ns);
    } else if (pair_ == nullptr && controller_.has_failed()) {
      FailHeld();
    }
  }

  // A queue that was handed over opens, or breaks.
  void FollowOpening() {
    pair_->Poll(1);
    if (!pair_->health().ok()) {
      DropPair();
      NoteRefusal(controller_.clock().MonotonicNanos());
      return;
    }
    if (!pair_->is_open()) return;
    is_open_ = true;
    refused_since_ns_ = kNever;
    std::vector<Slot*> held = std::exchange(held_, {});
    held_.reserve(slots_.size());
    for (Slot* slot : held) Replay(slot);
  }

  void Replay(Slot* slot) {
    if (slot->was_sent && ChangesBlocks(slot->request->op) && !controller_.may_replay_writes()) {
      slot->loss = Loss::kUnanswered;
      failed_.push_back(slot);
      return;
    }
    if (slot->was_sent) counters_.Add(ChannelCounters::kReplays, 1);
    Send(slot);
  }

  // Another reset would end the queues of all other channels, and this one might be refused again:
  // it tries later, and its requests fail when their patience is over.
  void NoteRefusal(int64_t now_ns) {
    reopen_at_ns_ =
        now_ns + static_cast<int64_t>(controller_.options().reconnect_ms) * kMillisecondNs;
    if (refused_since_ns_ == kNever) refused_since_ns_ = now_ns;
    FailHeldAfter(now_ns);
  }

  void FailHeldAfter(int64_t now_ns) {
    const int64_t patience_ns =
        static_cast<int64_t>(controller_.options().loss_timeout_ms) * kMillisecondNs;
    if (now_ns - refused_since_ns_ >= patience_ns) FailHeld();
  }

  // Requests that wait for a queue need not wait: there is one to be had, or there will be none.
  bool CanGoOn() const {
    if (pair_ != nullptr) return false;
    if (controller_.has_failed()) return true;
    return controller_.is_ready() && !waits_for_reset_ &&
           controller_.clock().MonotonicNanos() >= reopen_at_ns_;
  }

  void FailHeld() {
    for (Slot* slot : held_) slot->loss = slot->was_sent ? Loss::kUnanswered : Loss::kNotSent;
    failed_.insert(failed_.end(), held_.begin(), held_.end());
    held_.clear();
  }

  void WatchDeadlines() {
    const int64_t now_ns = controller_.clock().MonotonicNanos();
    HostCommand* overdue = pair_->Overdue(now_ns);
    if (overdue == nullptr) return;
    counters_.Add(ChannelCounters::kTimeouts, 1);
    if (overdue->abort_was_asked) {
      controller_.RequestResetOf(
          epoch_, absl::StrFormat("a command of queue %d outlived its abort", queue_id_));
    } else {
      overdue->abort_was_asked = true;
      // One at a time: its command id stays out of use until it is answered.
      if (!is_abort_asked_ &&
          controller_.RequestAbort(this, epoch_, queue_id_, overdue->entry.command_id())) {
        is_abort_asked_ = true;
        pair_->ReserveId(*overdue);
      }
    }
    pair_->Extend(overdue, now_ns);
  }

  void OnResetStep() override {
    if (const int wake = wake_.load(); wake >= 0) {
      const uint64_t one = 1;
      while (write(wake, &one, sizeof(one)) < 0 && errno == EINTR) {
      }
    }
  }

  void OnTick(int64_t now_ns) override {
    if (now_ns >= deadline_ns_.load()) OnResetStep();
  }

  void OnAbortEnded() override {
    abort_ended_.store(true);
    OnResetStep();
  }

  void TakeAbortEnd() {
    abort_ended_.store(false);
    if (!is_abort_asked_) return;
    is_abort_asked_ = false;
    if (pair_ != nullptr) pair_->ReleaseId();
  }

  void ClearWake() {
    if (const int wake = wake_.load(); wake >= 0) {
      uint64_t count;
      while (read(wake, &count, sizeof(count)) < 0 && errno == EINTR) {
      }
    }
  }

  bool Watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
  }

  absl::Status WatchPair() {
    STRATA_ASSIGN_OR_RETURN(const int fd, pair_->EventFd());
    if (!Watch(fd)) return absl::UnavailableError("epoll: no room");
    pair_fd_ = fd;
    return absl::OkStatus();
  }

  const ProcessMark opener_;
  HostController& controller_;
  const NamespaceTraits& traits_;
  const uint32_t entries_;
  std::vector<Slot> slots_;
  std::vector<Slot*> free_;
  std::vector<Slot*> held_;    // Waiting for a queue.
  std::vector<Slot*> failed_;  // Lost with one; their callbacks run in Poll().
  uint32_t in_flight_ = 0;
  int completions_ = 0;
  uint16_t queue_id_ = 0;
  uint64_t epoch_ = 0;
  static constexpr int64_t kNever = -1;
  int64_t refused_since_ns_ = kNever;
  int64_t reopen_at_ns_ = 0;      // When a queue that could not be opened is tried again.
  bool waits_for_reset_ = false;  // The queue broke, and the controller is not reset yet.
  std::unique_ptr<QueuePair> pair_;
  bool is_open_ = false;  // The pair takes commands.
  int pair_fd_ = -1;      // The pair's descriptor in epoll_.
  bool is_abort_asked_ = false;
  std::atomic<bool> abort_ended_{false};
  ChannelCounters counters_;
  int epoll_ = -1;
  std::atomic<int> wake_{-1};
  std::atomic<int64_t> deadline_ns_{QueuePair::kNoDeadline};  // What a sleeper waits for.
};

class NamespaceDevice final : public block::Device {
 public:
  NamespaceDevice(HostController& controller, NamespaceTraits traits)
      : controller_(controller), traits_(std::move(traits)) {}

  const block::Geometry& geometry() const override { return traits_.geometry; }
  std::string name() const override { return traits_.name; }

  absl::StatusOr<std::unique_ptr<block::Channel>> OpenChannel(
      const block::ChannelOptions& options) override {
    STRATA_RETURN_IF_ERROR(controller_.opener().Check());
    if (options.queue_depth == 0) return absl::InvalidArgumentError("queue_depth is 0");
    auto channel = std::make_unique<IoChannel>(controller_, traits_,
                                               controller_.QueueEntries(options.queue_depth));
    STRATA_RETURN_IF_ERROR(channel->Open());
    return channel;
  }

 private:
  HostController& controller_;
  const NamespaceTraits traits_;
};

}  // namespace

std::unique_ptr<block::Device> MakeNamespaceDevice(HostController& controller,
                                                   NamespaceTraits traits) {
  return std::make_unique<NamespaceDevice>(controller, std::move(traits));
}

}  // namespace strata::nvme
