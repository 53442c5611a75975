// SPDX-License-Identifier: Apache-2.0
//
// Takes extents away, however many they are.
//
// Thread safety: any thread; the caller holds the gate of the file.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "data/data_context.h"

namespace strata::ofs {

// Takes the extents of [begin, end) away in as many transactions as it takes. `first` changes the
// inode in the first of them, `last` in the last one; they may be the same. ENOENT.
absl::Status RemoveRange(const DataContext& context, uint64_t inode, uint64_t begin, uint64_t end,
                         const std::function<void(InodeRecord*)>& first,
                         const std::function<void(InodeRecord*)>& last);

// A size was changed, and what lay beyond is not all gone yet.
absl::Status FinishTrim(const DataContext& context, uint64_t inode, uint64_t trim_from);

}  // namespace strata::ofs
