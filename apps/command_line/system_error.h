// SPDX-License-Identifier: Apache-2.0
//
// What the system says of a file that cannot be read.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace strata::appliance {

// NotFound; Unavailable: the system's words. `error`: an errno.
inline absl::Status SystemError(const std::string& path, int error) {
  const std::string text = absl::StrCat(path, ": ", std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(text) : absl::UnavailableError(text);
}

}  // namespace strata::appliance
