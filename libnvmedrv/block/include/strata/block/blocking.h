// SPDX-License-Identifier: Apache-2.0
//
// Calls that wait, on top of a Channel: for tools, tests and code that is blocking by nature. Each
// call submits, polls until its own request is done (sleeping on the channel's eventfd when nothing
// completes) and returns its status. Transfers longer than the device's max_transfer_bytes are
// split.
//
// Thread safety: the Channel's own: one thread at a time.
#pragma once

#include <cstddef>
#include <span>

#include "absl/status/status.h"
#include "strata/base/export.h"
#include "strata/block/device.h"

namespace strata::block {

// Polls once; when nothing completed, sleeps until something has. REQUIRES: requests in flight.
STRATA_EXPORT void PollOrSleep(Channel& channel);

// `data`: a whole number of blocks; its address aligned as geometry().buffer_alignment_bytes says.
STRATA_EXPORT absl::Status ReadBlocking(Channel& channel, Lba lba, std::span<std::byte> data);
STRATA_EXPORT absl::Status WriteBlocking(Channel& channel, Lba lba,
                                         std::span<const std::byte> data);

STRATA_EXPORT absl::Status FlushBlocking(Channel& channel);
STRATA_EXPORT absl::Status DiscardBlocking(Channel& channel, Lba lba, uint64_t block_count);
STRATA_EXPORT absl::Status WriteZeroesBlocking(Channel& channel, Lba lba, uint64_t block_count);

}  // namespace strata::block
