// SPDX-License-Identifier: Apache-2.0
#include "reading/device_io.h"

#include <algorithm>
#include <cstring>

#include "format/layout.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"

namespace strata::dedup {
namespace {

constexpr size_t kMaxIdleChannels = 16;

constexpr int kPollBatch = 32;
constexpr uint32_t kQueueDepth = 32;

size_t BufferAlignment(const block::Device& device) {
  return std::max<size_t>(device.geometry().buffer_alignment_bytes, 4096);
}

}  // namespace

DeviceIo::DeviceIo(block::Device* device) : device_(device), buffers_(BufferAlignment(*device)) {}

absl::StatusOr<std::unique_ptr<block::Channel>> DeviceIo::Borrow() {
  {
    MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<block::Channel> channel = std::move(idle_.back());
      idle_.pop_back();
      return channel;
    }
  }
  return device_->OpenChannel({.queue_depth = kQueueDepth});
}

void DeviceIo::GiveBack(std::unique_ptr<block::Channel> channel) {
  MutexLock lock(&mutex_);
  if (idle_.size() < kMaxIdleChannels) idle_.push_back(std::move(channel));
}

absl::Status DeviceIo::WithChannel(const ChannelCall& call) {
  if (shared_mutex_.TryLock()) {
    absl::Status status = WithSharedChannel(call);
    shared_mutex_.Unlock();
    return status;
  }
  absl::StatusOr<std::unique_ptr<block::Channel>> channel = Borrow();
  if (absl::IsResourceExhausted(channel.status())) return InTurn(call);
  STRATA_RETURN_IF_ERROR(channel.status());
  absl::Status status = call(**channel);
  GiveBack(*std::move(channel));
  return status;
}

absl::Status DeviceIo::InTurn(const ChannelCall& call) {
  MutexLock lock(&shared_mutex_);
  return WithSharedChannel(call);
}

absl::Status DeviceIo::WithSharedChannel(const ChannelCall& call) {
  if (shared_ == nullptr) {
    STRATA_ASSIGN_OR_RETURN(shared_, Borrow());
  }
  return call(*shared_);
}

absl::StatusOr<DeviceBytes> DeviceIo::Read(uint64_t offset_bytes, size_t size_bytes) {
  const uint32_t block_bytes = device_->geometry().block_size_bytes;
  const uint64_t begin = AlignDown(offset_bytes, block_bytes);
  const uint64_t end = AlignUp(offset_bytes + size_bytes, block_bytes);
  DeviceBytes bytes(&buffers_, buffers_.Take(end - begin), offset_bytes - begin, size_bytes);
  read_bytes_.fetch_add(end - begin, std::memory_order_relaxed);
  STRATA_RETURN_IF_ERROR(WithChannel([&](block::Channel& channel) {
    return block::ReadBlocking(channel, block::Lba{begin / block_bytes},
                               bytes.buffer_.span().first(end - begin));
  }));
  return bytes;
}

absl::StatusOr<DeviceBytes> DeviceIo::ReadByBlock(uint64_t offset_bytes, size_t size_bytes) {
  const uint32_t block_bytes = device_->geometry().block_size_bytes;
  const uint64_t begin = AlignDown(offset_bytes, block_bytes);
  const uint64_t end = AlignUp(offset_bytes + size_bytes, block_bytes);
  DeviceBytes bytes(&buffers_, buffers_.Take(end - begin), offset_bytes - begin, size_bytes);
  std::byte* const blocks = bytes.buffer_.data();
  std::memset(blocks, 0, end - begin);
  absl::Status failed;
  bool any = false;
  for (uint64_t at = begin; at < end; at += block_bytes) {
    const absl::StatusOr<DeviceBytes> block = Read(at, block_bytes);
    if (!block.ok()) {
      failed = block.status();
      continue;
    }
    any = true;
    std::memcpy(blocks + (at - begin), block->span().data(), block_bytes);
  }
  if (!any) return failed;
  return bytes;
}

absl::Status DeviceIo::Write(uint64_t offset_bytes, std::span<const std::byte> data) {
  const uint32_t block_bytes = device_->geometry().block_size_bytes;
  STRATA_CHECK(offset_bytes % block_bytes == 0 && data.size() % block_bytes == 0, "whole blocks");
  const block::Buffer buffer = block::Buffer::ForOverwrite(data.size(), BufferAlignment(*device_));
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

DeviceReads::~DeviceReads() {
  if (channel_ == nullptr) return;
  while (channel_->in_flight() > 0) block::PollOrSleep(*channel_);
  io_->GiveBack(std::move(channel_));
}

std::shared_ptr<const DeviceRead> DeviceReads::Start(uint64_t offset_bytes, size_t size_bytes) {
  const block::Geometry& geometry = io_->device().geometry();
  const uint64_t begin = AlignDown(offset_bytes, geometry.block_size_bytes);
  const uint64_t end = AlignUp(offset_bytes + size_bytes, geometry.block_size_bytes);
  const size_t whole_bytes = end - begin;
  io_->read_bytes_.fetch_add(whole_bytes, std::memory_order_relaxed);
  auto read = std::make_shared<DeviceRead>();
  read->bytes_ = DeviceBytes(&io_->buffers_, io_->buffers_.Take(whole_bytes), offset_bytes - begin,
                             size_bytes);
  std::byte* const blocks = read->bytes_.buffer_.data();
  const size_t most_bytes = geometry.max_transfer_bytes;
  for (size_t at = 0; at < whole_bytes; at += most_bytes) {
    read->segments_.push_back({blocks + at, std::min(most_bytes, whole_bytes - at)});
  }
  read->requests_.resize(read->segments_.size());
  for (size_t i = 0; i < read->requests_.size(); ++i) {
    block::Request& request = read->requests_[i];
    request.op = block::Op::kRead;
    request.lba = block::Lba{(begin + i * most_bytes) / geometry.block_size_bytes};
    request.block_count =
        static_cast<uint32_t>(read->segments_[i].size_bytes / geometry.block_size_bytes);
    request.segments = {&read->segments_[i], 1};
    request.context = read.get();
    request.done = [](block::Request* done) {
      auto* const of = static_cast<DeviceRead*>(done->context);
      if (of->status_.ok()) of->status_ = done->status;
      ++of->requests_done_;
    };
  }
  Submit(read.get());
  under_way_.push_back(read);
  return read;
}

absl::Status DeviceReads::ReadSegments(block::Channel& channel, const DeviceRead& read) {
  for (const block::Request& request : read.requests_) {
    const block::Segment& segment = request.segments[0];
    STRATA_RETURN_IF_ERROR(
        block::ReadBlocking(channel, request.lba, {segment.data, segment.size_bytes}));
  }
  return absl::OkStatus();
}

void DeviceReads::Submit(DeviceRead* read) {
  if (channel_ == nullptr) {
    absl::StatusOr<std::unique_ptr<block::Channel>> channel = io_->Borrow();
    if (!channel.ok()) {
      read->status_ =
          absl::IsResourceExhausted(channel.status())
              ? io_->InTurn([read](block::Channel& shared) { return ReadSegments(shared, *read); })
              : channel.status();
      read->requests_done_ = read->requests_.size();
      return;
    }
    channel_ = *std::move(channel);
  }
  for (block::Request& request : read->requests_) {
    absl::Status status = channel_->Submit(&request);
    while (absl::IsResourceExhausted(status) && channel_->in_flight() > 0) {
      block::PollOrSleep(*channel_);
      status = channel_->Submit(&request);
    }
    if (status.ok()) continue;
    if (read->status_.ok()) read->status_ = status;
    ++read->requests_done_;
  }
}

void DeviceReads::Poll() {
  if (under_way_.empty()) return;
  while (channel_ != nullptr && channel_->Poll(kPollBatch) == kPollBatch) {
  }
  std::erase_if(under_way_, [](const auto& read) { return read->done(); });
}

void DeviceReads::WaitFor(const DeviceRead& read) {
  while (!read.done()) block::PollOrSleep(*channel_);
}

}  // namespace strata::dedup
