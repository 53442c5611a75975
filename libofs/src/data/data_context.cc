// SPDX-License-Identifier: Apache-2.0
#include "data/data_context.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "format/key_layout.h"
#include "groups/freed_pieces.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {

absl::Status ChangeData(const DataContext& context, kv::Durability durability,
                        const DataTransaction& body) {
  const Metadata& metadata = context.metadata;
  return kv::RunTransaction(*metadata.store, durability, [&](kv::Transaction& txn) -> absl::Status {
    STRATA_RETURN_IF_ERROR(CheckSession(metadata, txn, context.session));
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                            txn.Get(metadata.meta, EpochKey()));
    EpochRecord epoch;
    if (row.has_value()) {
      STRATA_ASSIGN_OR_RETURN(epoch, DecodeEpoch(*row));
    }
    return body(txn, epoch.epoch);
  });
}

absl::StatusOr<std::optional<InodeRecord>> FindInode(kv::Reader& reader, const Metadata& metadata,
                                                     uint64_t inode) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                          reader.Get(metadata.meta, InodeKey(inode)));
  if (!row.has_value()) return std::optional<InodeRecord>();
  absl::StatusOr<InodeRecord> record = DecodeInode(*row);
  if (!record.ok()) return Annotate(record.status(), absl::StrCat("inode ", inode));
  return std::optional<InodeRecord>(*std::move(record));
}

absl::Status PutInode(kv::Transaction& txn, const Metadata& metadata, uint64_t inode,
                      InodeRecord* record) {
  ++record->change;
  return txn.Put(metadata.meta, InodeKey(inode), Encode(*record));
}

GroupKind KindOf(const FormatRecord& format, const LayoutRecord& layout) {
  return {.pool = layout.pool != 0 ? layout.pool : kDefaultPool,
          .wanted = layout.protection.value_or(format.default_protection)};
}

}  // namespace strata::ofs
