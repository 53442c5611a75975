// SPDX-License-Identifier: Apache-2.0
//
// Checks the rows that are few: of the filesystem, its disks, pools, sessions, counters and jobs,
// and the superblocks of the disks.
//
// Thread safety: one thread.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "check/check_context.h"
#include "disks/disk.h"

namespace strata::ofs {

// Fills in rows, epoch and counters of the context. False: the row of the format is malformed, and
// nothing else can be checked. NotFound: there is none.
absl::StatusOr<bool> CheckFilesystemRows(CheckContext* context);

// Opens the disks and compares them with their rows. Those that cannot be opened are not in what it
// returns.
absl::StatusOr<std::vector<std::shared_ptr<Disk>>> CheckDisks(const CheckContext& context);

}  // namespace strata::ofs
