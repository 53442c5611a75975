// SPDX-License-Identifier: Apache-2.0
//
// Walks several scatter lists side by side, in runs in which no list changes its piece. Used by one
// thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace strata::ec {

// PieceBytes: ConstBytes or Bytes.
template <typename PieceBytes>
class PieceWalk final {
 public:
  explicit PieceWalk(std::span<const std::span<const PieceBytes>> shards) {
    for (const std::span<const PieceBytes> pieces : shards) cursors_.push_back({pieces, 0});
    run_.resize(shards.size());
  }

  // The most bytes of the next run. REQUIRES: no list is at its end.
  size_t RunBytes() {
    size_t bytes = std::numeric_limits<size_t>::max();
    for (Cursor& cursor : cursors_) {
      while (cursor.used_bytes == cursor.pieces.front().size()) {
        cursor.pieces = cursor.pieces.subspan(1);
        cursor.used_bytes = 0;
      }
      bytes = std::min(bytes, cursor.pieces.front().size() - cursor.used_bytes);
    }
    return bytes;
  }

  // The next `size_bytes` of every list; valid until the next call. REQUIRES: size_bytes <=
  // RunBytes(), which has been called.
  std::span<const PieceBytes> Take(size_t size_bytes) {
    for (size_t i = 0; i < cursors_.size(); ++i) {
      run_[i] = cursors_[i].pieces.front().subspan(cursors_[i].used_bytes, size_bytes);
      cursors_[i].used_bytes += size_bytes;
    }
    return run_;
  }

 private:
  struct Cursor {
    std::span<const PieceBytes> pieces;
    size_t used_bytes;  // Of the first piece.
  };
  std::vector<Cursor> cursors_;
  std::vector<PieceBytes> run_;
};

}  // namespace strata::ec
