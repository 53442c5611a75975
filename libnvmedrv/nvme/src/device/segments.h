// SPDX-License-Identifier: Apache-2.0
//
// Copies between a command's scatter list and memory in one piece.
//
// Thread safety: pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "strata/block/device.h"

namespace strata::nvme {

template <typename Copy>
void EachPiece(std::span<const block::Segment> segments, size_t offset, size_t size, Copy copy) {
  size_t at = 0;
  for (const block::Segment& segment : segments) {
    if (size == 0) return;
    if (offset >= segment.size_bytes) {
      offset -= segment.size_bytes;
      continue;
    }
    const size_t part = std::min(segment.size_bytes - offset, size);
    copy(segment.data + offset, at, part);
    at += part;
    size -= part;
    offset = 0;
  }
}

// REQUIRES: the segments hold offset + to.size() bytes.
inline void Gather(std::span<const block::Segment> segments, size_t offset,
                   std::span<std::byte> to) {
  EachPiece(segments, offset, to.size(), [to](const std::byte* piece, size_t at, size_t size) {
    std::memcpy(to.data() + at, piece, size);
  });
}

// What does not fit is left out.
inline void Scatter(std::span<const std::byte> from, std::span<const block::Segment> segments) {
  EachPiece(segments, 0, from.size(), [from](std::byte* piece, size_t at, size_t size) {
    std::memcpy(piece, from.data() + at, size);
  });
}

inline size_t TotalBytes(std::span<const block::Segment> segments) {
  size_t total = 0;
  for (const block::Segment& segment : segments) total += segment.size_bytes;
  return total;
}

}  // namespace strata::nvme
