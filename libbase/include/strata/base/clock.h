// SPDX-License-Identifier: Apache-2.0
//
// Clock is where time comes from. Code that waits, expires or stamps takes one as a parameter, so
// that tests and simulations decide what time it is. Implementations are safe from any thread.
#pragma once

#include <cstdint>

#include "strata/base/export.h"

namespace strata {

class STRATA_EXPORT Clock {
 public:
  virtual ~Clock() = default;

  // Nanoseconds since 1970-01-01T00:00:00Z. An operator may set it back: never measure with it.
  virtual int64_t WallNanos() const = 0;

  // Nanoseconds since a fixed, unspecified moment. Never goes back.
  virtual int64_t MonotonicNanos() const = 0;
};

// The machine's own clock. It holds no state and lives as long as the process.
STRATA_EXPORT const Clock& SystemClock();

}  // namespace strata
