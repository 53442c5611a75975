// SPDX-License-Identifier: Apache-2.0
//
// Reads a TOML file of sections into a flat list. It knows no keys. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace strata::appliance {

struct FileSetting {
  std::string name;   // "section.key"
  std::string value;  // Text; the items of a list joined by commas.
  int line = 0;       // 1-based.
};

// NotFound, PermissionDenied: the file. InvalidArgument: syntax, or a value that is neither string,
// number, boolean nor a list of strings; names file and line.
absl::StatusOr<std::vector<FileSetting>> ReadConfigFile(const std::string& path);

}  // namespace strata::appliance
