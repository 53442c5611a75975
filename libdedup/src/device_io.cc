// SPDX-License-Identifier: Apache-2.0
#include "device_io.h"

#include <algorithm>
#include <cstring>

#include "layout.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"

namespace strata::dedup {
namespace {

constexpr size_t kMostIdleChannels = 16;

block::Buffer MakeBuffer(const block::Geometry& geometry, size_t size_bytes) {
  return block::Buffer(size_bytes, std::max<size_t>(geometry.buffer_alignment_bytes, 4096));
}

}  // namespace

absl::Status DeviceIo::WithChannel(const ChannelCall& call) {
  std::unique_ptr<block::Channel> channel;
  {
    MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      channel = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (channel == nullptr) {
    STRATA_ASSIGN_OR_RETURN(channel, device_->OpenChannel({.queue_depth = 32}));
  }
  absl::Status status = call(*channel);
  MutexLock lock(&mutex_);
  if (idle_.size() < kMostIdleChannels) idle_.push_back(std::move(channel));
  return status;
}

absl::StatusOr<DeviceBytes> DeviceIo::Read(uint64_t offset_bytes, size_t size_bytes) {
  const uint32_t block_bytes = device_->geometry().block_size_bytes;
  const uint64_t begin = AlignDown(offset_bytes, block_bytes);
  const uint64_t end = AlignUp(offset_bytes + size_bytes, block_bytes);
  block::Buffer buffer = MakeBuffer(device_->geometry(), end - begin);
  STRATA_RETURN_IF_ERROR(WithChannel([&](block::Channel& channel) {
    return block::ReadBlocking(channel, block::Lba{begin / block_bytes}, buffer.span());
  }));
  return DeviceBytes(std::move(buffer), offset_bytes - begin, size_bytes);
}

absl::Status DeviceIo::Write(uint64_t offset_bytes, std::span<const std::byte> data) {
  const uint32_t block_bytes = device_->geometry().block_size_bytes;
  STRATA_CHECK(offset_bytes % block_bytes == 0 && data.size() % block_bytes == 0, "whole blocks");
  const block::Buffer buffer = MakeBuffer(device_->geometry(), data.size());
  std::memcpy(buffer.data(), data.data(), data.size());
  return WithChannel([&](block::Channel& channel) {
    return block::WriteBlocking(channel, block::Lba{offset_bytes / block_bytes}, buffer.span());
  });
}

absl::Status DeviceIo::Flush() {
  return WithChannel([](block::Channel& channel) { return block::FlushBlocking(channel); });
}

absl::Status DeviceIo::Erase(uint64_t offset_bytes, uint64_t size_bytes) {
  const uint32_t block_bytes = device_->geometry().block_size_bytes;
  STRATA_CHECK(offset_bytes % block_bytes == 0 && size_bytes % block_bytes == 0, "whole blocks");
  if (device_->geometry().supports_discard) {
    return WithChannel([&](block::Channel& channel) {
      return block::DiscardBlocking(channel, block::Lba{offset_bytes / block_bytes},
                                    size_bytes / block_bytes);
    });
  }
  return Write(offset_bytes, std::vector<std::byte>(block_bytes));
}

}  // namespace strata::dedup
