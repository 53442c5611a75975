// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says about this process (proc(5)). Thread-safe.
#pragma once

#include <cstdint>

namespace strata::appliance {

struct ProcessFigures {
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t open_files = 0;
  uint64_t max_files = 0;
  uint64_t threads = 0;
  double cpu_seconds = 0;
  double start_seconds = 0;  // Since the Unix epoch.
};

// What cannot be read is 0.
ProcessFigures ReadProcessFigures();

// Raises the limit of open files to what the process may have: each connection is one.
void RaiseFileLimit();

}  // namespace strata::appliance
