// SPDX-License-Identifier: Apache-2.0
#include "target/data_pool.h"

#include <algorithm>
#include <bit>

namespace strata::nvmeof {

static_assert(DataPool::kChunkBytes / DataPool::kPageBytes == 16, "a bit of 16 for each page");

DataPool::DataPool(size_t size_bytes)
    : memory_(size_bytes, kPageBytes),
      chunks_(size_bytes / kChunkBytes),
      owners_(size_bytes / kPageBytes) {
  free_chunks_.reserve(chunks_.size());
  // The lowest addresses are used first, so that memory that is never needed is never touched.
  for (size_t i = chunks_.size(); i > 0; --i) free_chunks_.push_back(static_cast<uint32_t>(i - 1));
}

size_t DataPool::free_bytes() const {
  return free_chunks_.size() * kChunkBytes + free_page_count_ * kPageBytes;
}

void DataPool::Link(uint32_t chunk) {
  chunks_[chunk].previous = kNone;
  chunks_[chunk].next = first_cut_;
  if (first_cut_ != kNone) chunks_[first_cut_].previous = chunk;
  first_cut_ = chunk;
}

void DataPool::Unlink(uint32_t chunk) {
  const Chunk& out = chunks_[chunk];
  (out.previous == kNone ? first_cut_ : chunks_[out.previous].next) = out.next;
  if (out.next != kNone) chunks_[out.next].previous = out.previous;
}

bool DataPool::TakePage(std::byte** page) {
  if (first_cut_ == kNone) {
    if (free_chunks_.empty()) return false;
    const uint32_t cut = free_chunks_.back();
    free_chunks_.pop_back();
    chunks_[cut].is_cut = true;
    chunks_[cut].free_pages = 0xffff;
    free_page_count_ += kPagesPerChunk;
    Link(cut);
  }
  Chunk& chunk = chunks_[first_cut_];
  const int index = std::countr_zero(chunk.free_pages);
  *page = memory_.data() + first_cut_ * kChunkBytes + static_cast<size_t>(index) * kPageBytes;
  chunk.free_pages = static_cast<uint16_t>(chunk.free_pages & (chunk.free_pages - 1));
  --free_page_count_;
  if (chunk.free_pages == 0) Unlink(first_cut_);
  return true;
}

void DataPool::GivePage(std::byte* page) {
  const uint32_t index = ChunkOf(page);
  Chunk& chunk = chunks_[index];
  if (chunk.free_pages == 0) Link(index);
  const size_t offset = static_cast<size_t>(page - memory_.data()) % kChunkBytes;
  chunk.free_pages = static_cast<uint16_t>(chunk.free_pages | 1u << (offset / kPageBytes));
  ++free_page_count_;
  if (chunk.free_pages != 0xffff) return;
  Unlink(index);
  chunk.is_cut = false;
  free_page_count_ -= kPagesPerChunk;
  free_chunks_.push_back(index);
}

bool DataPool::Take(size_t size_bytes, uint64_t owner, std::span<block::Segment> segments,
                    bool* held_others) {
  const bool is_paged = size_bytes <= kMaxPagedBytes;
  const size_t unit = is_paged ? kPageBytes : kChunkBytes;
  const size_t count = SegmentCount(size_bytes);
  if (is_paged ? free_bytes() < count * kPageBytes : free_chunks_.size() < count) return false;
  bool is_own = owner != 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t size = std::min(unit, size_bytes - i * unit);
    if (is_paged) {
      TakePage(&segments[i].data);
    } else {
      segments[i].data = memory_.data() + free_chunks_.back() * kChunkBytes;
      free_chunks_.pop_back();
    }
    segments[i].size_bytes = size;
    const size_t page = static_cast<size_t>(segments[i].data - memory_.data()) / kPageBytes;
    for (uint64_t& last : std::span(owners_).subspan(page, unit / kPageBytes)) {
      is_own = is_own && last == owner;
      last = owner;
    }
  }
  *held_others = !is_own;
  return true;
}

void DataPool::Give(std::span<const block::Segment> segments) {
  for (const block::Segment& segment : segments) {
    const uint32_t chunk = ChunkOf(segment.data);
    if (chunks_[chunk].is_cut) {
      GivePage(segment.data);
    } else {
      free_chunks_.push_back(chunk);
    }
  }
}

}  // namespace strata::nvmeof
