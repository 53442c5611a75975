// SPDX-License-Identifier: Apache-2.0
//
// What a disk says about itself, in its first block and once more near its end. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "format/layout.h"
#include "strata/ofs/types.h"

namespace strata::ofs {

struct Superblock {
  Uuid filesystem{};
  Uuid disk{};
  uint64_t generation = 1;  // Grows with each time that it is written.
  uint64_t size_bytes = 0;  // What the filesystem uses of the device: whole blocks.
  uint32_t segment_bytes = 0;
  uint32_t segment_count = 0;
  uint32_t disk_number = 0;  // In rows of the metadata.
  DiskClass disk_class = DiskClass::kSsd;
  std::string domain{};  // "rack1/node2/disk3"
  uint64_t created_ns = 0;

  friend bool operator==(const Superblock&, const Superblock&) = default;
};

// Where the copies lie on a disk of this size, in bytes. REQUIRES: IsUsableDiskSize().
uint64_t SuperblockOffset(int copy, uint64_t size_bytes);

// Room for head, tail and a segment of the smallest size.
bool IsUsableDiskSize(uint64_t size_bytes);
// How many segments fit between the head and the tail area.
uint32_t SegmentsThatFit(uint64_t size_bytes, uint32_t segment_bytes);
// A power of two that cuts the smallest disk into about a thousand segments.
uint32_t ChooseSegmentBytes(uint64_t smallest_disk_bytes);

// InvalidArgument: the path has an empty component, a control character, or is too long.
absl::Status CheckDomain(std::string_view domain);

// kBlockBytes bytes. `copy`: 0 the first, 1 the second.
std::vector<std::byte> EncodeSuperblock(const Superblock& superblock, int copy);

// NotFound: all zeroes, or no superblock of libofs; DataLoss: damaged, or the other copy's;
// Unimplemented: a newer format, named.
absl::StatusOr<Superblock> DecodeSuperblock(std::span<const std::byte> block, int copy);

}  // namespace strata::ofs
