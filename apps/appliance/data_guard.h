// SPDX-License-Identifier: Apache-2.0
//
// Keeps other users of the machine out of a data directory: its metadata holds the secret keys of
// users. Thread-safe: a free function.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "strata/base/log.h"

namespace strata::appliance {

// Takes the rights of group and others from what a store made in `data`: meta, containers,
// root.keys, and says so in the log; warns where `data` itself is open to others, and leaves it as
// it is. What is absent stays so. PermissionDenied: others can read a file with secrets, and the
// mode cannot be changed.
absl::Status GuardDataDirectory(const std::string& data, const LogSink& log);

}  // namespace strata::appliance
