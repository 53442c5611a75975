// SPDX-License-Identifier: Apache-2.0
#include "data/extent_removal.h"

#include "data/extent_rows.h"
#include "disks/session_rows.h"
#include "namespace/namespace_rows.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr size_t kMaxRowsAtOnce = 256;  // Extents that one transaction takes away.

}  // namespace

absl::Status RemoveRange(const DataContext& context, uint64_t inode, uint64_t begin, uint64_t end,
                         const std::function<void(InodeRecord*)>& first,
                         const std::function<void(InodeRecord*)>& last) {
  bool is_first = true;
  for (uint64_t at = begin;;) {
    uint64_t next = at;
    STRATA_RETURN_IF_ERROR(ChangeFiles(
        context.metadata, context.session, kv::Durability::kAsync,
        [&](kv::Transaction& txn, uint64_t) -> absl::Status {
          STRATA_ASSIGN_OR_RETURN(InodeRecord record, ReadInode(txn, context.metadata.meta, inode));
          ExtentChange change;
          STRATA_ASSIGN_OR_RETURN(
              next, RemoveExtents(txn, context.metadata, inode, at, end, kMaxRowsAtOnce, &change));
          record.stored_blocks += static_cast<uint64_t>(change.stored_blocks);
          if (is_first) first(&record);
          if (next == end) last(&record);
          STRATA_RETURN_IF_ERROR(PutInode(txn, context.metadata.meta, inode, &record));
          return change.freed.empty() ? absl::OkStatus()
                                      : context.allocator->Free(txn, change.freed);
        }));
    if (next == end) return absl::OkStatus();
    is_first = false;
    at = next;
  }
}

absl::Status FinishTrim(const DataContext& context, uint64_t inode, uint64_t trim_from) {
  return RemoveRange(
      context, inode, trim_from, UINT64_MAX, [](InodeRecord*) {},
      [](InodeRecord* record) { record->trim_from.reset(); });
}

}  // namespace strata::ofs
