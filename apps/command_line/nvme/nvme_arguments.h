// SPDX-License-Identifier: Apache-2.0
//
// The command line of strata nvme: its options and their help. Used by one thread.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "appliance/json.h"
#include "command_line/nvme/nvme_request.h"

namespace strata::appliance {

// Adds `nvme` and its subcommands to `app`. Parsing fills *arguments, of the commands that stratad
// has, or *request, both of which outlive `app`, and hands the command's name to `chosen`:
// nvme.subsystem.list is stratad's, nvme-serve is not.
void AddNvmeCommands(CLI::App* app, Json* arguments, NvmeRequest* request,
                     std::function<void(const std::string&)> chosen);

}  // namespace strata::appliance
