// SPDX-License-Identifier: Apache-2.0
//
// Finds out which disks of a filesystem a list of devices holds.
//
// Thread safety: one thread at a time for one device.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "disks/disk.h"
#include "format/records.h"
#include "strata/base/log.h"
#include "strata/block/device.h"
#include "strata/block/registry.h"

namespace strata::ofs {

struct DiskSource {
  std::string uri{};
  // The device, or why it could not be opened.
  absl::StatusOr<std::unique_ptr<block::Device>> device;
};

// Opens each URI. A device that cannot be opened is no error here: its disk will be absent.
std::vector<DiskSource> OpenSources(const block::Registry& registry,
                                    const std::vector<std::string>& uris);

struct AbsentDisk {
  uint32_t number = 0;
  std::string reason;  // Names the disk, its URI, and why it is not usable.
};

struct FoundDisks {
  std::vector<std::shared_ptr<Disk>> disks;
  std::vector<AbsentDisk> absent;
  // Numbers of the disks of which one copy of the superblock was damaged, or older than the other.
  std::vector<uint32_t> damaged_superblocks;
};

struct OpenDisksOptions {
  bool read_only = false;  // Leaves damaged superblocks as they are.
  LogSink log{};
};

// `expected` are the disks that the filesystem has; removed ones do not count as absent.
// A disk is absent when no device holds it, when its device cannot be opened or read, has lost its
// superblocks or is shorter than they say. FailedPrecondition names a device that holds something
// else: a disk of another filesystem, one that was removed, a disk that another device in the list
// holds as well, or no disk at all. Unimplemented: a newer format.
absl::StatusOr<FoundDisks> OpenDisks(std::vector<DiskSource> sources, const Uuid& filesystem,
                                     const std::map<uint32_t, DiskRecord>& expected,
                                     const OpenDisksOptions& options);

}  // namespace strata::ofs
