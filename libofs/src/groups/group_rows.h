// SPDX-License-Identifier: Apache-2.0
//
// The two rows of a group.
//
// Thread safety: that of the reader.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "disks/disk_rows.h"
#include "format/records.h"
#include "strata/kv/store.h"

namespace strata::ofs {

// "group 12", for messages.
std::string GroupText(uint64_t group);

// NotFound: there is no such group (any more). DataLoss names the group whose row is damaged.
absl::StatusOr<AllocationRecord> GetAllocation(const Metadata& metadata, kv::Reader& reader,
                                               uint64_t group);
absl::StatusOr<GroupRecord> GetGroup(const Metadata& metadata, kv::Reader& reader, uint64_t group);

}  // namespace strata::ofs
