// SPDX-License-Identifier: Apache-2.0
//
// A decorator that holds completions back. Each request is forwarded in a slot of the channel's
// own; when the base completes it, the slot waits in the list of its kind (read, write or flush)
// until its time has come.
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "request_queue.h"
#include "strata/base/check.h"
#include "strata/base/clock.h"
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

using Delays = std::array<uint64_t, kKindCount>;

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
    STRATA_CHECK(in_flight_ == 0, "channel destroyed with I/O in flight");
  }

  int Poll(int max_completions) override {
    base_->Poll(max_completions);
    if (NothingWaits()) return 0;
    const uint64_t now_ns = SystemClock().MonotonicNanos();
    int completions = 0;
    for (RequestQueue& waiting : waiting_) {
      while (completions < max_completions && !waiting.empty() &&
             DueAt(waiting.front()) <= now_ns) {
        Complete(waiting.Pop());
        ++completions;
      }
    }
    return completions;
  }

  absl::StatusOr<int> EventFd() override {
    return absl::UnimplementedError("a delayed channel is polled");
  }

  absl::Status RegisterMemory(std::span<std::byte> memory) override {
    return base_->RegisterMemory(memory);
  }

  uint32_t in_flight() const override { return in_flight_; }
  const Geometry& geometry() const override { return base_->geometry(); }

 protected:
  absl::Status DoSubmit(Request* request) override {
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
    return absl::OkStatus();
  }

 private:
  struct Slot {
    Request forwarded;
    Request* original = nullptr;
    DelayChannel* channel = nullptr;
    uint64_t due_ns = 0;
  };

  static Slot* SlotOf(Request* forwarded) { return static_cast<Slot*>(forwarded->context); }
  static uint64_t DueAt(Request* forwarded) { return SlotOf(forwarded)->due_ns; }

  bool NothingWaits() const {
    return waiting_[kReads].empty() && waiting_[kWrites].empty() && waiting_[kFlushes].empty();
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

  const std::unique_ptr<Channel> base_;
  const Delays delays_ns_;
  std::vector<Slot> slots_;
  RequestQueue free_;
  std::array<RequestQueue, kKindCount> waiting_;
  uint32_t in_flight_ = 0;
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
  return std::make_unique<DelayDevice>(std::move(base),
                                       Delays{options.read_ns, options.write_ns, options.flush_ns});
}

}  // namespace strata::block
