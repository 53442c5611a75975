// SPDX-License-Identifier: Apache-2.0
//
// Finds one's way in a stream's recipe by byte offset. Nodes are read when they are needed, one per
// level is kept.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "containers/chunk_reader.h"
#include "format/recipe.h"

namespace strata::dedup {

// The node that `entry` names. DataLoss: it is lost, or is not what it should be.
absl::StatusOr<RecipeNode> ReadRecipeNode(ChunkReader& reader, const RecipeEntry& entry,
                                          uint8_t level);

class StreamWalk final {
 public:
  // `record` outlives the walk.
  StreamWalk(ChunkReader* reader, const StreamRecord* record) : reader_(reader), record_(record) {}

  struct Position {
    RecipeEntry chunk;
    uint64_t begin_bytes = 0;  // Of the chunk in the stream.
  };

  // The chunk that covers `offset_bytes`. REQUIRES: offset_bytes < size of the stream. DataLoss: a
  // node on the way is lost.
  absl::StatusOr<Position> Find(uint64_t offset_bytes);

 private:
  // A node that was read, and where its entries begin in the stream; the last element is where it
  // ends.
  struct Loaded {
    RecipeNode node;
    std::vector<uint64_t> begins;
    bool Covers(uint64_t offset) const {
      return !begins.empty() && offset >= begins.front() && offset < begins.back();
    }
  };
  static Loaded Load(RecipeNode node, uint64_t begin_bytes);

  ChunkReader* const reader_;
  const StreamRecord* const record_;
  std::vector<Loaded> path_;  // The root first.
};

}  // namespace strata::dedup
