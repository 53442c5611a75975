// SPDX-License-Identifier: Apache-2.0
//
// The reader of a stream.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "store_core.h"

namespace strata::dedup {

absl::StatusOr<std::unique_ptr<Reader>> CreateReader(StoreCore* core, const StreamId& id);

}  // namespace strata::dedup
