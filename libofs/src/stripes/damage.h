// SPDX-License-Identifier: Apache-2.0
//
// What was found wrong on a disk, for those who repair it and those who watch.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "disks/disk.h"

namespace strata::ofs {

struct Damage {
  DiskFault fault = DiskFault::kRead;
  uint32_t disk = 0;
  uint64_t group = 0;
  uint32_t column = 0;  // Of the stripe's head.
  int unit = 0;
  absl::Status status{};  // Names all of these.
};

// Runs in the thread that found it, which holds no lock. An empty sink is not called.
using DamageSink = std::function<void(const Damage& damage)>;

// "group 12, column 33, unit 4 on disk 3 (file:/disk3): wrong checksum: ..."
Damage DescribeDamage(DiskFault fault, const Disk& disk, uint64_t group, uint32_t column, int unit,
                      std::string_view what);

}  // namespace strata::ofs
