// SPDX-License-Identifier: Apache-2.0
//
// The memory in which object content waits between sockets and the store, all connections together.
// A connection has at most one buffer for the asking; while that is full its socket is not read:
// that is the back-pressure. More and larger ones come from a common budget that may be used up, by
// clients that stand still; then a buffer is small, and everybody else is slower but not held up.
//
// Thread-safe. Buffers may be destroyed in any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "strata/base/mutex.h"

namespace strata::s3 {

class BodyMemory final {
 public:
  // The size that moves content well: few hand-overs, and still in the cache.
  static constexpr size_t kFullBytes = 256 << 10;

  // What Take() gives beyond the budget.
  static constexpr size_t kLeastBytes = 8 << 10;

  class Buffer final {
   public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&& other) noexcept;
    ~Buffer() { Release(); }

    std::span<std::byte> bytes() const { return {data_.get(), size_bytes_}; }
    explicit operator bool() const { return owner_ != nullptr; }

   private:
    friend class BodyMemory;
    void Release();

    BodyMemory* owner_ = nullptr;
    std::unique_ptr<std::byte[]> data_;
    size_t size_bytes_ = 0;
  };

  // REQUIRES: limit_bytes >= kFullBytes.
  explicit BodyMemory(size_t limit_bytes);
  ~BodyMemory();  // REQUIRES: no buffer is out.

  // Of `size_bytes`, at most kFullBytes; its content is not set. An empty Buffer: the budget is
  // used up now.
  Buffer TryTake(size_t size_bytes);

  // The same, or a buffer of at most kLeastBytes when the budget is used up.
  // REQUIRES: the caller holds no other buffer, so that there are no more of these than
  // connections.
  Buffer Take(size_t size_bytes);

  size_t used_bytes() const;

 private:
  Buffer Make(std::unique_ptr<std::byte[]> data, size_t size_bytes);
  void GiveBack(std::unique_ptr<std::byte[]> data, size_t size_bytes);

  const size_t limit_bytes_;
  mutable Mutex mutex_;
  size_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // Over the limit by what Take() gave beyond it.
  std::vector<std::unique_ptr<std::byte[]>> spare_ ABSL_GUARDED_BY(mutex_);  // Full ones.
};

}  // namespace strata::s3
