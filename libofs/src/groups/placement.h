// SPDX-License-Identifier: Apache-2.0
//
// Which disks the units of a new group go to. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "strata/ofs/types.h"

namespace strata::ofs {

// A disk that has a free segment.
struct DiskSpace {
  uint32_t disk = 0;
  std::string domain{};  // DomainOf() its path.
  uint32_t free_segments = 0;
  uint32_t segment_count = 0;
};

struct Placement {
  Protection protection;        // What was wanted, or with fewer data units.
  std::vector<uint32_t> disks;  // In the order of the units.
};

// The first `depth` components of a disk's path; 0: the whole path.
std::string_view DomainOf(std::string_view path, uint32_t depth);

// What is left of a protection in so few failure domains: k shrinks, the tolerated losses stay. A
// locally repairable code becomes Reed-Solomon. nullopt: too few even for copies.
std::optional<Protection> Shrink(const Protection& wanted, size_t domain_count);

// Takes the least full disk of each of the least full domains. Which of them holds which unit
// depends on `group`, so that parity spreads over all disks. ResourceExhausted: too few domains,
// with their number and how many it takes.
absl::StatusOr<Placement> Place(const Protection& wanted, std::vector<DiskSpace> disks,
                                uint64_t group);

}  // namespace strata::ofs
