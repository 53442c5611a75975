// SPDX-License-Identifier: Apache-2.0
#include "disks/transfers.h"

#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <deque>

#include "absl/strings/str_cat.h"
#include "strata/base/errno_status.h"

namespace strata::ofs {
namespace {

constexpr int kPollBatch = 64;

std::string_view OpName(block::Op op) {
  switch (op) {
    case block::Op::kRead:
      return "read";
    case block::Op::kWrite:
      return "write";
    default:
      return "flush";
  }
}

DiskFault FaultOf(block::Op op) {
  switch (op) {
    case block::Op::kRead:
      return DiskFault::kRead;
    case block::Op::kWrite:
      return DiskFault::kWrite;
    default:
      return DiskFault::kFlush;
  }
}

// A request of a transfer; a long transfer has several.
struct Part {
  block::Request request;
  block::Segment segment;
  Transfer* transfer = nullptr;
};

// The parts for one disk and the channel they go through.
class DiskQueue final {
 public:
  explicit DiskQueue(std::shared_ptr<Disk> disk) : disk_(std::move(disk)) {}
  ~DiskQueue() {
    if (channel_ != nullptr) disk_->GiveBack(std::move(channel_));
  }
  DiskQueue(const DiskQueue&) = delete;
  DiskQueue& operator=(const DiskQueue&) = delete;

  const Disk* disk() const { return disk_.get(); }

  void Add(Transfer* transfer) {
    const block::Geometry& geometry = disk_->device().geometry();
    const size_t most_bytes = std::max<size_t>(geometry.max_transfer_bytes, kBlockBytes);
    size_t at = 0;
    do {
      Part& part = parts_.emplace_back();
      part.transfer = transfer;
      part.request.op = transfer->op;
      part.request.context = &part;
      part.request.done = [](block::Request* request) {
        Transfer* const of = static_cast<Part*>(request->context)->transfer;
        if (of->status.ok()) of->status = request->status;
      };
      if (transfer->op == block::Op::kFlush) break;
      const size_t bytes = std::min(most_bytes, transfer->memory.size() - at);
      part.segment = {transfer->memory.data() + at, bytes};
      part.request.segments = {&part.segment, 1};
      part.request.lba = block::Lba{(transfer->offset_bytes + at) / geometry.block_size_bytes};
      part.request.block_count = static_cast<uint32_t>(bytes / geometry.block_size_bytes);
      at += bytes;
    } while (at < transfer->memory.size());
  }

  // Submits what there is room for. False: everything has ended.
  bool Continue() {
    if (channel_ == nullptr && next_ < parts_.size()) {
      absl::StatusOr<std::unique_ptr<block::Channel>> channel = disk_->Borrow();
      if (!channel.ok()) {
        for (; next_ < parts_.size(); ++next_) FailNext(channel.status());
      } else {
        channel_ = *std::move(channel);
      }
    }
    for (; next_ < parts_.size(); ++next_) {
      const absl::Status status = channel_->Submit(&parts_[next_].request);
      if (status.ok()) continue;
      if (absl::IsResourceExhausted(status) && channel_->in_flight() > 0) break;
      FailNext(status);
    }
    return channel_ != nullptr && channel_->in_flight() > 0;
  }

  int Poll() { return channel_->Poll(kPollBatch); }
  block::Channel& channel() { return *channel_; }

 private:
  void FailNext(const absl::Status& status) {
    Transfer* const of = parts_[next_].transfer;
    if (of->status.ok()) of->status = status;
  }

  const std::shared_ptr<Disk> disk_;
  std::unique_ptr<block::Channel> channel_;
  std::deque<Part> parts_;  // They do not move.
  size_t next_ = 0;
};

// Until one of the channels may have something to do.
void Sleep(const std::vector<DiskQueue*>& busy) {
  std::vector<pollfd> descriptors;
  for (DiskQueue* queue : busy) {
    const absl::StatusOr<int> fd = queue->channel().EventFd();
    if (!fd.ok()) {
      sched_yield();
      return;
    }
    descriptors.push_back({.fd = *fd, .events = POLLIN, .revents = 0});
  }
  poll(descriptors.data(), descriptors.size(), -1);
}

void Finish(Transfer& transfer) {
  if (transfer.status.ok()) return;
  Disk& disk = *transfer.disk;
  disk.Count(FaultOf(transfer.op));
  const std::string_view op = OpName(transfer.op);
  std::string what = absl::StrCat(disk.name(), ": ", absl::string_view(op.data(), op.size()));
  if (transfer.op != block::Op::kFlush) absl::StrAppend(&what, " at ", transfer.offset_bytes);
  transfer.status = Annotate(transfer.status, what);
}

}  // namespace

void RunTransfers(std::span<Transfer> transfers) {
  std::deque<DiskQueue> queues;
  for (Transfer& transfer : transfers) {
    transfer.status = absl::OkStatus();
    const auto same = std::find_if(queues.begin(), queues.end(), [&](const DiskQueue& queue) {
      return queue.disk() == transfer.disk.get();
    });
    DiskQueue& queue = same != queues.end() ? *same : queues.emplace_back(transfer.disk);
    queue.Add(&transfer);
  }
  while (true) {
    std::vector<DiskQueue*> busy;
    for (DiskQueue& queue : queues) {
      if (queue.Continue()) busy.push_back(&queue);
    }
    if (busy.empty()) break;
    int completed = 0;
    for (DiskQueue* queue : busy) completed += queue->Poll();
    if (completed == 0) Sleep(busy);
  }
  for (Transfer& transfer : transfers) Finish(transfer);
}

absl::Status FlushDisks(std::span<const std::shared_ptr<Disk>> disks,
                        std::vector<uint32_t>* failed) {
  std::vector<Transfer> flushes;
  std::string messages;
  const auto fail = [&](Disk& disk, absl::string_view message) {
    disk.StopWriting();
    if (failed != nullptr) failed->push_back(disk.number());
    absl::StrAppend(&messages, messages.empty() ? "" : "; ", message);
  };
  for (const std::shared_ptr<Disk>& disk : disks) {
    const bool known = std::any_of(flushes.begin(), flushes.end(),
                                   [&](const Transfer& flush) { return flush.disk == disk; });
    if (!known) flushes.push_back({.disk = disk, .op = block::Op::kFlush});
  }
  // After a failed write or flush, a flush that succeeds proves nothing.
  for (const Transfer& flush : flushes) {
    if (!flush.disk->writable()) {
      fail(*flush.disk, absl::StrCat(flush.disk->name(), ": it failed before"));
    }
  }
  std::erase_if(flushes, [](const Transfer& flush) { return !flush.disk->writable(); });
  RunTransfers(flushes);
  for (const Transfer& flush : flushes) {
    if (!flush.status.ok()) fail(*flush.disk, flush.status.message());
  }
  return messages.empty() ? absl::OkStatus() : absl::UnavailableError(messages);
}

}  // namespace strata::ofs
