// SPDX-License-Identifier: Apache-2.0
//
// Moves a stretch of bytes between block devices, or between one and a caller, with several
// requests on their way at a time. Used by one thread.
//
//   Transfer({.channel = channel.get()}, {.take = write_to_file}, bytes, progress)
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/block/device.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

inline constexpr uint32_t kTransferDepth = 16;
inline constexpr uint32_t kTransferPieceBytes = 1u << 20;
// What a channel for a transfer is opened with.
inline constexpr block::ChannelOptions kTransferChannel{.queue_depth = kTransferDepth + 1};

// Where bytes come from: a channel, from an offset on, or a function that fills the span and
// returns how many bytes it had; fewer only at the end.
struct TransferSource {
  block::Channel* channel = nullptr;
  uint64_t offset_bytes = 0;
  std::function<absl::StatusOr<size_t>(std::span<std::byte>)> fill{};
};

// Where they go: a channel, or a function that is called in order.
struct TransferSink {
  block::Channel* channel = nullptr;
  uint64_t offset_bytes = 0;
  std::function<absl::Status(std::span<const std::byte>)> take{};
};

struct TransferProgress {
  const char* phase = "";
  uint64_t total_bytes = 0;  // 0: not known.
  const dedup::ProgressCallback& callback;
};

// Moves `bytes`, or less where a function has no more. Returns how many. A last piece that is no
// whole number of the sink's blocks keeps the rest of the last block. InvalidArgument: offsets or
// sizes that the devices do not have; Cancelled: by the callback; otherwise what the devices and
// the functions say. Nothing is in flight when it returns.
absl::StatusOr<uint64_t> Transfer(const TransferSource& source, const TransferSink& sink,
                                  uint64_t bytes, const TransferProgress& progress);

}  // namespace strata::appliance
