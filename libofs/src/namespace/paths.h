// SPDX-License-Identifier: Apache-2.0
//
// From an inode to a path, for people.
//
// Thread safety: that of the reader.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "disks/disk_rows.h"
#include "strata/kv/store.h"

namespace strata::ofs {

// "/a/b", by the first name of each. Empty: it has no name. ENOENT: no such inode. DataLoss: names
// and inodes contradict each other.
absl::StatusOr<std::string> PathOf(kv::Reader& reader, const Metadata& metadata, uint64_t inode);

}  // namespace strata::ofs
