// SPDX-License-Identifier: Apache-2.0
//
// Which devices an appliance exports: any that block::Registry opens, but by absolute paths, and
// none that the appliance itself stands on.
//
// Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace strata::appliance {

// What must not be exported.
struct OwnStorage {
  std::string data{};    // The data directory; empty: there is none.
  std::string device{};  // URI of the containers' device; empty: in the data directory.
};

// InvalidArgument: no device URI; a relative path; a file of the data directory that the appliance
// made, or its device, by whatever name or link, or a disk whose partition that is.
absl::Status CheckExportUri(std::string_view uri, const OwnStorage& own);

// The file or kernel block device that a URI names, through decorators; empty: none.
absl::StatusOr<std::string> FileOfUri(std::string_view uri);

// Whether the content dies with the process: mem: and null:, through decorators.
bool IsFleeting(std::string_view uri);

}  // namespace strata::appliance
