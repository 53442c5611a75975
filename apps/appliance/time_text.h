// SPDX-License-Identifier: Apache-2.0
//
// Times as operators and programs read them (ISO 8601, UTC). Thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace strata::appliance {

// "2026-01-31T12:00:00Z"
std::string FormatTime(uint64_t ns_since_epoch);

}  // namespace strata::appliance
