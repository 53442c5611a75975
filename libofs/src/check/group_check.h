// SPDX-License-Identifier: Apache-2.0
//
// Checks the rows of groups, and that exactly their segments are taken.
//
// Thread safety: one thread.
#pragma once

#include "absl/status/status.h"
#include "check/check_context.h"

namespace strata::ofs {

absl::Status CheckGroups(CheckContext* context);

}  // namespace strata::ofs
