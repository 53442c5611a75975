// SPDX-License-Identifier: Apache-2.0
//
// Opens or makes a store and recovers it.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "store_core.h"

namespace strata::dedup {

absl::StatusOr<std::unique_ptr<StoreCore>> OpenStoreCore(const StoreOptions& options);

}  // namespace strata::dedup
