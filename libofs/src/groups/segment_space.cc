// SPDX-License-Identifier: Apache-2.0
#include "groups/segment_space.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "format/key_layout.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

uint32_t ChunkSize(uint32_t segment_count, uint32_t chunk) {
  return std::min(kSegmentsPerChunk, segment_count - chunk * kSegmentsPerChunk);
}

std::string ChunkText(uint32_t disk, uint32_t chunk) {
  return absl::StrCat("segment map ", chunk, " of disk ", disk);
}

absl::StatusOr<Bitmap> DecodeChunk(const std::optional<std::string>& row, uint32_t disk,
                                   uint32_t chunk, uint32_t size) {
  if (!row.has_value()) return Bitmap(size);
  absl::StatusOr<SegmentsRecord> record = DecodeSegments(*row);
  if (!record.ok()) return Annotate(record.status(), ChunkText(disk, chunk));
  if (record->taken.size() != size) {
    return absl::DataLossError(absl::StrCat(ChunkText(disk, chunk), ": it has ",
                                            record->taken.size(), " segments instead of ", size));
  }
  return std::move(record->taken);
}

}  // namespace

absl::Status SegmentSpace::AddDisk(uint32_t disk, uint32_t segment_count) {
  Counts counts{.segment_count = segment_count};
  const std::unique_ptr<kv::Snapshot> snapshot = metadata_.store->NewSnapshot();
  for (uint32_t chunk = 0; chunk * kSegmentsPerChunk < segment_count; ++chunk) {
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                            snapshot->Get(metadata_.meta, SegmentsKey(disk, chunk)));
    STRATA_ASSIGN_OR_RETURN(const Bitmap taken,
                            DecodeChunk(row, disk, chunk, ChunkSize(segment_count, chunk)));
    counts.free_by_chunk.push_back(taken.clear_count());
  }
  MutexLock lock(&mutex_);
  disks_[disk] = std::move(counts);
  return absl::OkStatus();
}

uint32_t SegmentSpace::free_segments(uint32_t disk) const {
  MutexLock lock(&mutex_);
  const auto it = disks_.find(disk);
  if (it == disks_.end()) return 0;
  uint32_t sum = 0;
  for (const uint32_t free : it->second.free_by_chunk) sum += free;
  return sum;
}

absl::StatusOr<SegmentSpace::Counts> SegmentSpace::CountsOf(uint32_t disk) const {
  MutexLock lock(&mutex_);
  const auto it = disks_.find(disk);
  if (it != disks_.end()) return it->second;
  return absl::NotFoundError(absl::StrCat("there is no disk ", disk));
}

absl::StatusOr<Bitmap> SegmentSpace::Read(kv::Transaction& txn, uint32_t disk, uint32_t chunk,
                                          uint32_t segment_count) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                          txn.Get(metadata_.meta, SegmentsKey(disk, chunk)));
  return DecodeChunk(row, disk, chunk, ChunkSize(segment_count, chunk));
}

absl::StatusOr<uint32_t> SegmentSpace::Take(kv::Transaction& txn, uint32_t disk) {
  STRATA_ASSIGN_OR_RETURN(const Counts counts, CountsOf(disk));
  for (uint32_t chunk = 0; chunk < counts.free_by_chunk.size(); ++chunk) {
    if (counts.free_by_chunk[chunk] == 0) continue;
    STRATA_ASSIGN_OR_RETURN(Bitmap taken, Read(txn, disk, chunk, counts.segment_count));
    const std::optional<uint32_t> free = taken.FindClear(0, 1);
    if (!free.has_value()) {
      Correct(disk, chunk, 0);
      continue;
    }
    taken.Set(*free, 1);
    STRATA_RETURN_IF_ERROR(txn.Put(metadata_.meta, SegmentsKey(disk, chunk),
                                   Encode(SegmentsRecord{.taken = std::move(taken)})));
    return chunk * kSegmentsPerChunk + *free;
  }
  return absl::ResourceExhaustedError(absl::StrCat("disk ", disk, " has no free segment"));
}

absl::Status SegmentSpace::Free(kv::Transaction& txn, uint32_t disk, uint32_t segment) {
  STRATA_ASSIGN_OR_RETURN(const Counts counts, CountsOf(disk));
  const uint32_t chunk = segment / kSegmentsPerChunk;
  const uint32_t index = segment % kSegmentsPerChunk;
  if (segment >= counts.segment_count) {
    return absl::DataLossError(absl::StrCat("disk ", disk, " has no segment ", segment));
  }
  STRATA_ASSIGN_OR_RETURN(Bitmap taken, Read(txn, disk, chunk, counts.segment_count));
  if (!taken.Test(index)) {
    return absl::DataLossError(
        absl::StrCat("segment ", segment, " of disk ", disk, " is freed and was free already"));
  }
  taken.Clear(index, 1);
  return txn.Put(metadata_.meta, SegmentsKey(disk, chunk),
                 Encode(SegmentsRecord{.taken = std::move(taken)}));
}

void SegmentSpace::Count(uint32_t disk, uint32_t segment, int change) {
  MutexLock lock(&mutex_);
  const auto it = disks_.find(disk);
  if (it == disks_.end()) return;
  uint32_t& free = it->second.free_by_chunk[segment / kSegmentsPerChunk];
  if (change > 0) ++free;
  if (change < 0 && free > 0) --free;
}

void SegmentSpace::Correct(uint32_t disk, uint32_t chunk, uint32_t free) {
  MutexLock lock(&mutex_);
  const auto it = disks_.find(disk);
  if (it != disks_.end()) it->second.free_by_chunk[chunk] = free;
}

}  // namespace strata::ofs
