// SPDX-License-Identifier: Apache-2.0
#include "command_line/store/directory_access.h"

#include "appliance/storage_devices.h"

namespace strata::appliance {

bool MayBeReadable(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsResourceExhausted(status);
}

absl::StatusOr<std::unique_ptr<dedup::Directory>> OpenDirectory(dedup::DirectoryOptions options,
                                                                Access access) {
  const block::Registry devices = StorageDevices(options.log);
  if (options.devices == nullptr) options.devices = &devices;
  options.create = access == Access::kCreate;
  options.read_only = access == Access::kRead && (options.read_only || options.assume_unlocked);
  absl::StatusOr<std::unique_ptr<dedup::Directory>> directory = dedup::Directory::Open(options);
  if (access != Access::kRead || options.read_only || !MayBeReadable(directory.status())) {
    return directory;
  }
  options.read_only = true;
  return dedup::Directory::Open(options);
}

}  // namespace strata::appliance
