// SPDX-License-Identifier: Apache-2.0
//
// The file that holds a store's encryption key: 32 bytes as they are, or 64 hexadecimal digits with
// or without a line's end. `openssl rand -hex 32` makes one. What was read is never part of an
// error or a log line. Thread-safe: a free function.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

// nullopt: `path` is empty. Errors name the path. InvalidArgument: not a key, not a regular file,
// or readable by every user of the machine, or writable by its group; NotFound, PermissionDenied.
absl::StatusOr<std::optional<dedup::EncryptionKey>> ReadKeyFile(const std::string& path);

}  // namespace strata::appliance
