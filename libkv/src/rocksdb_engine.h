// SPDX-License-Identifier: Apache-2.0
//
// The RocksDB engine by itself. Users take OpenRocksDbStore().
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "engine.h"
#include "strata/kv/engines.h"

namespace strata::kv {

absl::StatusOr<std::unique_ptr<Engine>> OpenRocksDbEngine(const RocksDbOptions& options);

}  // namespace strata::kv
