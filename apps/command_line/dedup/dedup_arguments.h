// SPDX-License-Identifier: Apache-2.0
//
// The command line of strata dedup: subcommands, options, and examples in each one's --help.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "command_line/dedup/dedup_commands.h"

namespace strata::appliance {

// Adds `dedup` and its subcommands to `app`. Parsing fills *request, which outlives `app`, and
// hands the command's name (dedup.scan, ...) to `chosen`.
void AddDedupCommands(CLI::App* app, DedupRequest* request,
                      std::function<void(const std::string&)> chosen);

}  // namespace strata::appliance
