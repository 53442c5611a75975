// SPDX-License-Identifier: Apache-2.0
//
// Opens a store's directory as a command needs it.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/dedup/directory.h"

namespace strata::appliance {

enum class Access {
  kCreate,  // Makes the store when absent.
  kChange,
  // Reading will do: where the store cannot be opened for writing, since it is another user's, or
  // on a read-only medium, or the disk is full, it is opened read-only.
  kRead,
};

// Whether a store that could not be opened for writing may be open to reading.
bool MayBeReadable(const absl::Status& status);

absl::StatusOr<std::unique_ptr<dedup::Directory>> OpenDirectory(dedup::DirectoryOptions options,
                                                                Access access);

}  // namespace strata::appliance
