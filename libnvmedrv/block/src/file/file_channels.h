// SPDX-License-Identifier: Apache-2.0
//
// The two ways of making a file's kernel calls: through io_uring, and by plain system calls inside
// Poll().
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "file/backing_file.h"
#include "strata/block/device.h"

namespace strata::block {

// OK when this kernel lets us have a ring that knows every operation we need; otherwise why not.
absl::Status ProbeUring();

absl::StatusOr<std::unique_ptr<Channel>> OpenUringChannel(BackingFile& file,
                                                          const ChannelOptions& options);

absl::StatusOr<std::unique_ptr<Channel>> OpenSyscallChannel(BackingFile& file,
                                                            const ChannelOptions& options);

}  // namespace strata::block
