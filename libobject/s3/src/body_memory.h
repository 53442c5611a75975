// SPDX-License-Identifier: Apache-2.0
//
// The memory in which object content waits between sockets and the store, all connections together.
// Who finds none waits, and its socket is not read meanwhile: that is the back-pressure.
// A session that needs several buffers must hold none while it waits, or sessions could wait for
// each other: take the first with WhenFree(), more only with TryTake().
//
// Thread-safe. Buffers may be destroyed in any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "strata/base/mutex.h"

namespace strata::s3 {

class BodyMemory final {
 public:
  // The size that moves content well: few hand-overs, and still in the cache.
  static constexpr size_t kFullBytes = 256 << 10;

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
  ~BodyMemory();  // REQUIRES: no buffer is out, nobody waits.

  // Of `size_bytes`, at most kFullBytes; its content is not set. An empty Buffer: none is free now.
  Buffer TryTake(size_t size_bytes);

  // Runs `retry` once, in some thread, when TryTake() may have become possible.
  void WhenFree(absl::AnyInvocable<void()> retry);

  size_t used_bytes() const;

 private:
  void GiveBack(std::unique_ptr<std::byte[]> data, size_t size_bytes);

  const size_t limit_bytes_;
  mutable Mutex mutex_;
  size_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<std::byte[]>> spare_ ABSL_GUARDED_BY(mutex_);  // Full ones.
  std::vector<absl::AnyInvocable<void()>> waiters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::s3
