// SPDX-License-Identifier: Apache-2.0
//
// The answers of `strata nvme` for people. Names may be a host's choice: they are shown escaped.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "appliance/json_fwd.h"

namespace strata::appliance {

// `command` as it was chosen: nvme.subsystem.list, nvme-serve.
std::string FormatNvmeAnswer(std::string_view command, const Json& answer);

// One line that says where a target listens, and what it serves.
std::string FormatListening(const Json& listening);

}  // namespace strata::appliance
