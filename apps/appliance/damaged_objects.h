// SPDX-License-Identifier: Apache-2.0
//
// Which objects a damaged stream belongs to. The stores keep no way back from a stream to its
// owner, so the objects that may be meant, by their size, are read until they fail. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "appliance/appliance.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

struct DamagedObject {
  std::string bucket;
  std::string key;
  std::string version_id;
  uint64_t size_bytes = 0;
  std::string detail;
};

// `damage`: what a verification found. Cancelled: by `progress`.
absl::StatusOr<std::vector<DamagedObject>> FindDamagedObjects(
    Appliance& appliance, const std::vector<dedup::Damage>& damage,
    const dedup::ProgressCallback& progress);

}  // namespace strata::appliance
