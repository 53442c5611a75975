// SPDX-License-Identifier: Apache-2.0
//
// Checks that exactly those columns are taken that stripes in use lie in, and that of each stripe
// every byte is in use, freed, or counted as dead.
//
// Thread safety: one thread.
#pragma once

#include "absl/status/status.h"
#include "check/check_context.h"
#include "check/data_check.h"

namespace strata::ofs {

// `data` reads each stripe that is in use; null: none is read.
absl::Status CheckStripes(CheckContext* context, DataCheck* data);

}  // namespace strata::ofs
