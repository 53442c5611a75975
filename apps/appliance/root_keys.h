// SPDX-License-Identifier: Apache-2.0
//
// The first user of a store, the administrator `root`, and the access key it starts with.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "strata/base/log.h"
#include "strata/object/store.h"

namespace strata::appliance {

inline constexpr char kRootUser[] = "root";

struct RootKeys {
  std::string access_key;
  std::string secret_key;
};

// A pair as AWS makes them: 20 capital letters and digits; 40 characters of Base64's alphabet.
absl::StatusOr<RootKeys> GenerateKeys();

// Takes STRATA_ROOT_ACCESS_KEY and STRATA_ROOT_SECRET_KEY out of the environment: afterwards
// neither a child of this process nor /proc/PID/environ has them. Call it before other threads
// start.
RootKeys TakeRootKeysFromEnvironment();

// Makes the user on the first start, with the keys of `given`, or where they are empty with
// generated ones that DATA/root.keys (mode 0600) tells the operator. Later starts change nothing.
// Interrupted, it is completed by the next start with the same keys. InvalidArgument: only one of
// the pair, or no valid keys. Secrets are never logged.
absl::Status EnsureRootUser(object::Store& objects, const std::string& data, const RootKeys& given,
                            const LogSink& log);

}  // namespace strata::appliance
