// SPDX-License-Identifier: Apache-2.0
//
// Makes commands' answers (commands.h) readable: aligned columns, sizes in units. Pure.
#pragma once

#include <string>
#include <string_view>

#include "appliance/commands.h"

namespace strata::appliance {

// The answer of `command` for people, with a newline at its end.
std::string FormatAnswer(std::string_view command, const Json& answer);

// "12.3 MiB"
std::string FormatSize(uint64_t bytes);

}  // namespace strata::appliance
