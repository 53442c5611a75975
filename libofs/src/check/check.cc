// SPDX-License-Identifier: Apache-2.0
#include "strata/ofs/check.h"

#include <memory>
#include <utility>
#include <vector>

#include "check/check_context.h"
#include "check/data_check.h"
#include "check/filesystem_check.h"
#include "check/group_check.h"
#include "check/stripe_check.h"
#include "check/tree_check.h"
#include "format/key_layout.h"
#include "strata/base/range_check.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

// To open a space is to make it, which is not for a check to do.
absl::Status CheckHasSpaces(kv::Store& store) {
  const absl::StatusOr<std::vector<kv::SpaceInfo>> spaces = store.ListSpaces();
  if (absl::IsUnimplemented(spaces.status())) return absl::OkStatus();
  STRATA_RETURN_IF_ERROR(spaces.status());
  int found = 0;
  for (const kv::SpaceInfo& space : *spaces) {
    found += space.name == kMetaSpace || space.name == kExtentSpace ? 1 : 0;
  }
  return found == 2 ? absl::OkStatus() : absl::NotFoundError("the store holds no filesystem");
}

}  // namespace

absl::StatusOr<CheckReport> Check(const CheckOptions& options) {
  if (options.store == nullptr) return absl::InvalidArgumentError("no store");
  STRATA_RETURN_IF_ERROR(
      CheckRange("memory_bytes", options.memory_bytes, 1u << 20, uint64_t{1} << 40));
  STRATA_RETURN_IF_ERROR(CheckHasSpaces(*options.store));
  CheckReport report;
  Findings findings(&report);
  CheckContext context{.options = options, .report = &report, .findings = &findings};
  STRATA_ASSIGN_OR_RETURN(context.metadata, OpenMetadata(options.store));
  STRATA_ASSIGN_OR_RETURN(const bool can_go_on, CheckFilesystemRows(&context));
  if (!can_go_on) return report;
  STRATA_ASSIGN_OR_RETURN(std::vector<std::shared_ptr<Disk>> opened, CheckDisks(context));
  DiskSet disks(std::move(opened));
  context.disks = &disks;
  STRATA_RETURN_IF_ERROR(CheckGroups(&context));
  STRATA_RETURN_IF_ERROR(CheckTree(&context));
  std::unique_ptr<DataCheck> data;
  if (options.read_data) data = std::make_unique<DataCheck>(&context);
  STRATA_RETURN_IF_ERROR(CheckStripes(&context, data.get()));
  if (data != nullptr) STRATA_RETURN_IF_ERROR(data->NameLost());
  return report;
}

}  // namespace strata::ofs
