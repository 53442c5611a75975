// SPDX-License-Identifier: Apache-2.0
//
// A Unix socket by directory and name, however long the directory's path is. Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace strata::appliance {

// The socket in the data directory where stratad takes commands, for its owner alone.
inline constexpr char kAdminSocket[] = "admin.sock";

// Listens on DIRECTORY/NAME, mode 0600, in place of what is there. Returns a descriptor that does
// not block.
absl::StatusOr<int> ListenLocal(const std::string& directory, const std::string& name);

// Takes the name of a socket away that nobody listens on any more.
void RemoveLocal(const std::string& directory, const std::string& name);

// NotFound: nobody listens there. Returns a descriptor that does not block.
absl::StatusOr<int> ConnectLocal(const std::string& directory, const std::string& name);

}  // namespace strata::appliance
