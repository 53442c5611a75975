// SPDX-License-Identifier: Apache-2.0
#include "body_memory.h"

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
  STRATA_CHECK(used_bytes_ == 0 && waiters_.empty(), "body memory is still in use");
}

BodyMemory::Buffer BodyMemory::TryTake(size_t size_bytes) {
  STRATA_CHECK(size_bytes <= kFullBytes, "a body buffer is too large");
  Buffer buffer;
  {
    MutexLock lock(&mutex_);
    if (size_bytes > limit_bytes_ - used_bytes_) return buffer;
    used_bytes_ += size_bytes;
    if (size_bytes == kFullBytes && !spare_.empty()) {
      buffer.data_ = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  if (buffer.data_ == nullptr) buffer.data_.reset(new std::byte[size_bytes]);
  buffer.owner_ = this;
  buffer.size_bytes_ = size_bytes;
  return buffer;
}

void BodyMemory::WhenFree(absl::AnyInvocable<void()> retry) {
  {
    MutexLock lock(&mutex_);
    if (used_bytes_ > limit_bytes_ - kFullBytes) {
      waiters_.push_back(std::move(retry));
      return;
    }
  }
  retry();
}

void BodyMemory::GiveBack(std::unique_ptr<std::byte[]> data, size_t size_bytes) {
  std::vector<absl::AnyInvocable<void()>> waiters;
  {
    MutexLock lock(&mutex_);
    used_bytes_ -= size_bytes;
    if (size_bytes == kFullBytes && spare_.size() < kMaxSpareBuffers) {
      spare_.push_back(std::move(data));
    }
    if (!waiters_.empty() && used_bytes_ <= limit_bytes_ - kFullBytes)
      waiters = std::move(waiters_);
  }
  for (absl::AnyInvocable<void()>& retry : waiters) retry();
}

size_t BodyMemory::used_bytes() const {
  MutexLock lock(&mutex_);
  return used_bytes_;
}

}  // namespace strata::s3
