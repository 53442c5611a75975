// SPDX-License-Identifier: Apache-2.0
//
// Makes devices disks of a new filesystem, or of one that exists.
//
// Thread safety: one thread at a time for one device.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "disks/disk.h"
#include "strata/block/device.h"

namespace strata::ofs {

struct NewDisk {
  std::unique_ptr<block::Device> device;
  std::string uri{};
  uint32_t number = 0;
  DiskClass disk_class = DiskClass::kSsd;
  std::string domain{};  // Empty: a domain of its own, named after its uuid.
};

struct FormatDisksOptions {
  Uuid filesystem{};
  uint32_t segment_bytes = 0;  // 0: chosen by the smallest disk.
  bool force = false;          // Overwrites what a device carries.
  uint64_t now_ns = 0;
};

// All disks are examined before one is written. InvalidArgument: a device that cannot be a disk
// (too small, read-only, zoned, blocks over 4 KiB, keeps nothing), or twice in the list.
// FailedPrecondition: a device carries something; the message says what.
absl::StatusOr<std::vector<std::shared_ptr<Disk>>> FormatDisks(std::vector<NewDisk> disks,
                                                               const FormatDisksOptions& options);

// How a disk is opened from now on: without the option `create`. One that is absent then must not
// be made again, empty.
std::string WithoutCreate(std::string uri);

// Writes both copies, the second one first, and flushes in between: one of them is always whole.
absl::Status WriteSuperblock(block::Device& device, const Superblock& superblock);

}  // namespace strata::ofs
