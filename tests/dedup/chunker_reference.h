// SPDX-License-Identifier: Apache-2.0
//
// Every chunker a second time, as slow and plain as its definition in docs/chunkers.md: no tables,
// no rolling, no vectors. Shares no code with the library but the Gear table.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "strata/dedup/chunker.h"

namespace strata::dedup::reference {

// Lengths of all chunks of `data`. REQUIRES: CreateChunker() takes the options; FastCDC: avg_bytes
// 256..16384.
std::vector<uint32_t> Split(const ChunkerOptions& options, std::span<const std::byte> data);

}  // namespace strata::dedup::reference
