// SPDX-License-Identifier: Apache-2.0
#include "containers/append_queue.h"

#include <poll.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/layout.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"

namespace strata::dedup {
namespace {

constexpr size_t kMaxWriteBytes = 512u << 10;
constexpr size_t kMaxIdleWrites = 4;
constexpr int kSleepMs = 100;

size_t WriteBytes(const AppendQueue::Options& options) {
  return AlignDown(std::min<size_t>(options.device->geometry().max_transfer_bytes, kMaxWriteBytes),
                   options.block_bytes);
}

}  // namespace

absl::StatusOr<std::unique_ptr<AppendQueue>> AppendQueue::Create(const Options& options) {
  auto queue = std::unique_ptr<AppendQueue>(new AppendQueue(options));
  // Two appends may be added to what is in flight before somebody looks whether it is full.
  const auto most_requests = static_cast<uint32_t>(
      kMaxInFlight + 2 * (options.most_append_bytes / queue->write_bytes_ + 2));
  STRATA_ASSIGN_OR_RETURN(queue->channel_,
                          options.device->OpenChannel({.queue_depth = most_requests}));
  STRATA_ASSIGN_OR_RETURN(queue->event_fd_, queue->channel_->EventFd());
  STRATA_ASSIGN_OR_RETURN(queue->flush_channel_, options.device->OpenChannel({.queue_depth = 2}));
  return queue;
}

AppendQueue::AppendQueue(const Options& options)
    : options_(options), write_bytes_(WriteBytes(options)) {}

AppendQueue::~AppendQueue() = default;

void AppendQueue::Drain() {
  while (!in_flight_.empty() && WaitForCompletion().ok()) {
  }
  // After a failure the writes behind the failed one are still the device's.
  while (channel_->in_flight() > 0) channel_->Poll(kMaxInFlight);
}

absl::Status AppendQueue::Fail(const char* what, const absl::Status& cause) {
  if (failure_.ok()) {
    failure_ = absl::FailedPreconditionError(
        absl::StrFormat("dedup: the store takes no more data since %s failed: %s", what,
                        std::string(cause.message())));
    Log(options_.log, LogLevel::kError, std::string(failure_.message()));
    changed_.NotifyAll();
  }
  return failure_;
}

bool AppendQueue::Continues(uint64_t device_offset) const {
  return staging_ != nullptr && staging_->device_offset + staging_->filled_bytes == device_offset;
}

std::unique_ptr<AppendQueue::Write> AppendQueue::NewWrite(uint64_t device_offset) {
  std::unique_ptr<Write> write;
  if (!idle_writes_.empty()) {
    write = std::move(idle_writes_.back());
    idle_writes_.pop_back();
  } else {
    write = std::make_unique<Write>();
    write->buffer = block::Buffer(
        write_bytes_, std::max<size_t>(options_.device->geometry().buffer_alignment_bytes, 4096));
  }
  write->device_offset = device_offset;
  write->filled_bytes = 0;
  write->done = false;
  return write;
}

absl::Status AppendQueue::Stage(uint64_t device_offset, std::span<const std::byte> bytes) {
  if (staging_ != nullptr && !Continues(device_offset)) STRATA_RETURN_IF_ERROR(Submit());
  while (!bytes.empty()) {
    if (staging_ == nullptr) {
      STRATA_CHECK(device_offset % options_.block_bytes == 0, "a write begins inside a block");
      staging_ = NewWrite(device_offset);
    }
    const size_t size = std::min(bytes.size(), write_bytes_ - staging_->filled_bytes);
    std::memcpy(staging_->buffer.data() + staging_->filled_bytes, bytes.data(), size);
    staging_->filled_bytes += size;
    device_offset += size;
    bytes = bytes.subspan(size);
    if (staging_->filled_bytes == write_bytes_) STRATA_RETURN_IF_ERROR(Submit());
  }
  return absl::OkStatus();
}

void AppendQueue::MarkStaged(uint64_t position) {
  staged_ = position;
  if (staging_ != nullptr) return;
  // The last byte filled a write, which has left already.
  if (!in_flight_.empty()) {
    in_flight_.back()->position = position;
  } else if (failure_.ok()) {
    completed_ = position;
  }
}

absl::Status AppendQueue::Start(std::unique_ptr<Write> write, const char* what) {
  write->position = staged_;
  write->request.context = write.get();
  write->request.done = [](block::Request* request) {
    static_cast<Write*>(request->context)->done = true;
  };
  const absl::Status status = channel_->Submit(&write->request);
  if (!status.ok()) return Fail(what, status);
  in_flight_.push_back(std::move(write));
  return absl::OkStatus();
}

absl::Status AppendQueue::Submit() {
  if (staging_ == nullptr) return absl::OkStatus();
  std::unique_ptr<Write> write = std::move(staging_);
  const size_t size = AlignUp(write->filled_bytes, options_.block_bytes);
  std::memset(write->buffer.data() + write->filled_bytes, 0, size - write->filled_bytes);
  write->segment = {write->buffer.data(), size};
  const uint32_t device_block = options_.device->geometry().block_size_bytes;
  write->request = block::Request{};
  write->request.op = block::Op::kWrite;
  write->request.lba = block::Lba{write->device_offset / device_block};
  write->request.block_count = static_cast<uint32_t>(size / device_block);
  write->request.segments = {&write->segment, 1};
  STRATA_RETURN_IF_ERROR(Start(std::move(write), "a write to the device"));
  Poll();
  return failure_;
}

absl::Status AppendQueue::Discard(block::Lba lba, uint32_t block_count) {
  auto write = std::make_unique<Write>();
  write->request.op = block::Op::kDiscard;
  write->request.lba = lba;
  write->request.block_count = block_count;
  return Start(std::move(write), "a discard on the device");
}

void AppendQueue::Poll() {
  channel_->Poll(kMaxInFlight);
  while (!in_flight_.empty() && in_flight_.front()->done) {
    std::unique_ptr<Write> write = std::move(in_flight_.front());
    in_flight_.pop_front();
    const bool gives_back = write->buffer.size() == 0;
    if (!gives_back && !write->request.status.ok()) {
      (void)Fail("a write to the device", write->request.status);
    } else if (failure_.ok()) {
      completed_ = write->position;
    }
    if (!gives_back && idle_writes_.size() < kMaxIdleWrites) {
      idle_writes_.push_back(std::move(write));
    }
    changed_.NotifyAll();
  }
}

absl::Status AppendQueue::WaitForCompletion() {
  Mutex& mutex = *options_.mutex;
  mutex.AssertHeld();
  Poll();
  if (!failure_.ok() || in_flight_.empty()) return failure_;
  if (sleeping_) {
    changed_.Wait(&mutex);
    return failure_;
  }
  sleeping_ = true;
  mutex.Unlock();
  struct pollfd event = {.fd = event_fd_, .events = POLLIN, .revents = 0};
  poll(&event, 1, kSleepMs);
  mutex.Lock();
  sleeping_ = false;
  Poll();
  changed_.NotifyAll();
  return failure_;
}

absl::Status AppendQueue::WaitDurable(uint64_t position, bool* flushed) {
  Mutex& mutex = *options_.mutex;
  mutex.AssertHeld();
  while (durable_ < position) {
    STRATA_RETURN_IF_ERROR(failure_);
    if (flushing_) {
      changed_.Wait(&mutex);
      continue;
    }
    flushing_ = true;
    const uint64_t target = staged_;
    absl::Status status = Submit();
    while (status.ok() && completed_ < target) status = WaitForCompletion();
    if (status.ok()) {
      mutex.Unlock();
      status = block::FlushBlocking(*flush_channel_);
      flushes_.fetch_add(1, std::memory_order_relaxed);
      *flushed = true;
      mutex.Lock();
      if (status.ok() && failure_.ok()) {
        durable_ = std::max(durable_, target);
        options_.on_durable(durable_);
      } else if (!status.ok()) {
        status = Fail("a flush of the device", status);
      }
    }
    flushing_ = false;
    changed_.NotifyAll();
  }
  return absl::OkStatus();
}

}  // namespace strata::dedup
