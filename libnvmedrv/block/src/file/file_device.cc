// SPDX-License-Identifier: Apache-2.0
#include <linux/magic.h>
#include <sys/vfs.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "file/backing_file.h"
#include "file/file_channels.h"
#include "strata/base/status_macros.h"
#include "strata/block/devices.h"

namespace strata::block {
namespace {

// A file in memory: the kernel has nothing to wait for, and io_uring would hand each request to a
// worker thread, as tmpfs takes none without blocking.
bool IsInMemory(int fd) {
  struct statfs info {};
  return fstatfs(fd, &info) == 0 && (static_cast<uint64_t>(info.f_type) == TMPFS_MAGIC ||
                                     static_cast<uint64_t>(info.f_type) == RAMFS_MAGIC);
}

class FileDevice final : public Device {
 public:
  FileDevice(std::unique_ptr<BackingFile> file, bool uses_uring)
      : file_(std::move(file)), uses_uring_(uses_uring) {}

  const Geometry& geometry() const override { return file_->geometry(); }
  std::string name() const override { return absl::StrCat("file:", file_->path()); }

  absl::StatusOr<std::unique_ptr<Channel>> OpenChannel(const ChannelOptions& options) override {
    STRATA_RETURN_IF_ERROR(file_->opener().Check());
    return uses_uring_ ? OpenUringChannel(*file_, options) : OpenSyscallChannel(*file_, options);
  }

 private:
  const std::unique_ptr<BackingFile> file_;
  const bool uses_uring_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Device>> OpenFileDevice(const FileDeviceOptions& options) {
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<BackingFile> file, BackingFile::Open(options));
  bool uses_uring = options.use_io_uring && !IsInMemory(file->fd());
  if (uses_uring) {
    if (const absl::Status probed = ProbeUring(); !probed.ok()) {
      Log(options.log, LogLevel::kWarning,
          absl::StrCat("block: ", options.path,
                       ": using preadv and pwritev instead of io_uring: ", probed.message()));
      uses_uring = false;
    }
  }
  return std::make_unique<FileDevice>(std::move(file), uses_uring);
}

}  // namespace strata::block
