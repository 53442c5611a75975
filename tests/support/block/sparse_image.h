// SPDX-License-Identifier: Apache-2.0
//
// The content of a disk, of which only what was written takes memory. Copies are independent.
//
// Thread safety: none.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <unordered_map>

namespace strata::block {

class SparseImage {
 public:
  void Read(uint64_t offset_bytes, std::span<std::byte> to) const {
    Visit(offset_bytes, to.size(), [&](uint64_t page, size_t at, size_t from, size_t size) {
      const auto it = pages_.find(page);
      if (it == pages_.end()) {
        std::memset(to.data() + from, 0, size);
      } else {
        std::memcpy(to.data() + from, it->second.data() + at, size);
      }
    });
  }

  void Write(uint64_t offset_bytes, std::span<const std::byte> data) {
    Visit(offset_bytes, data.size(), [&](uint64_t page, size_t at, size_t from, size_t size) {
      std::memcpy(pages_[page].data() + at, data.data() + from, size);
    });
  }

  void Zero(uint64_t offset_bytes, uint64_t size_bytes) {
    Visit(offset_bytes, size_bytes, [&](uint64_t page, size_t at, size_t, size_t size) {
      const auto it = pages_.find(page);
      if (it == pages_.end()) return;
      if (size == kPageBytes) {
        pages_.erase(it);
      } else {
        std::memset(it->second.data() + at, 0, size);
      }
    });
  }

 private:
  static constexpr size_t kPageBytes = 4096;
  using Page = std::array<std::byte, kPageBytes>;

  // Calls visit(page, offset in the page, offset in the range, size) for each page of the range.
  template <typename F>
  static void Visit(uint64_t offset_bytes, uint64_t size_bytes, F visit) {
    for (uint64_t from = 0; from < size_bytes;) {
      const size_t at = (offset_bytes + from) % kPageBytes;
      const size_t size = std::min<uint64_t>(kPageBytes - at, size_bytes - from);
      visit((offset_bytes + from) / kPageBytes, at, from, size);
      from += size;
    }
  }

  std::unordered_map<uint64_t, Page> pages_;
};

}  // namespace strata::block
