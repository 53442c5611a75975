// SPDX-License-Identifier: Apache-2.0
//
// Checks inodes with everything that belongs to them: names, touches, attributes, extents. All of
// these tables are sorted by inode, so they are walked side by side, and inode after inode is in
// hand with all of its rows.
//
// Names are counted without counting: each name has its place in what its inode says of its names,
// and each of these places has its name.
//
// Thread safety: one thread.
#pragma once

#include "absl/status/status.h"
#include "check/check_context.h"

namespace strata::ofs {

absl::Status CheckTree(CheckContext* context);

}  // namespace strata::ofs
