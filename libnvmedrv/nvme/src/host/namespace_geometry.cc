// SPDX-License-Identifier: Apache-2.0
#include "host/namespace_geometry.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "host/namespace_ids.h"

namespace strata::nvme {
namespace {

constexpr uint32_t kMostTransferBytes = 16u << 20;
constexpr uint64_t kMostCommandBlocks = 65536;

}  // namespace

absl::StatusOr<block::Geometry> GeometryOf(const std::string& what, const IdentifyNamespace& space,
                                           const IdentifyController& controller,
                                           const TransportLimits& limits) {
  using N = IdentifyNamespace;
  const uint64_t block_count = space.Get(N::kSize);
  if (block_count == 0) return absl::NotFoundError(absl::StrCat(what, " does not exist"));
  const uint32_t block_bytes = BlockBytes(space);
  if (block_bytes == 0) {
    return absl::UnimplementedError(
        absl::StrCat(what, " has metadata, or blocks that are not of 512 to 65536 bytes"));
  }
  if (block_count > (uint64_t{1} << 62) / block_bytes) {
    return absl::DataLossError(absl::StrFormat("%s claims %d blocks", what, block_count));
  }
  uint64_t most_bytes = std::min(limits.max_transfer_bytes, kMostTransferBytes);
  if (const uint8_t mdts = controller.Get(IdentifyController::kMaxTransfer); mdts != 0) {
    most_bytes = std::min(most_bytes, uint64_t{4096} << std::min<uint8_t>(mdts, 40));
  }
  most_bytes = std::min(most_bytes, uint64_t{65536} * block_bytes) / block_bytes * block_bytes;
  if (most_bytes == 0) {
    return absl::UnimplementedError(absl::StrCat(what, " has blocks larger than a transfer"));
  }
  const uint16_t oncs = controller.Get(IdentifyController::kIoCommands);
  const uint8_t features = space.Get(N::kFeatures);
  const uint16_t atomic_0based =
      (features & 0x02) != 0 ? space.Get(N::kAtomicWritePowerFail0based)
                             : controller.Get(IdentifyController::kAtomicWritePowerFail0based);
  return block::Geometry{
      .block_size_bytes = block_bytes,
      .block_count = block_count,
      .max_transfer_bytes = static_cast<uint32_t>(most_bytes),
      .max_segments = limits.max_segments,
      .buffer_alignment_bytes = limits.buffer_alignment_bytes,
      .volatile_write_cache = (controller.Get(IdentifyController::kVolatileWriteCache) & 0x01) != 0,
      .atomic_write_blocks = atomic_0based + 1u,
      .thin = (features & 0x01) != 0,
      // A discarded block of ours reads as zeroes, which Write Zeroes alone promises: where it may
      // not deallocate, or deallocated blocks read as something else, there is no discard.
      .supports_discard =
          (oncs & kOncsWriteZeroes) != 0 && (space.Get(N::kDeallocate) & 0x0f) == 0x09,
      .read_only = (space.Get(N::kAttributes) & 0x01) != 0};
}

uint32_t MostZeroedBlocks(uint8_t limit, uint32_t block_size_bytes) {
  if (limit == 0) return static_cast<uint32_t>(kMostCommandBlocks);
  const uint64_t blocks = (uint64_t{4096} << std::min<uint8_t>(limit, 40)) / block_size_bytes;
  return static_cast<uint32_t>(std::clamp<uint64_t>(blocks, 1, kMostCommandBlocks));
}

}  // namespace strata::nvme
