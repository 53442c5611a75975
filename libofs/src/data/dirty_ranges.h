// SPDX-License-Identifier: Apache-2.0
//
// Bytes of one file that are written and not on the disks yet.
//
// Thread safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

namespace strata::ofs {

class DirtyRanges final {
 public:
  // Neighbours are kept as one piece up to this size; sequential writing makes few of them.
  static constexpr size_t kMaxPieceBytes = 1u << 20;
  static constexpr size_t kPieceOverheadBytes = 128;

  // What was there before is overwritten.
  void Write(uint64_t offset, std::span<const std::byte> data);
  // Drops what lies in [begin, end).
  void Erase(uint64_t begin, uint64_t end);
  // Adds what is older: it counts only where nothing is.
  void PutBelow(const DirtyRanges& older);

  // Copies what there is of [offset, offset + out.size()), and calls `absent` with each range of
  // the file in it that is not here, in order.
  void Read(uint64_t offset, std::span<std::byte> out,
            const std::function<void(uint64_t begin, uint64_t end)>& absent) const;

  bool empty() const { return pieces_.empty(); }
  uint64_t size_bytes() const { return size_bytes_; }
  // With what each piece takes besides its bytes: single bytes far apart are dear.
  uint64_t memory_bytes() const { return size_bytes_ + pieces_.size() * kPieceOverheadBytes; }
  // By offset; they do not overlap, and may touch.
  const std::map<uint64_t, std::vector<std::byte>>& pieces() const { return pieces_; }

 private:
  std::map<uint64_t, std::vector<std::byte>> pieces_;
  uint64_t size_bytes_ = 0;
};

}  // namespace strata::ofs
