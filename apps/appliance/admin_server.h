// SPDX-License-Identifier: Apache-2.0
//
// Commands over a socket: POST /v1/NAME with the arguments as a JSON object. The answer is lines of
// JSON: {"progress": {"phase", "done", "total"}} any number of times, then {"result": ...} or
// {"error": {"code", "message"}}. A client that closes its connection cancels its command.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "appliance/appliance.h"
#include "appliance/http_server.h"

namespace strata::appliance {

// Listens on DATA/admin.sock. The appliance outlives the server.
absl::StatusOr<std::unique_ptr<HttpServer>> StartAdminServer(Appliance* appliance);

}  // namespace strata::appliance
