// SPDX-License-Identifier: Apache-2.0
//
// Sends a command to the stratad that holds a data directory; the other end of admin_server.h.
// Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "appliance/commands.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

// What the command says, code and message. Unavailable: stratad ended. Cancelled: `progress`
// returned false.
absl::StatusOr<Json> SendCommand(const std::string& data, const std::string& name,
                                 const Json& arguments, const dedup::ProgressCallback& progress);

// Is a stratad listening on DATA/admin.sock?
bool DaemonListens(const std::string& data);

}  // namespace strata::appliance
