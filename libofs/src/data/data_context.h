// SPDX-License-Identifier: Apache-2.0
//
// What everything that moves file data needs of the session.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "disks/disk_rows.h"
#include "format/records.h"
#include "groups/allocator.h"
#include "strata/base/clock.h"
#include "strata/kv/store.h"
#include "stripes/stripe_reader.h"
#include "stripes/stripe_writer.h"

namespace strata::ofs {

struct DataContext {
  Metadata metadata{};
  FormatRecord format{};
  uint32_t session = 0;
  const Clock* clock = nullptr;
  Allocator* allocator = nullptr;
  StripeWriter* writer = nullptr;
  StripeReader* reader = nullptr;
  std::atomic<uint64_t> dirty_bytes{0};  // Of all files, those under way to the disks included.
  // Grows when rows have changed and what they hold is still dirty in memory.
  std::atomic<uint64_t> publications{0};
  // What a stripe was found to hold where disks are absent. Upkeep tries the whole again.
  std::atomic<uint64_t> most_stripe_bytes{UINT64_MAX};
};

inline constexpr uint32_t kDefaultPool = 1;

// The rows of one file in one transaction of the session; `epoch` is that of what is new in it.
using DataTransaction = std::function<absl::Status(kv::Transaction& txn, uint64_t epoch)>;
// Runs the body as a transaction, again after conflicts. It ends with EIO once the session was
// ended by another.
absl::Status ChangeData(const DataContext& context, kv::Durability durability,
                        const DataTransaction& body);

// nullopt: there is no such inode (any more).
absl::StatusOr<std::optional<InodeRecord>> FindInode(kv::Reader& reader, const Metadata& metadata,
                                                     uint64_t inode);
// Counts the change.
absl::Status PutInode(kv::Transaction& txn, const Metadata& metadata, uint64_t inode,
                      InodeRecord* record);

// How the data of a file is to be protected, and in which pool.
GroupKind KindOf(const FormatRecord& format, const LayoutRecord& layout);

}  // namespace strata::ofs
