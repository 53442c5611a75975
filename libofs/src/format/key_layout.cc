// SPDX-License-Identifier: Apache-2.0
#include "format/key_layout.h"

#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "strata/base/endian.h"

namespace strata::ofs {
namespace {

std::string Begin(Table table) { return std::string(1, static_cast<char>(table)); }

std::string& Append64(std::string& key, uint64_t value) {
  std::array<std::byte, 8> bytes;
  StoreBe64(bytes.data(), value);
  return key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::string& Append32(std::string& key, uint32_t value) {
  std::array<std::byte, 4> bytes;
  StoreBe32(bytes.data(), value);
  return key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::string Key64(Table table, uint64_t first) {
  std::string key = Begin(table);
  return Append64(key, first);
}

std::string Key32(Table table, uint32_t first) {
  std::string key = Begin(table);
  return Append32(key, first);
}

const std::byte* At(std::string_view key, size_t offset) {
  return reinterpret_cast<const std::byte*>(key.data()) + offset;
}

absl::Status CheckKey(Table table, std::string_view key, size_t size) {
  if (key.size() == size && key[0] == static_cast<char>(table)) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("key ", absl::BytesToHexString({key.data(), std::min<size_t>(key.size(), 40)}),
                   " is none of table ", std::string(1, static_cast<char>(table))));
}

}  // namespace

std::string FormatKey() { return Begin(Table::kFormat); }
std::string EpochKey() { return Begin(Table::kEpoch); }
std::string InodeKey(uint64_t inode) { return Key64(Table::kInode, inode); }
std::string TouchKey(uint64_t inode) { return Key64(Table::kTouch, inode); }
std::string EntryKey(uint64_t parent, uint64_t name_hash, std::string_view name) {
  std::string key = Key64(Table::kEntry, parent);
  return Append64(key, name_hash).append(name);
}
std::string LinkKey(uint64_t inode, uint64_t parent, uint64_t name_hash, std::string_view name) {
  std::string key = Key64(Table::kLink, inode);
  return Append64(Append64(key, parent), name_hash).append(name);
}
std::string AttributeKey(uint64_t inode, std::string_view name) {
  return Key64(Table::kAttribute, inode).append(name);
}
std::string ExtentKey(uint64_t inode, uint64_t offset) {
  std::string key = Key64(Table::kExtent, inode);
  return Append64(key, offset);
}
std::string OrphanKey(uint64_t inode) { return Key64(Table::kOrphan, inode); }
std::string PinKey(uint64_t inode, uint32_t session) {
  std::string key = OrphanKey(inode);
  return Append32(key, session);
}
std::string FreedKey(uint32_t session, uint64_t sequence) {
  std::string key = Key32(Table::kFreed, session);
  return Append64(key, sequence);
}
std::string GroupKey(uint64_t group) { return Key64(Table::kGroup, group); }
std::string AllocationKey(uint64_t group) { return Key64(Table::kAllocation, group); }
std::string SegmentsKey(uint32_t disk, uint32_t chunk) {
  std::string key = Key32(Table::kSegments, disk);
  return Append32(key, chunk);
}
std::string DiskKey(uint32_t disk) { return Key32(Table::kDisk, disk); }
std::string PoolKey(std::string_view name) { return Begin(Table::kPool).append(name); }
std::string SessionKey(uint32_t session) { return Key32(Table::kSession, session); }
std::string HeartbeatKey(uint32_t session) { return Key32(Table::kHeartbeat, session); }
std::string CounterKey(std::string_view name) { return Begin(Table::kCounter).append(name); }
std::string JobKey(std::string_view name) { return Begin(Table::kJob).append(name); }

kv::Range TableRange(Table table) { return kv::PrefixRange(Begin(table)); }
kv::Range DirectoryRange(uint64_t parent) { return kv::PrefixRange(Key64(Table::kEntry, parent)); }
kv::Range SegmentsRange(uint32_t disk) { return kv::PrefixRange(Key32(Table::kSegments, disk)); }

absl::StatusOr<uint64_t> GroupOf(Table table, std::string_view key) {
  if (absl::Status status = CheckKey(table, key, 9); !status.ok()) return status;
  return LoadBe64(At(key, 1));
}

absl::StatusOr<uint64_t> InodeOfExtent(std::string_view key) {
  if (absl::Status status = CheckKey(Table::kExtent, key, 17); !status.ok()) return status;
  return LoadBe64(At(key, 1));
}

absl::StatusOr<uint32_t> DiskOf(std::string_view key) {
  if (absl::Status status = CheckKey(Table::kDisk, key, 5); !status.ok()) return status;
  return LoadBe32(At(key, 1));
}

absl::StatusOr<SegmentsChunk> SegmentsOf(std::string_view key) {
  if (absl::Status status = CheckKey(Table::kSegments, key, 9); !status.ok()) return status;
  return SegmentsChunk{LoadBe32(At(key, 1)), LoadBe32(At(key, 5))};
}

}  // namespace strata::ofs
