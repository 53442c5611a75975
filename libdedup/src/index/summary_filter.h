// SPDX-License-Identifier: Apache-2.0
//
// Says "certainly never stored" of most new chunks without asking the kv store. Layers of blocked
// Bloom filters, ten bits a key, one cache line per question and layer; a full layer is followed by
// one of twice its size, or by a third of all there is once that is much. Nothing is ever removed:
// what garbage collection dropped answers "perhaps" until the filter is filled again.
//
// The layers can be taken out and put back in pieces (saved_filter.h), and the filter knows which
// pieces changed since they were taken.
//
// Thread safety: none; the owner locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

class SummaryFilter final {
 public:
  struct LayerSize {
    uint64_t capacity = 0;  // Keys.
    uint64_t count = 0;
    friend bool operator==(const LayerSize&, const LayerSize&) = default;
  };
  // A run of lines of one layer; all but a layer's last have kPieceBytes.
  struct PieceId {
    size_t layer = 0;
    size_t index = 0;
  };
  static constexpr size_t kPieceBytes = 64u << 10;

  // A first layer for `expected` keys, at least.
  explicit SummaryFilter(size_t expected);
  // Of these layers, whose pieces SetPiece() then fills in. REQUIRES: there is one, and each has a
  // capacity.
  explicit SummaryFilter(std::span<const LayerSize> layers);

  void Add(const Fingerprint& fingerprint);
  bool MayContain(const Fingerprint& fingerprint) const;

  std::vector<LayerSize> layers() const;
  uint64_t count() const;
  size_t memory_bytes() const;

  static size_t PieceCount(uint64_t capacity);  // Of a layer.
  // The bytes as they are kept: each word little-endian.
  std::string Piece(PieceId piece) const;
  bool SetPiece(PieceId piece, std::string_view bytes);  // False: not as long as that piece.

  // Whether the piece changed since the last call; a piece that is new did.
  bool TakeChanged(PieceId piece);
  void MarkAllChanged();

 private:
  struct Line {
    uint64_t words[8] = {};
  };
  struct Layer {
    std::vector<Line> lines;
    std::vector<bool> changed;  // By piece.
    size_t capacity = 0;
    size_t count = 0;
  };

  void AddLayer(size_t capacity);
  std::span<Line> LinesOf(PieceId piece);
  std::span<const Line> LinesOf(PieceId piece) const;

  std::vector<Layer> layers_;
};

}  // namespace strata::dedup
