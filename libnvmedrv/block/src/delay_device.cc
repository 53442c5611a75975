// SPDX-License-Identifier: Apache-2.0
//
// A decorator that holds completions back. Each request is forwarded in a slot of the channel's
// own; when the base completes it, the slot waits in the list of its kind (read, write or flush)
// until its time has come. Those who sleep do so on a timer: set for the earliest of these times,
// and for a short while ahead as long as the base has work, since only Poll() sees that end.
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "request_queue.h"
#include "strata/base/check.h"
#include "strata/base/clock.h"
#include "strata/base/fork.h"
#include "strata/base/status_macros.h"
#include "strata/block/devices.h"

namespace strata::block {
namespace {

enum Kind { kReads, kWrites, kFlushes, kKindCount };

Kind KindOf(Op op) {
  switch (op) {
    case Op::kRead:
    case Op::kCompare:
      return kReads;
    case Op::kFlush:
      return kFlushes;
    default:
      return kWrites;
  }
}

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr uint64_t kMaxDelayNs = 3'600'000'000'000;
constexpr int64_t kLookAgainNs = 50'000;

using Delays = std::array<int64_t, kKindCount>;

class DelayChannel final : public Channel {
 public:
  DelayChannel(std::unique_ptr<Channel> base, const Delays& delays_ns, uint32_t queue_depth)
      : base_(std::move(base)), delays_ns_(delays_ns), slots_(queue_depth) {
    for (Slot& slot : slots_) {
      slot.channel = this;
      slot.forwarded.context = &slot;
      free_.Push(&slot.forwarded);
    }
  }
  ~DelayChannel() override {
    STRATA_CHECK(in_flight() == 0, "channel destroyed with I/O in flight");
    if (timer_ >= 0) close(timer_);
  }

  int Poll(int max_completions) override {
    if (opener_.InForkedChild()) return 0;
    base_->Poll(max_completions);
    int completions = 0;
    if (!NothingWaits()) {
      const int64_t now_ns = SystemClock().MonotonicNanos();
      for (RequestQueue& waiting : waiting_) {
        while (completions < max_completions && !waiting.empty() &&
               DueAt(waiting.front()) <= now_ns) {
          Complete(waiting.Pop());
          ++completions;
        }
      }
    }
    if (timer_ >= 0) SetTimer();
    return completions;
  }

  absl::StatusOr<int> EventFd() override {
    STRATA_RETURN_IF_ERROR(opener_.Check());
    if (timer_ < 0) {
      timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
      if (timer_ < 0) return absl::UnavailableError("timerfd: no file descriptor left");
      SetTimer();
    }
    return timer_;
  }

  absl::Status RegisterMemory(std::span<std::byte> memory) override {
    return base_->RegisterMemory(memory);
  }

  uint32_t in_flight() const override { return opener_.InForkedChild() ? 0 : in_flight_; }
  const Geometry& geometry() const override { return base_->geometry(); }

 protected:
  absl::Status DoSubmit(Request* request) override {
    STRATA_RETURN_IF_ERROR(opener_.Check());
    if (free_.empty()) return absl::ResourceExhaustedError("queue full");
    Request* forwarded = free_.Pop();
    Slot* slot = SlotOf(forwarded);
    *forwarded = Request{.op = request->op,
                         .force_unit_access = request->force_unit_access,
                         .lba = request->lba,
                         .block_count = request->block_count,
                         .segments = request->segments,
                         .done = &OnBaseDone,
                         .context = slot};
    slot->original = request;
    if (absl::Status status = base_->Submit(forwarded); !status.ok()) {
      free_.Push(forwarded);
      return status;
    }
    ++in_flight_;
    if (timer_ >= 0) SetTimer();
    return absl::OkStatus();
  }

 private:
  struct Slot {
    Request forwarded;
    Request* original = nullptr;
    DelayChannel* channel = nullptr;
    int64_t due_ns = 0;
  };

  static Slot* SlotOf(Request* forwarded) { return static_cast<Slot*>(forwarded->context); }
  static int64_t DueAt(Request* forwarded) { return SlotOf(forwarded)->due_ns; }

  bool NothingWaits() const {
    return waiting_[kReads].empty() && waiting_[kWrites].empty() && waiting_[kFlushes].empty();
  }

  // Sets the timer for the next moment at which Poll() may have something to do.
  void SetTimer() {
    int64_t next_ns = kNever;
    for (const RequestQueue& waiting : waiting_) {
      if (!waiting.empty()) next_ns = std::min(next_ns, DueAt(waiting.front()));
    }
    if (base_->in_flight() > 0) {
      next_ns = std::min(next_ns, SystemClock().MonotonicNanos() + kLookAgainNs);
    }
    if (next_ns == kNever) {
      if (!timer_is_set_) return;
      next_ns = 0;  // Stops the timer, and makes it unreadable where it has run out.
    }
    timer_is_set_ = next_ns != 0;
    const itimerspec when{
        .it_interval = {},
        .it_value = {.tv_sec = next_ns / 1'000'000'000, .tv_nsec = next_ns % 1'000'000'000}};
    STRATA_CHECK(timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr) == 0,
                 "timerfd_settime of a valid time");
  }

  static void OnBaseDone(Request* forwarded) {
    Slot* slot = SlotOf(forwarded);
    const Kind kind = KindOf(forwarded->op);
    slot->due_ns = SystemClock().MonotonicNanos() + slot->channel->delays_ns_[kind];
    slot->channel->waiting_[kind].Push(forwarded);
  }

  void Complete(Request* forwarded) {
    Request* original = SlotOf(forwarded)->original;
    original->status = std::move(forwarded->status);
    original->result_lba = forwarded->result_lba;
    free_.Push(forwarded);
    --in_flight_;
    original->done(original);
  }

  const ProcessMark opener_;
  const std::unique_ptr<Channel> base_;
  const Delays delays_ns_;
  std::vector<Slot> slots_;
  RequestQueue free_;
  std::array<RequestQueue, kKindCount> waiting_;
  uint32_t in_flight_ = 0;
  int timer_ = -1;
  bool timer_is_set_ = false;
};

class DelayDevice final : public Device {
 public:
  DelayDevice(std::unique_ptr<Device> base, const Delays& delays_ns)
      : base_(std::move(base)), delays_ns_(delays_ns) {}

  const Geometry& geometry() const override { return base_->geometry(); }
  std::string name() const override { return absl::StrCat("delay:", base_->name()); }

  absl::StatusOr<std::unique_ptr<Channel>> OpenChannel(const ChannelOptions& options) override {
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Channel> channel, base_->OpenChannel(options));
    return std::make_unique<DelayChannel>(std::move(channel), delays_ns_, options.queue_depth);
  }

 private:
  const std::unique_ptr<Device> base_;
  const Delays delays_ns_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Device>> CreateDelayDevice(std::unique_ptr<Device> base,
                                                          const DelayDeviceOptions& options) {
  if (base == nullptr) return absl::InvalidArgumentError("delay: no base device");
  Delays delays_ns{};
  const std::array<uint64_t, kKindCount> asked = {options.read_ns, options.write_ns,
                                                  options.flush_ns};
  for (size_t kind = 0; kind < kKindCount; ++kind) {
    if (asked[kind] > kMaxDelayNs) {
      return absl::InvalidArgumentError(
          absl::StrCat("delay: ", asked[kind], " ns is more than an hour"));
    }
    delays_ns[kind] = static_cast<int64_t>(asked[kind]);
  }
  return std::make_unique<DelayDevice>(std::move(base), delays_ns);
}

}  // namespace strata::block
