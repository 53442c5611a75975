// SPDX-License-Identifier: Apache-2.0
//
// What deduplication would save on files as they are; nothing is stored. Pure but for reading.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "appliance/commands.h"
#include "strata/dedup/chunker.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

// Each path is a version: what earlier ones have is not new. The answer is that of dedup.scan
// (dedup_commands.h). Memory: about 60 bytes for each unique chunk and algorithm.
absl::StatusOr<Json> ScanFiles(const std::vector<std::string>& paths,
                               const std::vector<dedup::ChunkerOptions>& chunkers,
                               const dedup::ProgressCallback& progress);

}  // namespace strata::appliance
