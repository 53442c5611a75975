// SPDX-License-Identifier: Apache-2.0
//
// Brings chunks back by their fingerprints: the index says where each lies, the container reader
// brings the region, and what is damaged is noted in the index, so that another copy is used from
// then on.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "absl/status/statusor.h"
#include "index/chunk_index.h"
#include "reading/container_reader.h"
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
    ChunkIndex* index = nullptr;
    ContainerReader* containers = nullptr;
  };
  explicit ChunkReader(const Options& options) : options_(options) {}

  // DataLoss: missing or damaged; names container and place. `ahead` may be null.
  absl::StatusOr<ChunkBytes> Read(const Fingerprint& fingerprint, uint32_t size_bytes,
                                  ReadAhead* ahead);

  // As ContainerReader::ReadRegion(), from `ahead` where it was expected; notes what is lost.
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> ReadRegion(const ChunkPlace& place,
                                                                 ReadAhead* ahead);

  uint64_t corruptions() const { return corruptions_.load(std::memory_order_relaxed); }
  void CountCorruption() { corruptions_.fetch_add(1, std::memory_order_relaxed); }

 private:
  const Options options_;
  std::atomic<uint64_t> corruptions_{0};
};

}  // namespace strata::dedup
