// SPDX-License-Identifier: Apache-2.0
//
// Waiting calls. A long transfer is cut into requests of at most max_transfer_bytes, several of
// which are kept in flight; the first error ends it once everything that was started has completed.
#include "strata/block/blocking.h"

#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <limits>

namespace strata::block {
namespace {

constexpr int kPollBatch = 64;
constexpr size_t kMaxInFlight = 8;

struct Operation {
  Op op;
  Lba lba;
  uint64_t block_count;
  std::byte* data;  // Null where no data moves.
};

class Transfer {
 public:
  Transfer(Channel& channel, const Operation& operation)
      : channel_(channel), operation_(operation), left_blocks_(operation.block_count) {
    const Geometry& geometry = channel.geometry();
    most_blocks_ = operation.data == nullptr
                       ? std::numeric_limits<uint32_t>::max()
                       : geometry.max_transfer_bytes / geometry.block_size_bytes;
  }

  absl::Status Run() {
    for (;;) {
      if (StartOne()) continue;
      const bool no_more_to_start = left_blocks_ == 0 || !status_.ok();
      if (no_more_to_start && busy_count_ == 0) return status_;
      PollOrSleep(channel_);
    }
  }

 private:
  // One of the requests that the transfer keeps in flight.
  struct Slot {
    Request request;
    Segment segment;
    Transfer* transfer = nullptr;
    bool busy = false;
  };

  // False when there is nothing to start, or no room for it.
  bool StartOne() {
    if (left_blocks_ == 0 || !status_.ok()) return false;
    const auto slot = std::find_if(slots_.begin(), slots_.end(), [](Slot& s) { return !s.busy; });
    if (slot == slots_.end()) return false;
    const uint64_t blocks = std::min<uint64_t>(left_blocks_, most_blocks_);
    Request& request = slot->request;
    request.op = operation_.op;
    request.lba = operation_.lba;
    request.block_count = static_cast<uint32_t>(blocks);
    request.done = &OnDone;
    request.context = &*slot;
    if (operation_.data != nullptr) {
      slot->segment = {operation_.data, blocks * channel_.geometry().block_size_bytes};
      request.segments = {&slot->segment, 1};
    }
    absl::Status submitted = channel_.Submit(&request);
    if (absl::IsResourceExhausted(submitted) && channel_.in_flight() > 0) return false;
    if (!submitted.ok()) {
      status_ = std::move(submitted);
      return false;
    }
    slot->busy = true;
    slot->transfer = this;
    ++busy_count_;
    operation_.lba = operation_.lba + blocks;
    left_blocks_ -= blocks;
    if (operation_.data != nullptr) operation_.data += slot->segment.size_bytes;
    return true;
  }

  static void OnDone(Request* request) {
    Slot* slot = static_cast<Slot*>(request->context);
    Transfer* self = slot->transfer;
    slot->busy = false;
    --self->busy_count_;
    if (self->status_.ok()) self->status_ = request->status;
  }

  Channel& channel_;
  Operation operation_;
  uint64_t left_blocks_;
  uint64_t most_blocks_;
  size_t busy_count_ = 0;
  absl::Status status_;
  std::array<Slot, kMaxInFlight> slots_;
};

absl::Status CheckWholeBlocks(const Channel& channel, size_t size_bytes) {
  if (size_bytes % channel.geometry().block_size_bytes == 0) return absl::OkStatus();
  return absl::InvalidArgumentError("data is not a whole number of blocks");
}

absl::Status Run(Channel& channel, const Operation& operation) {
  return Transfer(channel, operation).Run();
}

absl::Status RunData(Channel& channel, Op op, Lba lba, std::byte* data, size_t size_bytes) {
  if (absl::Status status = CheckWholeBlocks(channel, size_bytes); !status.ok()) return status;
  return Run(channel, {op, lba, size_bytes / channel.geometry().block_size_bytes, data});
}

}  // namespace

void PollOrSleep(Channel& channel) {
  if (channel.Poll(kPollBatch) > 0) return;
  const absl::StatusOr<int> fd = channel.EventFd();
  if (!fd.ok()) {
    sched_yield();
    return;
  }
  pollfd waiter{.fd = *fd, .events = POLLIN, .revents = 0};
  poll(&waiter, 1, -1);
}

absl::Status ReadBlocking(Channel& channel, Lba lba, std::span<std::byte> data) {
  return RunData(channel, Op::kRead, lba, data.data(), data.size());
}

absl::Status WriteBlocking(Channel& channel, Lba lba, std::span<const std::byte> data) {
  // A segment serves both directions; a write only reads from it.
  return RunData(channel, Op::kWrite, lba, const_cast<std::byte*>(data.data()), data.size());
}

absl::Status FlushBlocking(Channel& channel) {
  struct Flush {
    Request request;
    bool finished = false;
  } flush;
  flush.request.op = Op::kFlush;
  flush.request.context = &flush;
  flush.request.done = [](Request* r) { static_cast<Flush*>(r->context)->finished = true; };
  for (;;) {
    absl::Status submitted = channel.Submit(&flush.request);
    if (submitted.ok()) break;
    if (!absl::IsResourceExhausted(submitted) || channel.in_flight() == 0) return submitted;
    PollOrSleep(channel);
  }
  while (!flush.finished) PollOrSleep(channel);
  return flush.request.status;
}

absl::Status DiscardBlocking(Channel& channel, Lba lba, uint64_t block_count) {
  return Run(channel, {Op::kDiscard, lba, block_count, nullptr});
}

absl::Status WriteZeroesBlocking(Channel& channel, Lba lba, uint64_t block_count) {
  return Run(channel, {Op::kWriteZeroes, lba, block_count, nullptr});
}

}  // namespace strata::block
