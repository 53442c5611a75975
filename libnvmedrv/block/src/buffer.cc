// SPDX-License-Identifier: Apache-2.0
#include "strata/block/buffer.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "strata/base/check.h"

namespace strata::block {
namespace {

constexpr size_t kMappedBytes = 256u << 10;
constexpr size_t kPageBytes = 4096;
constexpr size_t kHugePageBytes = 2u << 20;

// Zero-filled, aligned to a page.
std::byte* Map(size_t size_bytes) {
  void* const data = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  STRATA_CHECK(data != MAP_FAILED, "out of memory for a block buffer");
  return static_cast<std::byte*>(data);
}

// The same, aligned to a huge page.
std::byte* MapHuge(size_t size_bytes) {
  std::byte* const begin = Map(size_bytes + kHugePageBytes);
  const size_t before =
      (kHugePageBytes - reinterpret_cast<uintptr_t>(begin) % kHugePageBytes) % kHugePageBytes;
  std::byte* const data = begin + before;
  if (before > 0) (void)munmap(begin, before);
  if (before < kHugePageBytes) (void)munmap(data + size_bytes, kHugePageBytes - before);
  // A hint: without it requests only have more segments.
  (void)madvise(data, size_bytes, MADV_HUGEPAGE);
  return data;
}

}  // namespace

Buffer::Buffer(size_t size_bytes, size_t alignment_bytes)
    : Buffer(ForOverwrite(size_bytes, alignment_bytes)) {
  if (size_bytes != 0 && data_.get_deleter().mapped_bytes == 0) {
    std::memset(data(), 0, size_bytes);
  }
}

Buffer Buffer::ForOverwrite(size_t size_bytes, size_t alignment_bytes) {
  STRATA_CHECK((alignment_bytes & (alignment_bytes - 1)) == 0 && alignment_bytes >= 1,
               "buffer alignment is not a power of two");
  Buffer buffer;
  if (size_bytes == 0) return buffer;
  buffer.size_bytes_ = size_bytes;
  const bool huge = size_bytes >= kHugePageBytes && alignment_bytes <= kHugePageBytes;
  const size_t unit_bytes = huge ? kHugePageBytes : alignment_bytes;
  const size_t rounded_bytes = (size_bytes + unit_bytes - 1) / unit_bytes * unit_bytes;
  if (huge || (size_bytes >= kMappedBytes && alignment_bytes <= kPageBytes)) {
    const size_t mapped_bytes = (rounded_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    buffer.data_ = std::unique_ptr<std::byte[], Free>(
        huge ? MapHuge(mapped_bytes) : Map(mapped_bytes), Free{mapped_bytes});
    return buffer;
  }
  void* memory = std::aligned_alloc(alignment_bytes, rounded_bytes);
  STRATA_CHECK(memory != nullptr, "out of memory for a block buffer");
  buffer.data_.reset(static_cast<std::byte*>(memory));
  return buffer;
}

void Buffer::Free::operator()(std::byte* data) const {
  if (mapped_bytes == 0) {
    std::free(data);
  } else {
    (void)munmap(data, mapped_bytes);
  }
}

}  // namespace strata::block
