// SPDX-License-Identifier: Apache-2.0
//
// For kernels and sandboxes without io_uring: each request runs to its end inside Poll().
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "file/file_channels.h"
#include "file/kernel_calls.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "wakeup.h"

namespace strata::block {
namespace {

int64_t Make(int fd, const KernelCall& call) {
  const iovec single{call.data, call.size_bytes};
  const iovec* vector = call.data != nullptr ? &single : call.vector;
  const int count = call.data != nullptr ? 1 : static_cast<int>(call.vector_count);
  const off_t offset = static_cast<off_t>(call.offset_bytes);
  int64_t result = 0;
  switch (call.kind) {
    case KernelCall::Kind::kRead:
      result = preadv(fd, vector, count, offset);
      break;
    case KernelCall::Kind::kWrite:
      result = call.flags != 0 ? pwritev2(fd, vector, count, offset, call.flags)
                               : pwritev(fd, vector, count, offset);
      break;
    case KernelCall::Kind::kSync:
      result = fdatasync(fd);
      break;
    case KernelCall::Kind::kAllocate:
      result = fallocate(fd, call.flags, offset, static_cast<off_t>(call.size_bytes));
      break;
  }
  return result < 0 ? -errno : result;
}

class SyscallChannel final : public Channel {
 public:
  SyscallChannel(BackingFile& file, uint32_t queue_depth)
      : file_(file), queue_depth_(queue_depth), calls_(file) {}
  ~SyscallChannel() override {
    STRATA_CHECK(in_flight() == 0, "channel destroyed with I/O in flight");
  }

  int Poll(int max_completions) override {
    if (file_.opener().InForkedChild()) return 0;
    int completions = 0;
    while (completions < max_completions && !queue_.empty()) {
      Request* request = queue_.Pop();
      Run(request);
      --in_flight_;
      ++completions;
      request->done(request);
    }
    return completions;
  }

  absl::StatusOr<int> EventFd() override {
    STRATA_RETURN_IF_ERROR(file_.opener().Check());
    const bool is_new = !wakeup_.wanted();
    absl::StatusOr<int> fd = wakeup_.Fd();
    if (is_new && !queue_.empty()) wakeup_.Signal();
    return fd;
  }

  absl::Status RegisterMemory(std::span<std::byte>) override {
    return absl::UnimplementedError("plain system calls gain nothing from registered memory");
  }

  uint32_t in_flight() const override { return file_.opener().InForkedChild() ? 0 : in_flight_; }
  const Geometry& geometry() const override { return file_.geometry(); }

 protected:
  absl::Status DoSubmit(Request* request) override {
    STRATA_RETURN_IF_ERROR(file_.opener().Check());
    if (file_.read_only() && IsWrite(request->op)) {
      return absl::FailedPreconditionError(absl::StrCat(file_.path(), ": opened read-only"));
    }
    if (in_flight_ == queue_depth_) return absl::ResourceExhaustedError("queue full");
    ++in_flight_;
    if (queue_.empty()) wakeup_.Signal();
    queue_.Push(request);
    return absl::OkStatus();
  }

 private:
  void Run(Request* request) {
    const KernelCalls::Begin begin = calls_.Start(request);
    if (begin == KernelCalls::Begin::kFinished) return;
    STRATA_CHECK(begin == KernelCalls::Begin::kCall, "a request waits though none is running");
    while (!calls_.Finish(request, Make(file_.fd(), calls_.Next(request)))) {
    }
  }

  BackingFile& file_;
  const uint32_t queue_depth_;
  KernelCalls calls_;
  uint32_t in_flight_ = 0;
  RequestQueue queue_;
  Wakeup wakeup_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Channel>> OpenSyscallChannel(BackingFile& file,
                                                            const ChannelOptions& options) {
  if (options.queue_depth == 0) return absl::InvalidArgumentError("queue_depth is 0");
  return std::make_unique<SyscallChannel>(file, options.queue_depth);
}

}  // namespace strata::block
