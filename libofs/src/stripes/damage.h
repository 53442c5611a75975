// SPDX-License-Identifier: Apache-2.0
//
// What was found wrong on a disk, for those who repair it and those who watch.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "disks/disk.h"

namespace strata::ofs {

// A stripe, as an extent names it.
struct StripeName {
  uint64_t group = 0;
  uint32_t column = 0;  // Of its head.
  uint32_t unit_blocks = 0;
  uint64_t birth = 0;
  friend auto operator<=>(const StripeName&, const StripeName&) = default;
};

struct Damage {
  DiskFault fault = DiskFault::kRead;
  uint32_t disk = 0;
  StripeName stripe{};
  int unit = 0;
  absl::Status status{};  // Names all of these.
};

// Runs in the thread that found it, which holds no lock. An empty sink is not called.
using DamageSink = std::function<void(const Damage& damage)>;

// "group 12, column 33, unit 4 on disk 3 (file:/disk3): wrong checksum: ..."
Damage DescribeDamage(DiskFault fault, const Disk& disk, const StripeName& stripe, int unit,
                      std::string_view what);

}  // namespace strata::ofs
