// SPDX-License-Identifier: Apache-2.0
//
// Reads, writes and flushes on several disks at once: the caller's thread starts all of them and
// waits for all of them.
//
//   std::vector<Transfer> transfers;
//   for (...) transfers.push_back({.disk = disk, .op = block::Op::kRead, ...});
//   RunTransfers(transfers);
//   for (const Transfer& transfer : transfers) Use(transfer.status, transfer.memory);
//
// Thread safety: any thread; a Transfer belongs to its caller.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "disks/disk.h"
#include "strata/block/device.h"

namespace strata::ofs {

struct Transfer {
  std::shared_ptr<Disk> disk;
  block::Op op = block::Op::kRead;  // kRead, kWrite or kFlush.
  uint64_t offset_bytes = 0;        // A multiple of kBlockBytes.
  std::span<std::byte> memory{};    // Whole blocks, aligned to one. Read from when it is a write.
  // Set by RunTransfers(): names the disk and the offset. A device's errors are counted.
  absl::Status status{};
};

// Transfers that a device would have to cut are cut. Each ends with a status of its own.
void RunTransfers(std::span<Transfer> transfers);

// Flushes each of the disks once. The status names all disks that failed; they get no new stripes.
absl::Status FlushDisks(std::span<const std::shared_ptr<Disk>> disks,
                        std::vector<uint32_t>* failed = nullptr);

}  // namespace strata::ofs
