// SPDX-License-Identifier: Apache-2.0
//
// How a stream is put together from chunks: a tree whose leaves list data chunks in order. Nodes
// are chunks themselves, named by fingerprint, so that equal stretches of streams share their nodes
// too; the root is kept in the stream's record. Nodes end where a fingerprint says so, as chunks
// end where their bytes say so. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

struct RecipeEntry {
  Fingerprint fingerprint;
  uint32_t chunk_bytes = 0;    // Of the chunk that the fingerprint names.
  uint64_t covered_bytes = 0;  // Of the stream. Level 0: chunk_bytes.
  friend bool operator==(const RecipeEntry&, const RecipeEntry&) = default;
};

// Entries of level 0 name data chunks; those of level n name nodes of level n-1.
struct RecipeNode {
  uint8_t level = 0;
  std::vector<RecipeEntry> entries;
  friend bool operator==(const RecipeNode&, const RecipeNode&) = default;
};

inline constexpr uint8_t kMaxRecipeLevel = 7;
inline constexpr size_t kMaxInlineEntries = 64;
inline constexpr size_t kMinNodeEntries = 64;
inline constexpr size_t kMaxNodeEntries = 512;

std::vector<std::byte> EncodeRecipeNode(const RecipeNode& node);
absl::StatusOr<RecipeNode> DecodeRecipeNode(std::span<const std::byte> bytes);

// What the kv store keeps for a stream.
struct StreamRecord {
  uint64_t size_bytes = 0;
  uint64_t chunk_count = 0;
  uint64_t created_ns = 0;
  uint64_t new_chunk_bytes = 0;
  uint64_t new_stored_bytes = 0;
  RecipeNode root;
  friend bool operator==(const StreamRecord&, const StreamRecord&) = default;
};

std::string EncodeStreamRecord(const StreamRecord& record);
absl::StatusOr<StreamRecord> DecodeStreamRecord(std::string_view bytes);

// Builds the tree from the data chunks in order. Memory: one unfinished node per level.
class RecipeBuilder final {
 public:
  // Stores a node and says its fingerprint.
  using StoreNode = std::function<absl::StatusOr<Fingerprint>(std::span<const std::byte> node)>;

  explicit RecipeBuilder(StoreNode store_node) : store_node_(std::move(store_node)) {}

  absl::Status Add(const Fingerprint& fingerprint, uint32_t chunk_bytes);

  // The root. Call once, last.
  absl::StatusOr<RecipeNode> Finish();

 private:
  absl::Status AddAt(size_t level, const RecipeEntry& entry);
  absl::Status CloseNode(size_t level);

  StoreNode store_node_;
  std::vector<std::vector<RecipeEntry>> levels_;
};

}  // namespace strata::dedup
