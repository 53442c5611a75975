// SPDX-License-Identifier: Apache-2.0
#include "strata/block/buffer.h"

#include <cstdlib>
#include <cstring>

#include "strata/base/check.h"

namespace strata::block {

Buffer::Buffer(size_t size_bytes, size_t alignment_bytes) : size_bytes_(size_bytes) {
  STRATA_CHECK((alignment_bytes & (alignment_bytes - 1)) == 0 && alignment_bytes >= 1,
               "buffer alignment is not a power of two");
  if (size_bytes == 0) return;
  const size_t rounded_bytes =
      (size_bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
  void* memory = std::aligned_alloc(alignment_bytes, rounded_bytes);
  STRATA_CHECK(memory != nullptr, "out of memory for a block buffer");
  std::memset(memory, 0, rounded_bytes);
  data_.reset(static_cast<std::byte*>(memory));
}

void Buffer::Free::operator()(std::byte* data) const { std::free(data); }

}  // namespace strata::block
