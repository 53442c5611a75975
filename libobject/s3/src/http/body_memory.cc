// SPDX-License-Identifier: Apache-2.0
#include "http/body_memory.h"

#include <algorithm>
#include <utility>

#include "strata/base/check.h"

namespace strata::s3 {
namespace {

// Kept for the next session: a new buffer of 256 KiB costs 64 page faults.
constexpr size_t kMaxSpareBuffers = 16;

}  // namespace

BodyMemory::Claim& BodyMemory::Claim::operator=(Claim&& other) noexcept {
  if (this != &other) {
    Release();
    owner_ = std::exchange(other.owner_, nullptr);
    size_bytes_ = other.size_bytes_;
    use_ = other.use_;
    working_ = other.working_;
  }
  return *this;
}

void BodyMemory::Claim::Release() {
  if (owner_ != nullptr) owner_->GiveBack(size_bytes_, use_, working_);
  owner_ = nullptr;
}

BodyMemory::Buffer& BodyMemory::Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Release();
    owner_ = other.owner_;
    data_ = std::move(other.data_);
    size_bytes_ = std::exchange(other.size_bytes_, 0);
    claim_ = std::move(other.claim_);
  }
  return *this;
}

void BodyMemory::Buffer::Release() {
  if (claim_ && size_bytes_ == kFullBytes) owner_->Keep(std::move(data_));
  data_.reset();
  size_bytes_ = 0;
  claim_.Release();
}

BodyMemory::BodyMemory(size_t limit_bytes)
    : limit_bytes_(limit_bytes),
      share_bytes_{limit_bytes, std::max(limit_bytes / 2, kFullBytes),
                   std::max(limit_bytes / 4, kFullBytes)} {
  STRATA_CHECK(limit_bytes >= kFullBytes, "body memory must hold one buffer");
}

BodyMemory::~BodyMemory() {
  MutexLock lock(&mutex_);
  STRATA_CHECK(used_bytes_ == 0, "body memory is still in use");
}

bool BodyMemory::Fits(size_t size_bytes, Use use) const {
  const auto index = static_cast<size_t>(use);
  // Without this a document that is larger than its share would never be taken.
  if (use == Use::kDocument && used_by_use_[index] == 0) return true;
  return used_bytes_ + size_bytes <= limit_bytes_ &&
         used_by_use_[index] + size_bytes <= share_bytes_[index];
}

BodyMemory::Claim BodyMemory::Grant(size_t size_bytes, Use use, bool working) {
  used_bytes_ += size_bytes;
  used_by_use_[static_cast<size_t>(use)] += size_bytes;
  if (working) ++working_count_;
  return {this, size_bytes, use, working};
}

void BodyMemory::GiveBack(size_t size_bytes, Use use, bool working) {
  MutexLock lock(&mutex_);
  used_bytes_ -= size_bytes;
  used_by_use_[static_cast<size_t>(use)] -= size_bytes;
  if (working) --working_count_;
  work_ended_.NotifyAll();
}

BodyMemory::Claim BodyMemory::TryClaim(size_t size_bytes, Use use) {
  MutexLock lock(&mutex_);
  return Fits(size_bytes, use) ? Grant(size_bytes, use, /*working=*/false) : Claim();
}

BodyMemory::Claim BodyMemory::ForceClaim(size_t size_bytes, Use use) {
  MutexLock lock(&mutex_);
  return Grant(size_bytes, use, /*working=*/false);
}

BodyMemory::Claim BodyMemory::ClaimForWork(size_t size_bytes) {
  MutexLock lock(&mutex_);
  while (working_count_ > 0 && !Fits(size_bytes, Use::kContent)) work_ended_.Wait(&mutex_);
  return Grant(size_bytes, Use::kContent, /*working=*/true);
}

BodyMemory::Buffer BodyMemory::TryTake(size_t size_bytes, Use use) {
  STRATA_CHECK(size_bytes <= kFullBytes, "a body buffer is too large");
  Claim claim = TryClaim(size_bytes, use);
  return claim ? Make(std::move(claim)) : Buffer();
}

BodyMemory::Buffer BodyMemory::Take(size_t size_bytes) {
  Buffer buffer = TryTake(size_bytes);
  if (buffer) return buffer;
  return Make(ForceClaim(std::min(size_bytes, kMinBytes), Use::kContent));
}

BodyMemory::Buffer BodyMemory::Make(Claim claim) {
  Buffer buffer;
  if (claim.size_bytes_ == kFullBytes) {
    MutexLock lock(&mutex_);
    if (!spare_.empty()) {
      buffer.data_ = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  if (buffer.data_ == nullptr) buffer.data_.reset(new std::byte[claim.size_bytes_]);
  buffer.owner_ = this;
  buffer.size_bytes_ = claim.size_bytes_;
  buffer.claim_ = std::move(claim);
  return buffer;
}

void BodyMemory::Keep(std::unique_ptr<std::byte[]> data) {
  MutexLock lock(&mutex_);
  if (spare_.size() < kMaxSpareBuffers) spare_.push_back(std::move(data));
}

size_t BodyMemory::used_bytes() const {
  MutexLock lock(&mutex_);
  return used_bytes_;
}

}  // namespace strata::s3
