// SPDX-License-Identifier: Apache-2.0
#include "body_memory.h"

#include <algorithm>
#include <utility>

#include "strata/base/check.h"

namespace strata::s3 {
namespace {

// Kept for the next who asks: 256 KiB anew costs 64 page faults.
constexpr size_t kMaxSpareBuffers = 16;

}  // namespace

BodyMemory::Buffer::Buffer(Buffer&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      data_(std::move(other.data_)),
      size_bytes_(std::exchange(other.size_bytes_, 0)) {}

BodyMemory::Buffer& BodyMemory::Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Release();
    owner_ = std::exchange(other.owner_, nullptr);
    data_ = std::move(other.data_);
    size_bytes_ = std::exchange(other.size_bytes_, 0);
  }
  return *this;
}

void BodyMemory::Buffer::Release() {
  if (owner_ != nullptr) owner_->GiveBack(std::move(data_), size_bytes_);
  owner_ = nullptr;
  size_bytes_ = 0;
}

BodyMemory::BodyMemory(size_t limit_bytes) : limit_bytes_(limit_bytes) {
  STRATA_CHECK(limit_bytes >= kFullBytes, "body memory must hold one buffer");
}

BodyMemory::~BodyMemory() {
  MutexLock lock(&mutex_);
  STRATA_CHECK(used_bytes_ == 0, "body memory is still in use");
}

BodyMemory::Buffer BodyMemory::TryTake(size_t size_bytes) {
  STRATA_CHECK(size_bytes <= kFullBytes, "a body buffer is too large");
  std::unique_ptr<std::byte[]> data;
  {
    MutexLock lock(&mutex_);
    if (used_bytes_ + size_bytes > limit_bytes_) return {};
    used_bytes_ += size_bytes;
    if (size_bytes == kFullBytes && !spare_.empty()) {
      data = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  return Make(std::move(data), size_bytes);
}

BodyMemory::Buffer BodyMemory::Take(size_t size_bytes) {
  Buffer buffer = TryTake(size_bytes);
  if (buffer) return buffer;
  size_bytes = std::min(size_bytes, kLeastBytes);
  {
    MutexLock lock(&mutex_);
    used_bytes_ += size_bytes;
  }
  return Make(nullptr, size_bytes);
}

BodyMemory::Buffer BodyMemory::Make(std::unique_ptr<std::byte[]> data, size_t size_bytes) {
  Buffer buffer;
  buffer.data_ = std::move(data);
  if (buffer.data_ == nullptr) buffer.data_.reset(new std::byte[size_bytes]);
  buffer.owner_ = this;
  buffer.size_bytes_ = size_bytes;
  return buffer;
}

void BodyMemory::GiveBack(std::unique_ptr<std::byte[]> data, size_t size_bytes) {
  MutexLock lock(&mutex_);
  used_bytes_ -= size_bytes;
  if (size_bytes == kFullBytes && spare_.size() < kMaxSpareBuffers) {
    spare_.push_back(std::move(data));
  }
}

size_t BodyMemory::used_bytes() const {
  MutexLock lock(&mutex_);
  return used_bytes_;
}

}  // namespace strata::s3
