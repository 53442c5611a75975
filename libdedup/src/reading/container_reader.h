// SPDX-License-Identifier: Apache-2.0
//
// Reads what lies in containers, by its place: regions, footers, whole slots. Every region that
// comes off the device is checked by CRC-32C and decompressed, and kept for the neighbours. Which
// fingerprint lies where is the index's knowledge, not this reader's.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "format/codec.h"
#include "format/container_format.h"
#include "format/superblock.h"
#include "reading/container_table.h"
#include "reading/device_io.h"
#include "reading/region_cache.h"

namespace strata::dedup {

// What a read found wrong with a region.
struct RegionDamage {
  bool found = false;
  bool whole_region = false;   // None of its chunks can be had.
  std::vector<uint16_t> lost;  // Else: those that cannot, by ordinal. Perhaps none.
};

class ContainerReader final {
 public:
  struct Options {
    DeviceIo* io = nullptr;
    ContainerTable* table = nullptr;
    Codec* codec = nullptr;
    Cipher* cipher = nullptr;  // Null: the store is not encrypted.
    const Superblock* superblock = nullptr;
    size_t cache_bytes = 0;
  };
  explicit ContainerReader(const Options& options)
      : options_(options), cache_(options.cache_bytes) {}

  // The region at `place`, decompressed; of a damaged one what is left, and what is lost in
  // `damage`. NotFound: another container lies there by now. DataLoss: nothing is left; names
  // container and place.
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> ReadRegion(const ChunkPlace& place,
                                                                 RegionDamage* damage);

  // Whether the region is in memory; null: it is not. And keeps one there.
  std::shared_ptr<const LoadedRegion> Cached(const ChunkPlace& place) {
    return cache_.Find(KeyOf(place));
  }
  void Keep(const ChunkPlace& place, std::shared_ptr<const LoadedRegion> region) {
    cache_.Insert(KeyOf(place), std::move(region));
  }

  // Where the region begins on the device. Nothing: its container is gone.
  std::optional<uint64_t> DeviceOffset(const ChunkPlace& place) const;

  // Checks and decompresses the region in `bytes`. DataLoss, Unimplemented: says what is wrong, not
  // where.
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> Load(const ChunkPlace& place,
                                                           std::span<const std::byte> bytes) const;

  // A sealed container's table of contents. NotFound: the container is gone.
  absl::StatusOr<ContainerContents> ReadFooter(uint64_t container_id,
                                               const ContainerRecord& record);

  // The same; where the footer is damaged, from the regions. DataLoss: not all of them are whole.
  absl::StatusOr<ContainerContents> ReadContents(uint64_t container_id,
                                                 const ContainerRecord& record);

  // The whole slot. NotFound: the container is gone.
  absl::StatusOr<DeviceBytes> ReadSlot(uint64_t container_id);

  DeviceIo* io() const { return options_.io; }
  size_t memory_bytes() const { return cache_.memory_bytes(); }

 private:
  bool Fits(const ChunkPlace& place) const;
  uint64_t OffsetOf(const ChunkPlace& place, uint32_t slot) const;
  std::string DamageMessage(const ChunkPlace& place, uint32_t slot,
                            const absl::Status& cause) const;
  absl::Status Damaged(const ChunkPlace& place, uint32_t slot, const absl::Status& cause,
                       RegionDamage* damage) const;
  // What is left of a region with something wrong.
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> Salvage(const ChunkPlace& place,
                                                              uint32_t slot,
                                                              std::span<const std::byte> bytes,
                                                              const absl::Status& cause,
                                                              RegionDamage* damage) const;

  const Options options_;
  RegionCache cache_;
};

}  // namespace strata::dedup
