// SPDX-License-Identifier: Apache-2.0
//
// Brings chunks back: finds the place, reads the region around it in one I/O, checks it,
// decompresses it, and keeps it for the neighbours. Every region that comes off the device is
// checked by CRC-32C, and the chunk asked for by the fingerprint in the region's table.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "absl/status/statusor.h"
#include "format/codec.h"
#include "format/container_format.h"
#include "format/container_scan.h"
#include "format/superblock.h"
#include "index/chunk_index.h"
#include "reading/device_io.h"
#include "reading/region_cache.h"
#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

class ReadAhead;

// A chunk's bytes, and what keeps them alive.
struct ChunkBytes {
  std::shared_ptr<const LoadedRegion> region;
  size_t ordinal = 0;  // Of the chunk in the region.
  std::span<const std::byte> bytes;

  // What follows in the same region, if that is the chunk asked for.
  std::optional<ChunkBytes> Next(const Fingerprint& fingerprint, uint32_t size_bytes) const;
};

class ChunkReader final {
 public:
  struct Options {
    DeviceIo* io = nullptr;
    ChunkIndex* index = nullptr;
    ContainerTable* table = nullptr;
    Codec* codec = nullptr;
    Cipher* cipher = nullptr;  // Null: the store is not encrypted.
    const Superblock* superblock = nullptr;
    size_t cache_bytes = 0;
  };
  explicit ChunkReader(const Options& options) : options_(options), cache_(options.cache_bytes) {}

  // DataLoss: missing or damaged; names container and place. `ahead` may be null.
  absl::StatusOr<ChunkBytes> Read(const Fingerprint& fingerprint, uint32_t size_bytes,
                                  ReadAhead* ahead);

  // The region at `place`, decompressed; where it is damaged, what is left of it. NotFound: another
  // container lies there by now. DataLoss: nothing is left.
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> ReadRegion(const ChunkPlace& place,
                                                                 ReadAhead* ahead);

  // For ReadAhead: where a chunk lies, its region on the device (nullopt: the container is gone),
  // and whether that is in memory.
  absl::StatusOr<FoundChunk> Locate(const Fingerprint& fingerprint) {
    return options_.index->Find(fingerprint);
  }
  std::optional<uint64_t> DeviceOffset(const ChunkPlace& place) const;
  std::shared_ptr<const LoadedRegion> Cached(const ChunkPlace& place) {
    return cache_.Find(KeyOf(place));
  }
  DeviceIo* io() const { return options_.io; }

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

  uint64_t corruptions() const { return corruptions_.load(std::memory_order_relaxed); }
  void CountCorruption() { corruptions_.fetch_add(1, std::memory_order_relaxed); }
  size_t memory_bytes() const { return cache_.memory_bytes(); }

 private:
  bool Fits(const ChunkPlace& place) const;
  std::string DamageMessage(const ChunkPlace& place, uint32_t slot,
                            const absl::Status& cause) const;
  // Notes that the region is lost.
  absl::Status Damaged(const ChunkPlace& place, uint32_t slot, const absl::Status& cause);

  // What is left of a region with something wrong; notes which chunks are lost.
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> Salvage(const ChunkPlace& place,
                                                              uint32_t slot,
                                                              std::span<const std::byte> bytes,
                                                              const absl::Status& cause);

  const Options options_;
  RegionCache cache_;
  std::atomic<uint64_t> corruptions_{0};
};

}  // namespace strata::dedup
