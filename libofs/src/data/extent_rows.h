// SPDX-License-Identifier: Apache-2.0
//
// The extents of a file, as one transaction or snapshot sees them.
//
// Thread safety: that of the reader or transaction.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "data/extent.h"
#include "disks/disk_rows.h"
#include "strata/kv/store.h"

namespace strata::ofs {

// Up to `max_rows` extents that overlap [begin, end), in order.
struct ExtentPage {
  std::vector<Extent> extents;
  bool more = false;
};
absl::StatusOr<ExtentPage> ListExtents(kv::Reader& reader, const Metadata& metadata, uint64_t inode,
                                       uint64_t begin, uint64_t end, size_t max_rows);

// What a change of extents did besides.
struct ExtentChange {
  std::vector<FreedPiece> freed{};
  int64_t stored_blocks = 0;  // More (or less) than before.
};

// Takes [begin, end) away: whole rows, and parts of those that reach over an end. Stops after
// `max_rows` rows and returns up to where the range is empty now. The pieces are not freed yet.
absl::StatusOr<uint64_t> RemoveExtents(kv::Transaction& txn, const Metadata& metadata,
                                       uint64_t inode, uint64_t begin, uint64_t end,
                                       size_t max_rows, ExtentChange* change);

// How far the rows have this very extent, from its front on: its offset, where they have it not.
absl::StatusOr<uint64_t> PublishedEnd(kv::Transaction& txn, const Metadata& metadata,
                                      uint64_t inode, const Extent& extent);

// REQUIRES: nothing overlaps it.
absl::Status PutExtent(kv::Transaction& txn, const Metadata& metadata, uint64_t inode,
                       const Extent& extent, ExtentChange* change);

}  // namespace strata::ofs
