// SPDX-License-Identifier: Apache-2.0
//
// Copies what lives in a container to the end of the log, so that garbage collection can free the
// container. A region that is needed whole is copied as it is stored; of others the living chunks
// are gathered into new regions, which are compressed as the old ones were.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "format/region_format.h"
#include "live_set.h"
#include "pacer.h"
#include "reading/container_table.h"
#include "region_builder.h"
#include "store_core.h"

namespace strata::dedup {

class Evacuation final {
 public:
  // All outlive it. `compress_as`, `recompress`: as in GarbageOptions.
  Evacuation(StoreCore* core, const LiveSet* live, Pacer* pacer,
             const std::optional<CompressionSettings>& compress_as,
             const std::optional<CompressionSettings>& recompress);

  // Appends the living chunks of the container that no other container has; copies are durable
  // after Flush() and a flush of the log. DataLoss: a chunk that is needed is damaged.
  absl::Status CopyChunks(uint64_t container_id, const ContainerRecord& record,
                          const ContainerContents& contents);

  // Appends the regions of the journal that no checkpoint replaces.
  absl::Status CopyJournal(uint64_t container_id, const ContainerContents& contents);

  absl::Status Flush();

  uint64_t copied_bytes() const {  // On the device.
    return data_.stored_bytes() + nodes_.stored_bytes() + whole_bytes_;
  }

 private:
  // What is copied of one region.
  struct Copying {
    RegionExtent extent;
    size_t first_chunk = 0;
    std::vector<uint32_t> ordinals;  // Of the living chunks.

    bool whole() const { return ordinals.size() == extent.chunk_count; }
  };

  RegionBuilder& BuilderFor(RegionKind kind) {
    return kind == RegionKind::kRecipes ? nodes_ : data_;
  }
  // How the region's chunks are compressed.
  CompressionSettings SettingsFor(const LoadedRegion& region) const;
  bool StaysAsItIs(const DecodedRegion& region) const;
  // Copies the region as it is stored. False: it must be gathered.
  absl::StatusOr<bool> CopyStored(const ChunkPlace& place, std::span<const std::byte> stored,
                                  std::span<const Fingerprint> chunks);
  absl::Status Gather(const Copying& copying, std::span<const Fingerprint> chunks,
                      const LoadedRegion& region);
  absl::Status Append(const DecodedRegion& region);

  StoreCore* const core_;
  const LiveSet* const live_;
  Pacer* const pacer_;
  std::optional<CompressionSettings> compress_as_;
  std::optional<CompressionSettings> recompress_;  // What is not dense yet.
  PinSet own_pins_;  // Of containers younger than the collection, which it leaves alone.
  RegionBuilder data_;
  RegionBuilder nodes_;
  EncodedRegion whole_region_;
  uint64_t whole_bytes_ = 0;
};

}  // namespace strata::dedup
