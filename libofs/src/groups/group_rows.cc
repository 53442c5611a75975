// SPDX-License-Identifier: Apache-2.0
#include "groups/group_rows.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "format/key_layout.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {

std::string GroupText(uint64_t group) { return absl::StrCat("group ", group); }

absl::StatusOr<AllocationRecord> GetAllocation(const Metadata& metadata, kv::Reader& reader,
                                               uint64_t group) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                          reader.Get(metadata.meta, AllocationKey(group)));
  if (!row.has_value()) return absl::NotFoundError(absl::StrCat("there is no group ", group));
  absl::StatusOr<AllocationRecord> record = DecodeAllocation(*row);
  if (!record.ok()) return Annotate(record.status(), GroupText(group));
  return record;
}

absl::StatusOr<GroupRecord> GetGroup(const Metadata& metadata, kv::Reader& reader, uint64_t group) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                          reader.Get(metadata.meta, GroupKey(group)));
  if (!row.has_value()) return absl::NotFoundError(absl::StrCat("there is no group ", group));
  absl::StatusOr<GroupRecord> record = DecodeGroup(*row);
  if (!record.ok()) return Annotate(record.status(), GroupText(group));
  return record;
}

}  // namespace strata::ofs
