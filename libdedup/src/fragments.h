// SPDX-License-Identifier: Apache-2.0
//
// Keeps a stream from falling to pieces. Version after version, a stream shares ever less of each
// region with those before it, but a reader must load regions whole. So a long stream's writer
// notes which chunks of older regions it needs, and at the end of the stream stores those of the
// sparsest regions once more, side by side. The idea is history-aware rewriting's (Fu et al.,
// USENIX ATC 2014), applied to regions, in the stream that has just been seen.
//
// The index leads to the copy that was stored last; older copies go when the streams that shared
// their regions do, or with Store::FoldDuplicates().
//
// Thread safety: none; it belongs to one writer.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "format/index_records.h"
#include "region_builder.h"
#include "store_core.h"

namespace strata::dedup {

class Fragments final {
 public:
  // Containers from `first_own` on are the stream's own, which are not looked at.
  Fragments(StoreCore* core, PinSet* pins, uint64_t first_own);

  // The stream needs this chunk.
  void Note(const FoundChunk& found);

  // Stores the chunks of sparse regions again. A region that cannot be read is left as it is.
  // ResourceExhausted: the device is full, which does the stream no harm.
  absl::Status Rewrite(uint64_t stream_bytes);

  uint64_t log_position() const { return builder_.log_position(); }
  uint64_t stored_bytes() const { return builder_.stored_bytes(); }

 private:
  // What the stream needs of a region.
  struct Use {
    uint64_t first = 0;  // Regions are numbered in the order of their first use.
    uint32_t size_units = 0;
    uint32_t region_chunks = 0;
    bool sparse = true;
    std::vector<uint16_t> ordinals{};  // While it is sparse.
  };

  bool Sparse(const Use& use) const;
  std::vector<ChunkPlace> Choose(uint64_t budget_chunks) const;

  StoreCore* const core_;
  const uint64_t first_own_;
  absl::flat_hash_map<RegionKey, Use> uses_;
  uint64_t noted_chunks_ = 0;
  uint64_t copied_bytes_ = 0;
  RegionBuilder builder_;
};

}  // namespace strata::dedup
