// SPDX-License-Identifier: Apache-2.0
//
// For kernels and sandboxes without io_uring: each request runs to its end inside Poll().
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "file/file_channels.h"
#include "file/kernel_calls.h"
#include "queued_channel.h"
#include "strata/base/check.h"

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

class SyscallChannel final : public QueuedChannel {
 public:
  SyscallChannel(BackingFile& file, uint32_t queue_depth)
      : QueuedChannel(file.geometry(), file.opener(), queue_depth), file_(file), calls_(file) {}

 protected:
  void Execute(Request* request) override {
    const KernelCalls::Begin begin = calls_.Start(request);
    if (begin == KernelCalls::Begin::kFinished) return;
    STRATA_CHECK(begin == KernelCalls::Begin::kCall, "a request waits though none is running");
    while (!calls_.Finish(request, Make(file_.fd(), calls_.Next(request)))) {
    }
  }

 private:
  BackingFile& file_;
  KernelCalls calls_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Channel>> OpenSyscallChannel(BackingFile& file,
                                                            const ChannelOptions& options) {
  if (options.queue_depth == 0) return absl::InvalidArgumentError("queue_depth is 0");
  return std::make_unique<SyscallChannel>(file, options.queue_depth);
}

}  // namespace strata::block
