// SPDX-License-Identifier: Apache-2.0
//
// The commands of `strata nvme` that move blocks of any device: read, write, copy, bench. Used by
// one thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "appliance/json_fwd.h"
#include "command_line/nvme/nvme_request.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

// As RunNvmeHostCommand(). Unimplemented: no such command.
absl::StatusOr<Json> RunBlockCommand(const std::string& command, const NvmeHostRequest& request,
                                     const dedup::ProgressCallback& progress);

}  // namespace strata::appliance
