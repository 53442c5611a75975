// SPDX-License-Identifier: Apache-2.0
//
// Room on the disk for the day on which it is full: a file that takes some up, PATH/reserve, and is
// emptied then, so that the store opens, streams can be deleted, and garbage be collected.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace strata::dedup {

// What opening, deleting and collecting write of their own, several times over.
inline constexpr uint64_t kReserveBytes = 512u << 10;

absl::StatusOr<uint64_t> FreeBytes(const std::string& path);  // Of the filesystem of `path`.

// Makes the reserve where it is missing. Where that fails the store does without.
void KeepReserve(const std::string& directory);

void ReleaseReserve(const std::string& directory);

}  // namespace strata::dedup
