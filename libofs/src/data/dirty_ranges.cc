// SPDX-License-Identifier: Apache-2.0
#include "data/dirty_ranges.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace strata::ofs {

void DirtyRanges::Write(uint64_t offset, std::span<const std::byte> data) {
  if (data.empty()) return;
  const uint64_t end = offset + data.size();
  auto before = pieces_.upper_bound(offset);
  if (before != pieces_.begin()) {
    before = std::prev(before);
    std::vector<std::byte>& piece = before->second;
    const uint64_t piece_end = before->first + piece.size();
    if (end <= piece_end) {
      std::memcpy(piece.data() + (offset - before->first), data.data(), data.size());
      return;
    }
    const auto next = std::next(before);
    const bool is_free = next == pieces_.end() || next->first >= end;
    if (offset == piece_end && is_free && piece.size() + data.size() <= kMaxPieceBytes) {
      piece.insert(piece.end(), data.begin(), data.end());
      size_bytes_ += data.size();
      return;
    }
  }
  Erase(offset, end);
  pieces_.emplace(offset, std::vector<std::byte>(data.begin(), data.end()));
  size_bytes_ += data.size();
}

void DirtyRanges::Erase(uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  auto at = pieces_.upper_bound(begin);
  if (at != pieces_.begin() && std::prev(at)->first + std::prev(at)->second.size() > begin) --at;
  while (at != pieces_.end() && at->first < end) {
    const uint64_t piece_begin = at->first;
    std::vector<std::byte> piece = std::move(at->second);
    const uint64_t piece_end = piece_begin + piece.size();
    size_bytes_ -= piece.size();
    at = pieces_.erase(at);
    if (piece_end > end) {
      const auto rest = piece.begin() + static_cast<ptrdiff_t>(end - piece_begin);
      at = pieces_.emplace(end, std::vector<std::byte>(rest, piece.end())).first;
      size_bytes_ += piece_end - end;
    }
    if (piece_begin < begin) {
      piece.resize(begin - piece_begin);
      size_bytes_ += piece.size();
      pieces_.emplace(piece_begin, std::move(piece));
    }
  }
}

void DirtyRanges::PutBelow(const DirtyRanges& older) {
  for (const auto& [offset, bytes] : older.pieces_) {
    std::vector<std::byte> copy(bytes.size());
    std::vector<std::pair<uint64_t, uint64_t>> gaps;
    Read(offset, copy, [&](uint64_t begin, uint64_t end) { gaps.emplace_back(begin, end); });
    for (const auto& [begin, end] : gaps) {
      Write(begin, std::span(bytes).subspan(begin - offset, end - begin));
    }
  }
}

void DirtyRanges::Read(uint64_t offset, std::span<std::byte> out,
                       const std::function<void(uint64_t, uint64_t)>& absent) const {
  const uint64_t end = offset + out.size();
  auto at = pieces_.upper_bound(offset);
  if (at != pieces_.begin() && std::prev(at)->first + std::prev(at)->second.size() > offset) --at;
  uint64_t done = offset;
  for (; at != pieces_.end() && at->first < end; ++at) {
    const uint64_t from = std::max(at->first, offset);
    const uint64_t to = std::min(at->first + at->second.size(), end);
    if (done < from) absent(done, from);
    std::memcpy(out.data() + (from - offset), at->second.data() + (from - at->first), to - from);
    done = to;
  }
  if (done < end) absent(done, end);
}

}  // namespace strata::ofs
