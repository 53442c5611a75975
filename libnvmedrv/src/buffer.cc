// SPDX-License-Identifier: Apache-2.0
#include "strata/block/buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "strata/base/check.h"

namespace strata::block {
namespace {

constexpr size_t kHugePageBytes = 2u << 20;

}  // namespace

Buffer::Buffer(size_t size_bytes, size_t alignment_bytes)
    : Buffer(ForOverwrite(size_bytes, alignment_bytes)) {
  if (size_bytes != 0) std::memset(data(), 0, size_bytes);
}

Buffer Buffer::ForOverwrite(size_t size_bytes, size_t alignment_bytes) {
  STRATA_CHECK((alignment_bytes & (alignment_bytes - 1)) == 0 && alignment_bytes >= 1,
               "buffer alignment is not a power of two");
  Buffer buffer;
  if (size_bytes == 0) return buffer;
  const bool huge = size_bytes >= kHugePageBytes;
  if (huge) alignment_bytes = std::max(alignment_bytes, kHugePageBytes);
  const size_t rounded_bytes =
      (size_bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
  void* memory = std::aligned_alloc(alignment_bytes, rounded_bytes);
  STRATA_CHECK(memory != nullptr, "out of memory for a block buffer");
  // A hint: without it requests only have more segments.
  if (huge) (void)madvise(memory, rounded_bytes, MADV_HUGEPAGE);
  buffer.data_.reset(static_cast<std::byte*>(memory));
  buffer.size_bytes_ = size_bytes;
  return buffer;
}

void Buffer::Free::operator()(std::byte* data) const { std::free(data); }

}  // namespace strata::block
