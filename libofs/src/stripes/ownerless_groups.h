// SPDX-License-Identifier: Apache-2.0
//
// Groups that a dead session left open: which of their columns are in use is in nobody's row. The
// heads on the disks say which stripes there are, and the metadata says which of them live.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "disks/disk.h"
#include "disks/disk_rows.h"
#include "format/stripe_head.h"
#include "groups/allocator.h"

namespace strata::ofs {

struct OwnerlessGroup {
  uint64_t group = 0;
  uint32_t session = 0;
  bool is_claimed = false;  // It was not open, but in hand to be moved.
};

// The open and the claimed groups of sessions that have no row.
absl::StatusOr<std::vector<OwnerlessGroup>> ListOwnerlessGroups(const Metadata& metadata);

// How many payload bytes of this stripe extents refer to. A head is only a hint: data of a user may
// look like one. The callback answers for (group, column, birth), whatever the records say.
using LiveBytes = std::function<absl::StatusOr<uint32_t>(const StripeHead& head)>;

struct OwnerlessOptions {
  Metadata metadata{};
  Uuid filesystem{};
  const DiskSet* disks = nullptr;
  Allocator* allocator = nullptr;
  LiveBytes live_bytes{};
};

// A group that was claimed is sealed, and lies where it was. Of one that was open, reads the heads:
// taken are the columns that were taken when the session opened it, and those of stripes with bytes
// that live or that a row of `Z` lists. Unavailable: no disk of the group can be read. DataLoss:
// two living stripes overlap.
absl::Status SealOwnerless(const OwnerlessOptions& options, const OwnerlessGroup& ownerless);

}  // namespace strata::ofs
