// SPDX-License-Identifier: Apache-2.0
//
// Piece i lies in slot i modulo the depth: it is read, then written, and only then may piece i +
// depth come. Reads are started ahead, writes in order.
#include "command_line/nvme/transfer.h"

#include <poll.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"

namespace strata::appliance {
namespace {

using block::Channel;
using block::Lba;
using block::Op;

constexpr int kWaitMs = 50;

struct Slot {
  enum class State { kFree, kReading, kRead, kWriting };
  State state = State::kFree;
  block::Buffer buffer;
  block::Segment segment{};
  block::Request request{};
  uint64_t place_bytes = 0;  // From the beginning of the transfer.
  size_t size_bytes = 0;     // Of what is moved.
};

size_t RoundUp(size_t bytes, uint32_t unit) { return (bytes + unit - 1) / unit * unit; }

class Mover {
 public:
  Mover(const TransferSource& source, const TransferSink& sink, uint64_t bytes)
      : source_(source), sink_(sink), left_bytes_(bytes), slots_(kTransferDepth) {}

  absl::Status Check() {
    piece_bytes_ = kTransferPieceBytes;
    uint32_t unit = 1;
    for (Channel* channel : {source_.channel, sink_.channel}) {
      if (channel == nullptr) continue;
      piece_bytes_ = std::min<size_t>(piece_bytes_, channel->geometry().max_transfer_bytes);
      unit = std::max(unit, channel->geometry().block_size_bytes);
    }
    piece_bytes_ = std::max<size_t>(piece_bytes_ / unit * unit, unit);
    STRATA_RETURN_IF_ERROR(CheckEnd("the source", source_.channel, source_.offset_bytes));
    STRATA_RETURN_IF_ERROR(CheckEnd("the target", sink_.channel, sink_.offset_bytes));
    for (Slot& slot : slots_) slot.buffer = block::Buffer::ForOverwrite(piece_bytes_);
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Run(const TransferProgress& progress) {
    absl::Status status;
    while (status.ok() && !(is_at_end_ && written_ == read_)) {
      status = Step();
      if (status.ok() && !progress.callback({progress.phase, moved_bytes_, progress.total_bytes})) {
        status = absl::CancelledError("cancelled");
      }
    }
    while (InFlight() > 0) Wait();
    if (status.ok()) status = error_;
    if (!status.ok()) return status;
    return moved_bytes_;
  }

 private:
  absl::Status CheckEnd(const char* what, Channel* channel, uint64_t offset_bytes) {
    if (channel == nullptr) return absl::OkStatus();
    const block::Geometry& geometry = channel->geometry();
    const uint64_t device_bytes = geometry.block_count * geometry.block_size_bytes;
    if (offset_bytes % geometry.block_size_bytes != 0) {
      return absl::InvalidArgumentError(absl::StrCat("the offset ", offset_bytes, " in ", what,
                                                     " is no multiple of its blocks of ",
                                                     geometry.block_size_bytes, " bytes"));
    }
    const bool is_source = channel == source_.channel;
    const bool has_length = is_source || source_.channel != nullptr;
    if (offset_bytes > device_bytes || (has_length && left_bytes_ > device_bytes - offset_bytes)) {
      return absl::InvalidArgumentError(absl::StrCat(what, " has ", device_bytes, " bytes, and ",
                                                     left_bytes_, " from ", offset_bytes,
                                                     " on are asked for"));
    }
    return absl::OkStatus();
  }

  // One round: starts what can be started, and waits where that is nothing.
  absl::Status Step() {
    bool moved = false;
    while (!is_at_end_ && slots_[read_ % kTransferDepth].state == Slot::State::kFree) {
      STRATA_RETURN_IF_ERROR(StartRead(slots_[read_ % kTransferDepth]));
      moved = true;
      // A function that waits for its input must not keep what came before from being written.
      if (source_.channel == nullptr) break;
    }
    while (written_ < read_ && slots_[written_ % kTransferDepth].state == Slot::State::kRead) {
      STRATA_RETURN_IF_ERROR(StartWrite(slots_[written_ % kTransferDepth]));
      moved = true;
    }
    if (!moved) Wait();
    return error_;
  }

  absl::Status StartRead(Slot& slot) {
    slot.place_bytes = place_bytes_;
    slot.size_bytes = static_cast<size_t>(std::min<uint64_t>(piece_bytes_, left_bytes_));
    if (slot.size_bytes == 0) {
      is_at_end_ = true;
      return absl::OkStatus();
    }
    if (source_.channel == nullptr) {
      STRATA_ASSIGN_OR_RETURN(const size_t got,
                              source_.fill(slot.buffer.span().first(slot.size_bytes)));
      is_at_end_ = got < slot.size_bytes;
      slot.size_bytes = got;
      if (got == 0) return absl::OkStatus();
      slot.state = Slot::State::kRead;
    } else {
      const size_t whole = RoundUp(slot.size_bytes, source_.channel->geometry().block_size_bytes);
      STRATA_RETURN_IF_ERROR(
          Submit(slot, Op::kRead, *source_.channel, source_.offset_bytes + place_bytes_, whole));
      slot.state = Slot::State::kReading;
    }
    place_bytes_ += slot.size_bytes;
    left_bytes_ -= slot.size_bytes;
    ++read_;
    return absl::OkStatus();
  }

  absl::Status StartWrite(Slot& slot) {
    if (sink_.channel == nullptr) {
      STRATA_RETURN_IF_ERROR(sink_.take(slot.buffer.span().first(slot.size_bytes)));
      Finish(slot);
    } else {
      const block::Geometry& geometry = sink_.channel->geometry();
      const uint64_t offset_bytes = sink_.offset_bytes + slot.place_bytes;
      const size_t whole = RoundUp(slot.size_bytes, geometry.block_size_bytes);
      if (offset_bytes + whole > geometry.block_count * geometry.block_size_bytes) {
        return absl::OutOfRangeError(absl::StrCat(
            "the target ends after ", geometry.block_count * geometry.block_size_bytes, " bytes"));
      }
      if (whole > slot.size_bytes) STRATA_RETURN_IF_ERROR(Complete(slot, offset_bytes, whole));
      slot.state = Slot::State::kWriting;
      STRATA_RETURN_IF_ERROR(Submit(slot, Op::kWrite, *sink_.channel, offset_bytes, whole));
    }
    ++written_;
    return absl::OkStatus();
  }

  // Reads the rest of the last block, which is to stay.
  absl::Status Complete(Slot& slot, uint64_t offset_bytes, size_t whole) {
    const uint32_t unit = sink_.channel->geometry().block_size_bytes;
    block::Buffer last(unit);
    STRATA_RETURN_IF_ERROR(
        block::ReadBlocking(*sink_.channel, Lba{(offset_bytes + whole) / unit - 1}, last.span()));
    const size_t rest = whole - slot.size_bytes;
    std::memcpy(slot.buffer.data() + slot.size_bytes, last.data() + unit - rest, rest);
    return absl::OkStatus();
  }

  absl::Status Submit(Slot& slot, Op op, Channel& channel, uint64_t offset_bytes, size_t bytes) {
    const uint32_t unit = channel.geometry().block_size_bytes;
    slot.segment = {slot.buffer.data(), bytes};
    slot.request = block::Request{.op = op,
                                  .lba = Lba{offset_bytes / unit},
                                  .block_count = static_cast<uint32_t>(bytes / unit),
                                  .segments = {&slot.segment, 1},
                                  .done = &OnDone,
                                  .context = this};
    return channel.Submit(&slot.request);
  }

  static void OnDone(block::Request* request) {
    Mover& mover = *static_cast<Mover*>(request->context);
    for (Slot& slot : mover.slots_) {
      if (&slot.request != request) continue;
      if (!request->status.ok() && mover.error_.ok()) mover.error_ = request->status;
      if (slot.state == Slot::State::kReading) {
        slot.state = Slot::State::kRead;
      } else {
        mover.Finish(slot);
      }
    }
  }

  void Finish(Slot& slot) {
    slot.state = Slot::State::kFree;
    moved_bytes_ += slot.size_bytes;
  }

  uint32_t InFlight() const {
    return (source_.channel == nullptr ? 0 : source_.channel->in_flight()) +
           (sink_.channel == nullptr ? 0 : sink_.channel->in_flight());
  }

  // Sleeps where nothing is done yet.
  void Wait() {
    std::vector<pollfd> fds;
    for (Channel* channel : {source_.channel, sink_.channel}) {
      if (channel == nullptr || channel->in_flight() == 0) continue;
      if (channel->Poll(kTransferDepth) > 0) return;
      const absl::StatusOr<int> fd = channel->EventFd();
      if (fd.ok()) fds.push_back({.fd = *fd, .events = POLLIN, .revents = 0});
    }
    poll(fds.data(), fds.size(), kWaitMs);
  }

  const TransferSource& source_;
  const TransferSink& sink_;
  uint64_t left_bytes_;
  std::vector<Slot> slots_;
  size_t piece_bytes_ = 0;
  uint64_t place_bytes_ = 0;
  uint64_t moved_bytes_ = 0;
  uint64_t read_ = 0;     // Pieces whose reading has begun.
  uint64_t written_ = 0;  // Pieces whose writing has begun.
  bool is_at_end_ = false;
  absl::Status error_;
};

}  // namespace

absl::StatusOr<uint64_t> Transfer(const TransferSource& source, const TransferSink& sink,
                                  uint64_t bytes, const TransferProgress& progress) {
  Mover mover(source, sink, bytes);
  STRATA_RETURN_IF_ERROR(mover.Check());
  STRATA_ASSIGN_OR_RETURN(const uint64_t moved, mover.Run(progress));
  if (sink.channel != nullptr) STRATA_RETURN_IF_ERROR(block::FlushBlocking(*sink.channel));
  return moved;
}

}  // namespace strata::appliance
