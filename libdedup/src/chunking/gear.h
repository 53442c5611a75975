// SPDX-License-Identifier: Apache-2.0
//
// Gear: each byte adds a random number to a hash that is shifted left by one before, so that it
// depends on the last 64 bytes; a chunk ends where the hash's upper bits are zero. Source: Xia et
// al., "Ddelta: A deduplication-inspired fast delta compression approach", Performance Evaluation
// 79, 2014.
#pragma once

#include <array>
#include <memory>

#include "strata/dedup/chunker.h"

namespace strata::dedup {

using GearTable = std::array<uint64_t, 256>;

// kGear; with a key, 256 numbers drawn from it.
GearTable GearTableOf(const std::optional<ChunkerKey>& key);

// REQUIRES: options were checked by CreateChunker().
std::unique_ptr<const Chunker> CreateGearChunker(const ChunkerOptions& options);

}  // namespace strata::dedup
