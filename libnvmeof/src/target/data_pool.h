// SPDX-License-Identifier: Apache-2.0
//
// A worker's memory for the data of commands: a fixed amount, taken at once for a whole command and
// given back at its end, without allocation.
//
//   bool held_others = false;
//   if (!pool.Take(size_bytes, owner, segments, &held_others)) Wait();
//   ...
//   pool.Give(segments);
//
// Memory comes in chunks of 64 KiB. What needs at most 32 KiB is made of pages of 4 KiB, which are
// cut from chunks and become chunks again when all of one are free. The pool knows for each page
// who had it last: nobody may be shown what others left there.
//
// Thread safety: none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "strata/block/buffer.h"
#include "strata/block/device.h"

namespace strata::nvmeof {

class DataPool final {
 public:
  static constexpr size_t kPageBytes = 4096;
  static constexpr size_t kChunkBytes = 64 << 10;
  static constexpr size_t kMaxPagedBytes = 32 << 10;

  // How many segments a piece of memory of `size_bytes` has.
  static constexpr size_t SegmentCount(size_t size_bytes) {
    const size_t unit = size_bytes <= kMaxPagedBytes ? kPageBytes : kChunkBytes;
    return (size_bytes + unit - 1) / unit;
  }
  // How much of the pool it takes.
  static constexpr size_t TakenBytes(size_t size_bytes) {
    return SegmentCount(size_bytes) * (size_bytes <= kMaxPagedBytes ? kPageBytes : kChunkBytes);
  }

  // REQUIRES: a multiple of kChunkBytes.
  explicit DataPool(size_t size_bytes);

  // Fills the first SegmentCount(size_bytes) of `segments` with size_bytes in all, for `owner` (0:
  // nobody known). *held_others: some of it was never used, or not by this owner. False: there is
  // not so much, and nothing was taken.
  bool Take(size_t size_bytes, uint64_t owner, std::span<block::Segment> segments,
            bool* held_others);
  // Gives back what one Take() returned.
  void Give(std::span<const block::Segment> segments);

  size_t size_bytes() const { return memory_.size(); }
  size_t free_bytes() const;

 private:
  static constexpr size_t kPagesPerChunk = kChunkBytes / kPageBytes;
  static constexpr uint32_t kNone = UINT32_MAX;

  // A chunk that is cut into pages stands in a list of those that have free ones.
  struct Chunk {
    uint16_t free_pages = 0;  // A bit each. Of a chunk that is cut.
    bool is_cut = false;
    uint32_t previous = kNone;
    uint32_t next = kNone;
  };

  bool TakePage(std::byte** page);
  void GivePage(std::byte* page);
  void Link(uint32_t chunk);
  void Unlink(uint32_t chunk);
  uint32_t ChunkOf(const std::byte* at) const {
    return static_cast<uint32_t>(static_cast<size_t>(at - memory_.data()) / kChunkBytes);
  }

  block::Buffer memory_;
  std::vector<Chunk> chunks_;
  std::vector<uint64_t> owners_;  // Of each page, the last one. 0: nobody known.
  std::vector<uint32_t> free_chunks_;
  uint32_t first_cut_ = kNone;
  size_t free_page_count_ = 0;  // In chunks that are cut.
};

}  // namespace strata::nvmeof
