// SPDX-License-Identifier: Apache-2.0
//
// Files that hold a secret: who may read them, and an access key's secret from one. A secret is
// never part of an error or a log line. Thread-safe: free functions.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace strata::appliance {

// InvalidArgument: every user of the machine may read the open file, or its group may write it.
// `what` says what it holds ("a key"), `path` names it.
absl::Status CheckGuarded(int fd, const std::string& path, const char* what);

// The first line of the file, without its end; "-" is standard input. A file must be guarded; a
// pipe is taken as it is. InvalidArgument: no text, more than one line, or over 128 bytes;
// NotFound, PermissionDenied.
absl::StatusOr<std::string> ReadSecretFile(const std::string& path);

}  // namespace strata::appliance
