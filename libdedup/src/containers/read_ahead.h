// SPDX-License-Identifier: Apache-2.0
//
// The regions that a reader will need soon, in the order in which it will. They are read from the
// device side by side, neighbours in one request, and decompressed by the store's workers where
// there are any, so that a stream which lies scattered over many containers is read like one that
// does not. What goes wrong here comes to light when the region is read in earnest.
//
// No guard keeps the containers meanwhile, since a reader may rest for ever: a region whose slot
// was used again does not pass its checks and is taken for absent.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "containers/worker_pool.h"
#include "format/index_records.h"
#include "reading/container_reader.h"
#include "reading/device_io.h"
#include "reading/region_cache.h"

namespace strata::dedup {

class ReadAhead final {
 public:
  // Both outlive it.
  ReadAhead(ContainerReader* reader, WorkerPool* workers);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Plans to read the region at `place`, which the reader needs when it comes to `position`; call
  // in order of position. What is in memory already is kept there.
  // `as_stored`: for TakeStored(), so that nobody decompresses it.
  void Expect(const ChunkPlace& place, uint64_t position, bool as_stored = false);

  // Begins to read what was planned.
  void Start();

  // The reader is at `position`: what it was to need before is not expected any more.
  void MoveTo(uint64_t position);

  // The three above for who goes through `places`, which are positions 0, 1, ...: the reader is at
  // `current`, and about a megabyte of those behind it is kept on its way. `as_stored`: which of
  // them are expected so; empty: none.
  void Follow(std::span<const ChunkPlace> places, size_t current,
              const std::vector<bool>& as_stored = {});

  // The region, if it is expected here, or was loaded for a later position, and is whole. Null: it
  // is not.
  std::shared_ptr<const LoadedRegion> Take(const ChunkPlace& place);

  // The bytes of the region as the device has them, if it is expected so at the current position.
  // Valid until MoveTo(). Empty: it is not, or could not be read. Take() works as well.
  std::span<const std::byte> TakeStored(const ChunkPlace& place);

  void Forget();  // Nothing is expected any more.

  size_t expected_bytes() const { return expected_bytes_; }  // On the device.

 private:
  struct Region {
    ChunkPlace place;
    uint64_t position = 0;
    uint64_t device_offset = 0;
    size_t size_bytes = 0;  // On the device; 0: it was in memory before.
    bool as_stored = false;
    std::shared_ptr<const DeviceRead> read;  // Null: only planned, or loaded.
    size_t offset_in_read = 0;
    std::shared_ptr<Job> job;                    // Loads it. Null: not read yet, or no workers.
    std::shared_ptr<const LoadedRegion> loaded;  // Null: not yet, or it is not whole.
  };

  void StartRun(size_t first, size_t end);
  void Load(Region* region) const;
  // Hands to the workers what has been read.
  void HandOver();
  void DropFront();

  ContainerReader* const reader_;
  WorkerPool* const workers_;
  DeviceReads reads_;
  std::deque<std::unique_ptr<Region>> regions_;  // In the order of need.
  absl::flat_hash_map<RegionKey, Region*> by_key_;
  size_t handed_over_ = 0;  // Of them, the first ones: loaded, or a worker's.
  size_t planned_ = 0;      // Of them, the last ones: not begun.
  size_t expected_bytes_ = 0;
  uint64_t position_ = 0;
};

}  // namespace strata::dedup
