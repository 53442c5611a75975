// SPDX-License-Identifier: Apache-2.0
//
// How many segments of each disk are free. The rows of the segment maps decide; what is in memory
// says where to look.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "disks/disk_rows.h"
#include "strata/base/mutex.h"

namespace strata::ofs {

class SegmentSpace final {
 public:
  explicit SegmentSpace(const Metadata& metadata) : metadata_(metadata) {}

  // Reads the maps of a disk, and knows it from then on.
  absl::Status AddDisk(uint32_t disk, uint32_t segment_count);

  uint32_t free_segments(uint32_t disk) const;

  // Takes a free segment of the disk in the transaction. ResourceExhausted: there is none.
  absl::StatusOr<uint32_t> Take(kv::Transaction& txn, uint32_t disk);
  // DataLoss: it is free already.
  absl::Status Free(kv::Transaction& txn, uint32_t disk, uint32_t segment);

  // After the transaction has been committed.
  void Taken(uint32_t disk, uint32_t segment) { Count(disk, segment, -1); }
  void Freed(uint32_t disk, uint32_t segment) { Count(disk, segment, 1); }

 private:
  struct Counts {
    uint32_t segment_count = 0;
    std::vector<uint32_t> free_by_chunk{};
  };
  void Count(uint32_t disk, uint32_t segment, int change);
  void Correct(uint32_t disk, uint32_t chunk, uint32_t free);
  absl::StatusOr<Bitmap> Read(kv::Transaction& txn, uint32_t disk, uint32_t chunk,
                              uint32_t segment_count);
  absl::StatusOr<Counts> CountsOf(uint32_t disk) const;

  const Metadata metadata_;
  mutable Mutex mutex_;
  std::map<uint32_t, Counts> disks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::ofs
