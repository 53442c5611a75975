// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong below an object store, said in its own terms.
// Pure; thread-safe.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace strata::object {

// Gives errors of the kv and dedup stores their Reason: a full device is kStorageFull, damage is
// kDamaged. Others, and those that have a Reason, pass through.
absl::Status FromStorage(absl::Status status);

// The same, and says what was being done.
absl::Status FromStorage(absl::Status status, std::string_view doing);

}  // namespace strata::object
