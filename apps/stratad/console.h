// SPDX-License-Identifier: Apache-2.0
//
// The web console: one self-contained page that shows the figures of /status.json. The page is
// console/index.html; CMake puts it into the program.
#pragma once

#include <string_view>

namespace strata::appliance {

// HTML, without anything from elsewhere.
std::string_view ConsolePage();

}  // namespace strata::appliance
