// SPDX-License-Identifier: Apache-2.0
//
// I/O at byte offsets of the device for everything but the container log: blocking calls, each of
// which borrows a channel of its own where the device has one left, and reads beside their caller.
//
// Thread safety: DeviceIo any thread, DeviceReads one at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "reading/read_buffers.h"
#include "strata/base/mutex.h"
#include "strata/block/buffer.h"
#include "strata/block/device.h"

namespace strata::dedup {

// Bytes as they came off the device, which reads whole blocks. REQUIRES: the DeviceIo they came
// through lives longer.
class DeviceBytes final {
 public:
  DeviceBytes() = default;
  DeviceBytes(ReadBuffers* buffers, block::Buffer buffer, size_t skip_bytes, size_t size_bytes)
      : buffers_(buffers),
        buffer_(std::move(buffer)),
        skip_bytes_(skip_bytes),
        size_bytes_(size_bytes) {}
  ~DeviceBytes() {
    if (buffers_ != nullptr) buffers_->GiveBack(std::move(buffer_));
  }
  DeviceBytes(DeviceBytes&& other) noexcept { *this = std::move(other); }
  DeviceBytes& operator=(DeviceBytes&& other) noexcept {
    std::swap(buffers_, other.buffers_);
    std::swap(buffer_, other.buffer_);
    std::swap(skip_bytes_, other.skip_bytes_);
    std::swap(size_bytes_, other.size_bytes_);
    return *this;
  }

  std::span<const std::byte> span() const {
    return buffer_.span().subspan(skip_bytes_, size_bytes_);
  }

 private:
  friend class DeviceIo;
  friend class DeviceReads;
  ReadBuffers* buffers_ = nullptr;
  block::Buffer buffer_;
  size_t skip_bytes_ = 0;
  size_t size_bytes_ = 0;
};

class DeviceIo final {
 public:
  explicit DeviceIo(block::Device* device);

  absl::StatusOr<DeviceBytes> Read(uint64_t offset_bytes, size_t size_bytes);

  // The same for a range of which a part does not read: those blocks are zeroes. The error is the
  // last block's where none reads.
  absl::StatusOr<DeviceBytes> ReadByBlock(uint64_t offset_bytes, size_t size_bytes);

  // REQUIRES: whole blocks at a multiple of the block size.
  absl::Status Write(uint64_t offset_bytes, std::span<const std::byte> data);
  absl::Status Flush();

  // Makes the range read as zeroes at its front, and gives the rest back where the device can.
  absl::Status Erase(uint64_t offset_bytes, uint64_t size_bytes);

  block::Device& device() const { return *device_; }
  uint64_t size_bytes() const {
    return device_->geometry().block_count * device_->geometry().block_size_bytes;
  }
  // Without what a thin device lacks at its end.
  uint64_t present_bytes() const { return size_bytes() - device_->geometry().absent_bytes; }
  uint64_t read_bytes() const { return read_bytes_.load(std::memory_order_relaxed); }

 private:
  friend class DeviceReads;
  // Lends a channel nobody uses.
  absl::StatusOr<std::unique_ptr<block::Channel>> Borrow();
  void GiveBack(std::unique_ptr<block::Channel> channel);

  using ChannelCall = std::function<absl::Status(block::Channel& channel)>;
  absl::Status WithChannel(const ChannelCall& call);
  // A device may have few channels, as a remote one has. Callers that find none left take turns on
  // one that is lent to nobody.
  absl::Status InTurn(const ChannelCall& call);
  absl::Status WithSharedChannel(const ChannelCall& call)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shared_mutex_);

  block::Device* const device_;
  ReadBuffers buffers_;
  std::atomic<uint64_t> read_bytes_{0};
  Mutex mutex_;
  std::vector<std::unique_ptr<block::Channel>> idle_ ABSL_GUARDED_BY(mutex_);
  Mutex shared_mutex_;
  std::unique_ptr<block::Channel> shared_ ABSL_GUARDED_BY(shared_mutex_);
};

// One read that was started.
class DeviceRead final {
 public:
  bool done() const { return requests_done_ == requests_.size(); }
  // REQUIRES: done().
  const absl::Status& status() const { return status_; }
  std::span<const std::byte> span() const { return bytes_.span(); }

 private:
  friend class DeviceReads;
  DeviceBytes bytes_;
  absl::Status status_;
  std::vector<block::Segment> segments_;
  std::vector<block::Request> requests_;
  size_t requests_done_ = 0;
};

// Reads side by side over a channel of their own.
class DeviceReads final {
 public:
  explicit DeviceReads(DeviceIo* io) : io_(io) {}
  ~DeviceReads();  // Waits for what is under way.
  DeviceReads(const DeviceReads&) = delete;
  DeviceReads& operator=(const DeviceReads&) = delete;

  // Begins a read, at the latest with the next Poll(); what is wrong with it is in its status.
  std::shared_ptr<const DeviceRead> Start(uint64_t offset_bytes, size_t size_bytes);

  void Poll();  // Takes note of what has completed.
  void WaitFor(const DeviceRead& read);

 private:
  void Submit(DeviceRead* read);
  static absl::Status ReadSegments(block::Channel& channel, const DeviceRead& read);

  DeviceIo* const io_;
  std::unique_ptr<block::Channel> channel_;
  std::vector<std::shared_ptr<DeviceRead>> under_way_;  // Keeps what the device writes to.
};

}  // namespace strata::dedup
