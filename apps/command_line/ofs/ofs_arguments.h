// SPDX-License-Identifier: Apache-2.0
//
// The command line of strata ofs: its options and their help. Used by one thread.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "command_line/ofs/ofs_request.h"

namespace strata::appliance {

// Adds `ofs` and its subcommands to `app`. Parsing fills *request, which outlives `app`, and hands
// the command's name, as ofs.mount, to `chosen`.
void AddOfsCommands(CLI::App* app, OfsRequest* request,
                    const std::function<void(const std::string&)>& chosen);

}  // namespace strata::appliance
