// SPDX-License-Identifier: Apache-2.0
//
// Ends a test program or a bench, with the error, when a call that must succeed does not.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/check.h"

namespace strata::test {

inline void Must(const absl::Status& status) { STRATA_CHECK(status.ok(), status.ToString()); }

template <typename T>
T Must(absl::StatusOr<T> result) {
  Must(result.status());
  return *std::move(result);
}

}  // namespace strata::test
