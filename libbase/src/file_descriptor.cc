// SPDX-License-Identifier: Apache-2.0
#include "strata/base/file_descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "strata/base/errno_status.h"

namespace strata {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

absl::Status SyncFolder(const std::string& path) {
  const FileDescriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open() || fsync(folder.get()) != 0) return ErrnoStatus(errno, path);
  return absl::OkStatus();
}

}  // namespace strata
