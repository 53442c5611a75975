// SPDX-License-Identifier: Apache-2.0
//
// Memory that reads land in. Large buffers are mappings, since on a heap their many sizes leave
// holes that nothing fits into, and a fresh mapping costs a page fault for every 4 KiB: so some of
// those that are given back are kept for the next read.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <vector>

#include "strata/base/mutex.h"
#include "strata/block/buffer.h"

namespace strata::dedup {

class ReadBuffers final {
 public:
  // Of this size and more they are kept.
  static constexpr size_t kLargeBytes = 256u << 10;
  static constexpr size_t kMaxIdleBytes = 16u << 20;

  explicit ReadBuffers(size_t alignment_bytes) : alignment_bytes_(alignment_bytes) {}

  // At least so long, and less than twice as long; holds whatever was there before.
  block::Buffer Take(size_t size_bytes);
  void GiveBack(block::Buffer buffer);

  size_t idle_bytes() const;

 private:
  const size_t alignment_bytes_;
  mutable Mutex mutex_;
  std::vector<block::Buffer> idle_ ABSL_GUARDED_BY(mutex_);
  size_t idle_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace strata::dedup
