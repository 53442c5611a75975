// SPDX-License-Identifier: Apache-2.0
//
// The answers of `strata ofs` for people. Pure.
#pragma once

#include <string>

#include "appliance/json_fwd.h"

namespace strata::appliance {

// With a newline at its end.
std::string FormatOfsAnswer(const std::string& command, const Json& answer);

// One line that says that a mount point can be used.
std::string FormatMounted(const Json& mounted);

}  // namespace strata::appliance
