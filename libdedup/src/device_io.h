// SPDX-License-Identifier: Apache-2.0
//
// Blocking I/O at byte offsets of the device for everything but the container log. Each call
// borrows a channel of its own.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/mutex.h"
#include "strata/block/buffer.h"
#include "strata/block/device.h"

namespace strata::dedup {

// Bytes as they came off the device, which reads whole blocks.
class DeviceBytes final {
 public:
  DeviceBytes() = default;
  DeviceBytes(block::Buffer buffer, size_t skip_bytes, size_t size_bytes)
      : buffer_(std::move(buffer)), skip_bytes_(skip_bytes), size_bytes_(size_bytes) {}
  std::span<const std::byte> span() const {
    return buffer_.span().subspan(skip_bytes_, size_bytes_);
  }

 private:
  block::Buffer buffer_;
  size_t skip_bytes_ = 0;
  size_t size_bytes_ = 0;
};

class DeviceIo final {
 public:
  explicit DeviceIo(block::Device* device) : device_(device) {}

  absl::StatusOr<DeviceBytes> Read(uint64_t offset_bytes, size_t size_bytes);

  // REQUIRES: whole blocks at a multiple of the block size.
  absl::Status Write(uint64_t offset_bytes, std::span<const std::byte> data);
  absl::Status Flush();

  // Makes the range read as zeroes at its front, and gives the rest back where the device can.
  absl::Status Erase(uint64_t offset_bytes, uint64_t size_bytes);

  block::Device& device() const { return *device_; }

 private:
  using ChannelCall = std::function<absl::Status(block::Channel& channel)>;
  absl::Status WithChannel(const ChannelCall& call);

  block::Device* const device_;
  Mutex mutex_;
  std::vector<std::unique_ptr<block::Channel>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::dedup
