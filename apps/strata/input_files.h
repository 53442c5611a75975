// SPDX-License-Identifier: Apache-2.0
//
// Files to read from the front: those under the paths given on the command line. Used by one
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace strata::appliance {

struct InputFile {
  std::string path;      // "-": standard input.
  std::string relative;  // Below the folder that was given; empty: the path itself was.
  uint64_t size_bytes = 0;
};

// The regular files under `path` in order of name, or the file itself; symbolic links below it are
// not followed. NotFound; Unavailable: the system's words.
absl::StatusOr<std::vector<InputFile>> FilesUnder(const std::string& path);

// Hands the whole file over in pieces. NotFound, Unavailable; otherwise what `take` says.
absl::Status ReadPieces(const std::string& path,
                        const std::function<absl::Status(std::span<const std::byte>)>& take);

}  // namespace strata::appliance
