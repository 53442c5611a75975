// SPDX-License-Identifier: Apache-2.0
//
// The keys of every row of the metadata: a letter for the table, then numbers, big-endian so that
// they sort. docs/formats/ofs.md lists them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "strata/kv/store.h"

namespace strata::ofs {

// Two spaces of the kv store: extents are many and long lists, the rest is points and short lists.
inline constexpr std::string_view kMetaSpace = "ofs.meta";
inline constexpr std::string_view kExtentSpace = "ofs.ext";

enum class Table : char {
  kFormat = 'F',
  kEpoch = 'S',
  kInode = 'I',
  kTouch = 'T',
  kEntry = 'D',
  kLink = 'P',
  kAttribute = 'X',
  kExtent = 'E',         // In kExtentSpace.
  kHistory = 'H',        // Of a later storey.
  kExtentHistory = 'h',  // Of a later storey; in kExtentSpace.
  kOrphan = 'O',         // And pins.
  kFreed = 'Z',
  kGroup = 'G',
  kAllocation = 'A',
  kSegments = 'B',
  kDisk = 'V',
  kPool = 'v',
  kQuota = 'Q',        // Of a later storey.
  kLock = 'K',         // Of a later storey.
  kSessionLock = 'k',  // Of a later storey.
  kSession = 'N',
  kHeartbeat = 'n',
  kCounter = 'C',
  kJob = 'J',
};

inline constexpr uint32_t kSegmentsPerChunk = 8192;  // Of a disk, in one row of kSegments.

std::string FormatKey();
std::string EpochKey();
std::string InodeKey(uint64_t inode);
std::string TouchKey(uint64_t inode);
std::string EntryKey(uint64_t parent, uint64_t name_hash, std::string_view name);
std::string LinkKey(uint64_t inode, uint64_t parent, uint64_t name_hash, std::string_view name);
std::string AttributeKey(uint64_t inode, std::string_view name);
std::string ExtentKey(uint64_t inode, uint64_t offset);
std::string OrphanKey(uint64_t inode);
std::string PinKey(uint64_t inode, uint32_t session);
std::string FreedKey(uint32_t session, uint64_t sequence);
std::string GroupKey(uint64_t group);
std::string AllocationKey(uint64_t group);
std::string SegmentsKey(uint32_t disk, uint32_t chunk);
std::string DiskKey(uint32_t disk);
std::string PoolKey(std::string_view name);
std::string SessionKey(uint32_t session);
std::string HeartbeatKey(uint32_t session);
std::string CounterKey(std::string_view name);
std::string JobKey(std::string_view name);

kv::Range TableRange(Table table);
kv::Range DirectoryRange(uint64_t parent);  // Of kEntry.
kv::Range SegmentsRange(uint32_t disk);

// The numbers in a key, as the functions above put them there. DataLoss: another length or table.
absl::StatusOr<uint64_t> GroupOf(Table table, std::string_view key);
absl::StatusOr<uint64_t> InodeOfExtent(std::string_view key);  // Of kExtent.
absl::StatusOr<uint32_t> DiskOf(std::string_view key);         // Of kDisk.
struct SegmentsChunk {
  uint32_t disk = 0;
  uint32_t chunk = 0;
};
absl::StatusOr<SegmentsChunk> SegmentsOf(std::string_view key);

}  // namespace strata::ofs
