// SPDX-License-Identifier: Apache-2.0
//
// Memory that any device accepts: aligned to a page (or more). A buffer of 256 KiB or more is a
// mapping of its own, which goes back to the system as it is freed: on a heap, such buffers of many
// sizes leave holes that nothing fits into. Two megabytes and more lie in huge pages where the
// kernel has some: what the device transfers then is in few segments.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "strata/base/export.h"

namespace strata::block {

class STRATA_EXPORT Buffer {
 public:
  Buffer() = default;
  // Zero-filled. REQUIRES: alignment_bytes is a power of two.
  explicit Buffer(size_t size_bytes, size_t alignment_bytes = 4096);
  // Whatever was there before: for memory that is written before it is read.
  static Buffer ForOverwrite(size_t size_bytes, size_t alignment_bytes = 4096);
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;

  std::byte* data() const { return data_.get(); }
  size_t size() const { return size_bytes_; }
  std::span<std::byte> span() const { return {data_.get(), size_bytes_}; }

 private:
  struct Free {
    Free() : mapped_bytes(0) {}
    explicit Free(size_t bytes) : mapped_bytes(bytes) {}
    void operator()(std::byte* data) const;
    size_t mapped_bytes;  // 0: from the heap.
  };
  std::unique_ptr<std::byte[], Free> data_;
  size_t size_bytes_ = 0;
};

}  // namespace strata::block
