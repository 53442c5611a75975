// SPDX-License-Identifier: Apache-2.0
#include "reading/read_buffers.h"

#include <utility>

#include "format/layout.h"

namespace strata::dedup {

block::Buffer ReadBuffers::Take(size_t size_bytes) {
  if (size_bytes < kLargeBytes) return block::Buffer::ForOverwrite(size_bytes, alignment_bytes_);
  {
    MutexLock lock(&mutex_);
    // The last one is the likeliest to be in the processor's caches.
    for (size_t i = idle_.size(); i-- > 0;) {
      if (idle_[i].size() < size_bytes || idle_[i].size() >= 2 * size_bytes) continue;
      block::Buffer found = std::move(idle_[i]);
      idle_.erase(idle_.begin() + static_cast<ptrdiff_t>(i));
      idle_bytes_ -= found.size();
      return found;
    }
  }
  return block::Buffer::ForOverwrite(AlignUp(size_bytes, kLargeBytes), alignment_bytes_);
}

void ReadBuffers::GiveBack(block::Buffer buffer) {
  if (buffer.size() < kLargeBytes || buffer.size() > kMaxIdleBytes) return;
  std::vector<block::Buffer> freed;  // Outside the lock.
  MutexLock lock(&mutex_);
  idle_bytes_ += buffer.size();
  idle_.push_back(std::move(buffer));
  while (idle_bytes_ > kMaxIdleBytes) {
    idle_bytes_ -= idle_.front().size();
    freed.push_back(std::move(idle_.front()));
    idle_.erase(idle_.begin());
  }
}

size_t ReadBuffers::idle_bytes() const {
  MutexLock lock(&mutex_);
  return idle_bytes_;
}

}  // namespace strata::dedup
