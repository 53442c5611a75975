// SPDX-License-Identifier: Apache-2.0
//
// The fixed numbers of a disk of libofs. docs/formats/ofs.md explains them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace strata::ofs {

using Uuid = std::array<std::byte, 16>;

inline constexpr uint32_t kBlockBytes = 4096;  // Of a column, a head, a checksum.

// Of a disk: the first and the last MiB hold a superblock each, segments lie between them.
inline constexpr uint64_t kHeadAreaBytes = uint64_t{1} << 20;
inline constexpr uint64_t kTailAreaBytes = uint64_t{1} << 20;

inline constexpr uint32_t kMinSegmentBytes = uint32_t{1} << 20;
inline constexpr uint32_t kMaxSegmentBytes = uint32_t{1} << 30;
inline constexpr uint32_t kMaxSegmentsPerDisk = uint32_t{1} << 24;
inline constexpr uint32_t kWantedSegments = 1000;  // Of the smallest disk.

inline constexpr uint32_t kMaxDisks = 4096;  // Numbered from 1.
inline constexpr size_t kMaxDomainBytes = 255;
inline constexpr size_t kMaxPoolNameBytes = 64;
inline constexpr size_t kMaxUriBytes = 4096;
inline constexpr uint32_t kMaxPools = 255;
inline constexpr uint32_t kDefaultPool = 1;  // Its number.

inline constexpr uint32_t kMaxUnitBlocks = 32;  // A unit has 1 to 32 blocks, 128 KiB at most.

// A birth is the number of a session (24 bits) and, below it, the number of a stripe in it.
inline constexpr int kBirthSequenceBits = 40;
inline constexpr uint32_t kMaxSession = (1u << 24) - 1;

constexpr uint64_t DivideUp(uint64_t value, uint64_t by) { return (value + by - 1) / by; }

}  // namespace strata::ofs
