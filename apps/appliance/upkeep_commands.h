// SPDX-License-Identifier: Apache-2.0
//
// The commands about the store as a whole: stat, gc, verify, rebuild-index; see commands.h.
#pragma once

#include "absl/status/statusor.h"
#include "appliance/appliance.h"
#include "appliance/arguments.h"
#include "appliance/commands.h"

namespace strata::appliance {

absl::StatusOr<Json> Stat(Appliance& appliance, Arguments& arguments,
                          const dedup::ProgressCallback& progress);
absl::StatusOr<Json> CollectGarbage(Appliance& appliance, Arguments& arguments,
                                    const dedup::ProgressCallback& progress);
absl::StatusOr<Json> Verify(Appliance& appliance, Arguments& arguments,
                            const dedup::ProgressCallback& progress);
absl::StatusOr<Json> RebuildIndex(Appliance& appliance, Arguments& arguments,
                                  const dedup::ProgressCallback& progress);

}  // namespace strata::appliance
