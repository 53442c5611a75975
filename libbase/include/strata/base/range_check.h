// SPDX-License-Identifier: Apache-2.0
//
// Whether the value of an option is one that is allowed.
//
//   STRATA_RETURN_IF_ERROR(CheckRange("max_hosts", options.max_hosts, 1, 1024));
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "strata/base/export.h"

namespace strata {

// InvalidArgument names the option, its value and the range, whose ends are allowed.
STRATA_EXPORT absl::Status CheckRange(std::string_view option, uint64_t value, uint64_t least,
                                      uint64_t most);

}  // namespace strata
