// SPDX-License-Identifier: Apache-2.0
//
// The io_uring channel, and the only file that knows liburing. Submit() writes a submission entry;
// Poll() hands all of them to the kernel in one call, then takes completions from shared memory
// without one.
//
// Every request has at most one entry outstanding, and the ring has an entry for each request of
// the queue depth: there is always room, and the completion ring, twice as long, cannot overflow.
#include <liburing.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "file/file_channels.h"
#include "file/kernel_calls.h"
#include "strata/base/check.h"
#include "strata/base/fork.h"
#include "strata/base/status_macros.h"
#include "wakeup.h"

namespace strata::block {
namespace {

constexpr uint32_t kMaxEntries = 32768;  // The kernel's own limit.
constexpr uint32_t kBatchShare = 16;  // While reaping, at most a 16th of the requests is held back.
constexpr size_t kMaxRegions = 64;
constexpr size_t kMaxRegionBytes = size_t{1} << 30;  // The kernel's own limit.

// Completions need no interrupt of the polling thread: it looks by itself.
constexpr unsigned kPreferredFlags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

// Returns 0 or a negative errno.
int SetUp(io_uring* ring, unsigned entries) {
  const int result = io_uring_queue_init(entries, ring, kPreferredFlags);
  return result == -EINVAL ? io_uring_queue_init(entries, ring, 0) : result;
}

class UringChannel final : public Channel {
 public:
  UringChannel(BackingFile& file, uint32_t queue_depth)
      : file_(file), queue_depth_(queue_depth), calls_(file) {}

  ~UringChannel() override {
    if (file_.opener().InForkedChild()) return;  // It has no ring.
    STRATA_CHECK(in_flight_ == 0, "channel destroyed with I/O in flight");
    closed_in_child_.reset();
    if (is_set_up_) io_uring_queue_exit(&ring_);
  }

  absl::Status SetUpRing() {
    const int result = SetUp(&ring_, queue_depth_);
    is_set_up_ = result == 0;
    if (is_set_up_) {
      // The kernel and a child would write to the same ring: the child does not get it.
      (void)io_uring_ring_dontfork(&ring_);
      closed_in_child_.emplace(ring_.ring_fd);
      return absl::OkStatus();
    }
    return absl::ResourceExhaustedError(absl::StrCat(
        file_.path(), ": io_uring for a channel: ", std::generic_category().message(-result)));
  }

  int Poll(int max_completions) override {
    if (file_.opener().InForkedChild()) return 0;
    int completions = RunReady(max_completions);
    HandOver();
    completions += Reap(max_completions - completions);
    if (completions == 0 && max_completions > 0 && wakeup_.wanted()) {
      // The kernel signals after it has posted: what is posted after this makes the descriptor
      // readable again.
      wakeup_.Drain();
      completions = Reap(max_completions);
    }
    HandOver();
    return completions;
  }

  absl::StatusOr<int> EventFd() override {
    STRATA_RETURN_IF_ERROR(file_.opener().Check());
    if (has_event_fd_) return wakeup_.Fd();
    const absl::StatusOr<int> fd = wakeup_.Fd();
    if (!fd.ok()) return fd;
    const int result = io_uring_register_eventfd(&ring_, *fd);
    if (result < 0) {
      return absl::UnavailableError(
          absl::StrCat("eventfd of a ring: ", std::generic_category().message(-result)));
    }
    has_event_fd_ = true;
    if (in_flight_ > 0) wakeup_.Signal();
    return fd;
  }

  absl::Status RegisterMemory(std::span<std::byte> memory) override;

  uint32_t in_flight() const override { return file_.opener().InForkedChild() ? 0 : in_flight_; }
  const Geometry& geometry() const override { return file_.geometry(); }

 protected:
  absl::Status DoSubmit(Request* request) override {
    STRATA_RETURN_IF_ERROR(file_.opener().Check());
    if (in_flight_ == queue_depth_) return absl::ResourceExhaustedError("queue full");
    ++in_flight_;
    switch (calls_.Start(request)) {
      case KernelCalls::Begin::kCall:
        Prepare(request);
        break;
      case KernelCalls::Begin::kFinished:
        ready_.Push(request);
        wakeup_.Signal();
        break;
      case KernelCalls::Begin::kWaits:
        break;
    }
    return absl::OkStatus();
  }

 private:
  void Prepare(Request* request);
  void HandOver();
  int Reap(int max_completions);
  int RunReady(int max_completions);
  int RegionOf(const KernelCall& call) const;

  void Complete(Request* request) {
    --in_flight_;
    request->done(request);
  }

  BackingFile& file_;
  const uint32_t queue_depth_;
  KernelCalls calls_;
  io_uring ring_{};
  bool is_set_up_ = false;
  std::optional<CloseInChild> closed_in_child_;
  uint32_t in_flight_ = 0;
  RequestQueue ready_;  // Finished without the kernel; their callbacks run in the next Poll().
  Wakeup wakeup_;
  bool has_event_fd_ = false;  // The kernel signals it.
  std::array<std::span<std::byte>, kMaxRegions> regions_;
  size_t region_count_ = 0;
  bool has_region_table_ = false;
};

// The registered region that holds all of the call's memory, or -1.
int UringChannel::RegionOf(const KernelCall& call) const {
  for (size_t i = 0; i < region_count_; ++i) {
    const std::span<std::byte> region = regions_[i];
    if (call.data >= region.data() &&
        call.data + call.size_bytes <= region.data() + region.size()) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

void UringChannel::Prepare(Request* request) {
  const KernelCall call = calls_.Next(request);
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  STRATA_CHECK(sqe != nullptr, "no submission entry though the queue is not full");
  const int fd = file_.fd();
  const unsigned size = static_cast<unsigned>(call.size_bytes);
  const int region = call.data != nullptr && region_count_ > 0 ? RegionOf(call) : -1;
  switch (call.kind) {
    case KernelCall::Kind::kRead:
      if (call.data == nullptr) {
        io_uring_prep_readv(sqe, fd, call.vector, call.vector_count, call.offset_bytes);
      } else if (region >= 0) {
        io_uring_prep_read_fixed(sqe, fd, call.data, size, call.offset_bytes, region);
      } else {
        io_uring_prep_read(sqe, fd, call.data, size, call.offset_bytes);
      }
      break;
    case KernelCall::Kind::kWrite:
      if (call.data == nullptr) {
        io_uring_prep_writev(sqe, fd, call.vector, call.vector_count, call.offset_bytes);
      } else if (region >= 0) {
        io_uring_prep_write_fixed(sqe, fd, call.data, size, call.offset_bytes, region);
      } else {
        io_uring_prep_write(sqe, fd, call.data, size, call.offset_bytes);
      }
      sqe->rw_flags = call.flags;
      break;
    case KernelCall::Kind::kSync:
      io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
      break;
    case KernelCall::Kind::kAllocate:
      io_uring_prep_fallocate(sqe, fd, call.flags, static_cast<off_t>(call.offset_bytes),
                              static_cast<off_t>(call.size_bytes));
      break;
  }
  io_uring_sqe_set_data(sqe, request);
}

// Gives the kernel what was prepared. What it does not take now stays for the next Poll().
void UringChannel::HandOver() {
  if (io_uring_sq_ready(&ring_) == 0) return;
  const int result = io_uring_submit(&ring_);
  if (result >= 0 && io_uring_sq_ready(&ring_) == 0) return;
  STRATA_CHECK(
      result >= 0 || result == -EAGAIN || result == -EBUSY || result == -EINTR || result == -ENOMEM,
      "io_uring_enter refused our ring");
  wakeup_.Signal();
}

int UringChannel::Reap(int max_completions) {
  int completions = 0;
  while (completions < max_completions) {
    io_uring_cqe* cqe = nullptr;
    if (io_uring_peek_cqe(&ring_, &cqe) != 0) break;
    Request* request = static_cast<Request*>(io_uring_cqe_get_data(cqe));
    const int result = cqe->res;
    io_uring_cqe_seen(&ring_, cqe);
    if (!calls_.Finish(request, result)) {
      Prepare(request);
      continue;
    }
    if (Request* compare = calls_.NextCompare()) Prepare(compare);
    Complete(request);
    ++completions;
    // A long batch would leave the device short of work while it is put together.
    const uint32_t held_count = io_uring_sq_ready(&ring_);
    if (held_count * kBatchShare > in_flight_ - held_count) HandOver();
  }
  return completions;
}

int UringChannel::RunReady(int max_completions) {
  int completions = 0;
  while (completions < max_completions && !ready_.empty()) {
    Complete(ready_.Pop());
    ++completions;
  }
  return completions;
}

absl::Status UringChannel::RegisterMemory(std::span<std::byte> memory) {
  STRATA_RETURN_IF_ERROR(file_.opener().Check());
  if (memory.empty()) return absl::InvalidArgumentError("no memory to register");
  if (!has_region_table_) {
    if (io_uring_register_buffers_sparse(&ring_, kMaxRegions) != 0) {
      return absl::UnimplementedError("this kernel has no table of registered buffers");
    }
    has_region_table_ = true;
  }
  while (!memory.empty()) {
    if (region_count_ == kMaxRegions) {
      return absl::ResourceExhaustedError("every slot for registered memory is taken");
    }
    const std::span<std::byte> piece = memory.first(std::min(memory.size(), kMaxRegionBytes));
    const iovec vector{piece.data(), piece.size()};
    const __u64 tag = 0;
    const int result = io_uring_register_buffers_update_tag(
        &ring_, static_cast<unsigned>(region_count_), &vector, &tag, 1);
    if (result < 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("registering ", piece.size(),
                       " bytes (see ulimit -l): ", std::generic_category().message(-result)));
    }
    regions_[region_count_++] = piece;
    memory = memory.subspan(piece.size());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ProbeUring() {
  io_uring ring;
  const int result = SetUp(&ring, 2);
  if (result < 0) return absl::UnimplementedError(std::generic_category().message(-result));
  io_uring_probe* probe = io_uring_get_probe_ring(&ring);
  bool complete = probe != nullptr;
  for (const int op :
       {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_READ_FIXED,
        IORING_OP_WRITE_FIXED, IORING_OP_FSYNC, IORING_OP_FALLOCATE}) {
    complete = complete && io_uring_opcode_supported(probe, op);
  }
  io_uring_free_probe(probe);
  io_uring_queue_exit(&ring);
  return complete ? absl::OkStatus() : absl::UnimplementedError("an operation is missing");
}

absl::StatusOr<std::unique_ptr<Channel>> OpenUringChannel(BackingFile& file,
                                                          const ChannelOptions& options) {
  if (options.queue_depth == 0 || options.queue_depth > kMaxEntries) {
    return absl::InvalidArgumentError(
        absl::StrCat("queue_depth ", options.queue_depth, " is not in 1..", kMaxEntries));
  }
  auto channel = std::make_unique<UringChannel>(file, options.queue_depth);
  absl::Status status = channel->SetUpRing();
  if (!status.ok()) return status;
  return channel;
}

}  // namespace strata::block
