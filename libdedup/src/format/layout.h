// SPDX-License-Identifier: Apache-2.0
//
// Where things lie on the device; docs/formats/dedup.md is the specification. Constants only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace strata::dedup {

inline constexpr uint16_t kFormatVersion = 1;

// Regions begin at multiples of a unit within their container; a group of regions that was written
// together begins at a multiple of the device's block.
inline constexpr uint32_t kUnitBytes = 64;

inline constexpr uint64_t kSuperblockOffsets[] = {0, 512u << 10};
inline constexpr uint32_t kSuperblockBytes = 4096;
inline constexpr uint64_t kDataOffsetBytes = 1u << 20;  // Slot 0 begins here.

inline constexpr uint32_t kMinContainerBytes = 1u << 20;
inline constexpr uint32_t kMaxContainerBytes = 64u << 20;
inline constexpr uint32_t kMaxChunksPerContainer = 32768;
inline constexpr uint32_t kMaxChunksPerRegion = 16384;
inline constexpr uint32_t kMaxJournalRegionsPerContainer = 16384;
inline constexpr uint32_t kMaxRegionRawBytes =
    32u << 20;  // One chunk of 16 MiB fits, whatever region_bytes is.

using Uuid = std::array<std::byte, 16>;

inline constexpr uint64_t AlignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}
inline constexpr uint64_t AlignDown(uint64_t value, uint64_t alignment) {
  return value / alignment * alignment;
}

inline uint64_t SlotOffset(uint32_t slot, uint32_t container_bytes) {
  return kDataOffsetBytes + uint64_t{slot} * container_bytes;
}

}  // namespace strata::dedup
