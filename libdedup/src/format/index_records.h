// SPDX-License-Identifier: Apache-2.0
//
// What the kv store keeps about the device, in the spaces "<name>.chunks" and "<name>.containers".
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "format/layout.h"
#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

// Where a chunk lies: its region, and which of the region's chunks it is.
struct ChunkPlace {
  uint64_t container_id = 0;
  uint32_t offset_units = 0;
  uint32_t size_units = 0;
  uint16_t ordinal = 0;
  friend bool operator==(const ChunkPlace&, const ChunkPlace&) = default;
};

// Names the region: container id, offset in units.
using RegionKey = std::pair<uint64_t, uint32_t>;
inline RegionKey KeyOf(const ChunkPlace& place) { return {place.container_id, place.offset_units}; }

struct FoundChunk {
  ChunkPlace place;
  uint64_t log_position = 0;   // It is durable once ContainerLog's durable position reaches this.
  uint32_t region_chunks = 0;  // How many the region has; 0: one that streams have left.
};

std::string ChunkKey(const Fingerprint& fingerprint);
absl::StatusOr<Fingerprint> ParseChunkKey(std::string_view key);
std::string EncodeChunkPlace(const ChunkPlace& place);
absl::StatusOr<ChunkPlace> DecodeChunkPlace(std::string_view bytes);

struct ContainerRecord {
  uint32_t slot = 0;
  bool sealed = false;       // Otherwise what it holds must be read from the device.
  uint64_t nonce = 0;        // Open only: of the container's header, should that be damaged.
  uint32_t chunk_count = 0;  // This and what follows: sealed only.
  uint32_t footer_bytes = 0;
  uint64_t raw_bytes = 0;
  uint64_t stored_bytes = 0;
  uint32_t recipe_count = 0;  // Of the chunks, recipe nodes; they are not compressed.
  uint32_t recipe_bytes = 0;  // Of both sums.
  bool deferred = false;      // The compression of some of it. A hint for garbage collection.
  bool dense = false;         // All of its data. A hint as well.
  // Offsets in units, growing, of regions that streams have left: chunks of theirs were stored
  // again in denser company, so only the index tells where they are best read. A hint.
  std::vector<uint32_t> superseded_regions{};

  uint64_t data_stored_bytes() const { return stored_bytes - recipe_bytes; }
  friend bool operator==(const ContainerRecord&, const ContainerRecord&) = default;
};

std::string ContainerKey(uint64_t container_id);
absl::StatusOr<uint64_t> ParseContainerKey(std::string_view key);
std::string EncodeContainerRecord(const ContainerRecord& record);
absl::StatusOr<ContainerRecord> DecodeContainerRecord(std::string_view bytes);

// Chunks of a container that were found damaged: of each region (offset in units) which ones,
// growing; empty: all of them.
using LostChunks = std::map<uint32_t, std::vector<uint16_t>>;
bool IsLost(const LostChunks& lost, const ChunkPlace& place);

// Kept beside the container's record until the container is freed, so that every process stores
// these chunks again when they come, and no lookup leads to them while there is another copy.
std::string DamageKey(uint64_t container_id);
absl::StatusOr<uint64_t> ParseDamageKey(std::string_view key);
std::string EncodeLostChunks(const LostChunks& lost);
absl::StatusOr<LostChunks> DecodeLostChunks(std::string_view bytes);

// The one record that ties kv store and device together, in "<name>.containers" under kStoreKey.
inline constexpr std::string_view kStoreKey = "store";

struct StoreRecord {
  enum class State : uint8_t {
    kCreating = 0,  // The superblocks may not be written yet.
    kReady = 1,
    kRebuilding = 2,  // The chunk index is incomplete.
  };
  State state = State::kCreating;
  Uuid uuid{};
  uint32_t generation = 0;  // Counts openings; the upper half of the container ids made by each.
  friend bool operator==(const StoreRecord&, const StoreRecord&) = default;
};

std::string EncodeStoreRecord(const StoreRecord& record);
absl::StatusOr<StoreRecord> DecodeStoreRecord(std::string_view bytes);

}  // namespace strata::dedup
