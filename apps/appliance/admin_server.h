// SPDX-License-Identifier: Apache-2.0
//
// Commands over a socket: POST /v1/NAME with the arguments as a JSON object. The answer is lines of
// JSON: {"progress": {"phase", "done", "total"}} any number of times, then {"result": ...} or
// {"error": {"code", "message"}}. A client that closes its connection cancels its command.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "appliance/appliance.h"
#include "appliance/http_server.h"
#include "appliance/json_fwd.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

// Runs a command; in several threads at once.
using CommandRunner = std::function<absl::StatusOr<Json>(
    const std::string& name, const Json& arguments, const dedup::ProgressCallback& progress)>;

// Listens on DIRECTORY/admin.sock.
absl::StatusOr<std::unique_ptr<HttpServer>> StartCommandServer(const std::string& directory,
                                                               CommandRunner runner);

// The same for an appliance's data directory and its commands (commands.h). The appliance outlives
// the server.
absl::StatusOr<std::unique_ptr<HttpServer>> StartAdminServer(Appliance* appliance);

}  // namespace strata::appliance
