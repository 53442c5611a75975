// SPDX-License-Identifier: Apache-2.0
#include "strata/base/range_check.h"

#include <string>

namespace strata {

absl::Status CheckRange(std::string_view option, uint64_t value, uint64_t least, uint64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(std::string(option) + " " + std::to_string(value) +
                                    " is not in " + std::to_string(least) + ".." +
                                    std::to_string(most));
}

}  // namespace strata
