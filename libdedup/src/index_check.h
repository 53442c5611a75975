// SPDX-License-Identifier: Apache-2.0
//
// Holds the chunk index against the containers: each entry must lead to a container that has that
// chunk at that place. A part of the fingerprints at a time, so that memory has a bound: the
// containers' tables are read once for each part.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "store_core.h"

namespace strata::dedup {

struct IndexCheck {
  uint64_t entries = 0;
  std::vector<std::string> damage;  // The first ones by name, then how many more.
};

// `report` is told how many of how many parts are done; its error ends the check.
absl::Status CheckIndex(StoreCore& core,
                        const std::function<absl::Status(uint64_t done, uint64_t total)>& report,
                        IndexCheck* check);

}  // namespace strata::dedup
