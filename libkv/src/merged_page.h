// SPDX-License-Identifier: Apache-2.0
//
// A page of a view as a transaction sees it that has written to the space.
#pragma once

#include "absl/status/statusor.h"
#include "engine.h"
#include "space_writes.h"
#include "strata/kv/store.h"

namespace strata::kv {

absl::StatusOr<Page> MergePage(const View& view, const SpaceWrites& own, SpaceId space,
                               const Range& range, const PageOptions& options);

}  // namespace strata::kv
