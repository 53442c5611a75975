// SPDX-License-Identifier: Apache-2.0
//
// STRATA_CHECK stops the process when an invariant of our own code is broken. It is always on.
// Bad input, bad media and a bad peer are not invariants: they are an absl::Status.
//
//   STRATA_CHECK(refs > 0, "Unref without a matching Ref");
#pragma once

#include <string_view>

#include "strata/base/export.h"

namespace strata {

// Prints one line (file, line, condition, message) to stderr and aborts. Any thread may call it.
[[noreturn]] STRATA_EXPORT void CheckFailed(const char* file, int line, const char* condition,
                                            std::string_view message);

}  // namespace strata

// `message` is evaluated only when `condition` is false.
#define STRATA_CHECK(condition, message)                                \
  do {                                                                  \
    if (!(condition)) [[unlikely]] {                                    \
      ::strata::CheckFailed(__FILE__, __LINE__, #condition, (message)); \
    }                                                                   \
  } while (false)
