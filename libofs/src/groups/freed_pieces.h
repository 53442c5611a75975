// SPDX-License-Identifier: Apache-2.0
//
// The rows of `Z`: what nothing refers to any more, on its way back into the allocation rows.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "disks/disk_rows.h"
#include "format/records.h"

namespace strata::ofs {

// Cuts pieces into rows within the limits of one, in order.
std::vector<FreedRecord> CutIntoRows(std::span<const FreedPiece> pieces);

// Adds a piece to what is dead in its group, and frees the columns of its stripe once all of it is.
// DataLoss: the piece, or a part of it, was freed before; the record stays as it was.
absl::Status Fold(const FreedPiece& piece, AllocationRecord* allocation);

struct FoldedRow {
  std::vector<uint64_t> groups;  // Whose rows have changed.
  size_t left = 0;               // Pieces of groups that are open or being moved.
};

// Folds one row, in one transaction: changes the allocation rows of its sealed groups, and deletes
// the row or swaps it for the rest. `session` must not have been ended (FailedPrecondition).
absl::StatusOr<FoldedRow> FoldRow(const Metadata& metadata, uint32_t session,
                                  const std::string& key);

}  // namespace strata::ofs
