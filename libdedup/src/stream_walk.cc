// SPDX-License-Identifier: Apache-2.0
#include "stream_walk.h"

#include <algorithm>
#include <utility>

#include "strata/base/check.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {

absl::StatusOr<RecipeNode> ReadRecipeNode(ChunkReader& reader, const RecipeEntry& entry,
                                          uint8_t level) {
  STRATA_ASSIGN_OR_RETURN(const ChunkBytes chunk,
                          reader.Read(entry.fingerprint, entry.chunk_bytes, /*ahead=*/nullptr));
  STRATA_ASSIGN_OR_RETURN(RecipeNode node, DecodeRecipeNode(chunk.bytes));
  uint64_t covered = 0;
  for (const RecipeEntry& child : node.entries) covered += child.covered_bytes;
  if (node.level != level || covered != entry.covered_bytes) {
    return absl::DataLossError("dedup: a recipe does not cover what it should");
  }
  return node;
}

StreamWalk::Loaded StreamWalk::Load(RecipeNode node, uint64_t begin_bytes) {
  Loaded loaded{std::move(node), {}};
  loaded.begins.reserve(loaded.node.entries.size() + 1);
  loaded.begins.push_back(begin_bytes);
  for (const RecipeEntry& entry : loaded.node.entries) {
    loaded.begins.push_back(loaded.begins.back() + entry.covered_bytes);
  }
  return loaded;
}

absl::StatusOr<StreamWalk::Position> StreamWalk::Find(uint64_t offset_bytes) {
  STRATA_CHECK(offset_bytes < record_->size_bytes, "an offset within the stream");
  if (path_.empty()) path_.push_back(Load(record_->root, 0));
  for (size_t depth = 0;; ++depth) {
    const Loaded& loaded = path_[depth];
    const size_t child = static_cast<size_t>(
        std::upper_bound(loaded.begins.begin(), loaded.begins.end(), offset_bytes) -
        loaded.begins.begin() - 1);
    const RecipeEntry& entry = loaded.node.entries[child];
    const uint64_t begin = loaded.begins[child];
    if (loaded.node.level == 0) return Position{entry, begin};
    if (depth + 1 < path_.size() && path_[depth + 1].Covers(offset_bytes)) continue;
    path_.resize(depth + 1);
    STRATA_ASSIGN_OR_RETURN(
        RecipeNode node,
        ReadRecipeNode(*reader_, entry, static_cast<uint8_t>(path_[depth].node.level - 1)));
    path_.push_back(Load(std::move(node), begin));
  }
}

}  // namespace strata::dedup
