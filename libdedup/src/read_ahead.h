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
#include <deque>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "device_io.h"
#include "index_records.h"
#include "region_cache.h"
#include "strata/dedup/fingerprint.h"
#include "worker_pool.h"

namespace strata::dedup {

class ChunkReader;

class ReadAhead final {
 public:
  // Both outlive it.
  ReadAhead(ChunkReader* reader, WorkerPool* workers);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Plans to read the region at `place`, or around the chunk, unless that is planned or cached.
  void Expect(const Fingerprint& fingerprint);
  void Expect(const ChunkPlace& place);

  // Begins to read what was planned.
  void Start();

  // An expected region that is whole, which is no longer expected then; those that were to be
  // needed before it are not either. Null: there is none.
  std::shared_ptr<const LoadedRegion> Take(const ChunkPlace& place);

  void Forget();  // Nothing is expected any more.

  size_t expected_bytes() const { return expected_bytes_; }  // On the device.

 private:
  struct Region {
    ChunkPlace place;
    uint64_t device_offset = 0;
    size_t size_bytes = 0;
    std::shared_ptr<const DeviceRead> read;  // Null: only planned.
    size_t offset_in_read = 0;
    std::shared_ptr<Job> job;  // Sets `loaded`. Null: not read yet, or there are no workers.
    absl::StatusOr<std::shared_ptr<const LoadedRegion>> loaded;
  };

  void StartRun(size_t first, size_t end);
  void Load(Region* region) const;
  // Hands to the workers what has been read.
  void HandOver();
  void Drop(size_t count);

  ChunkReader* const reader_;
  WorkerPool* const workers_;
  DeviceReads reads_;
  std::deque<std::unique_ptr<Region>> regions_;  // In the order of need.
  size_t planned_ = 0;                           // Of them, the last ones, not begun.
  size_t expected_bytes_ = 0;
};

}  // namespace strata::dedup
