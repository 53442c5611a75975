// SPDX-License-Identifier: Apache-2.0
#include "disks/disk_rows.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "format/key_layout.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr size_t kRowsPerTransaction = 64;

std::string DiskText(uint32_t number) { return absl::StrCat("row of disk ", number); }

absl::Status CheckPools(const FilesystemRows& rows) {
  std::set<uint32_t> numbers;
  for (const auto& [name, pool] : rows.pools) {
    if (!numbers.insert(pool.number).second) {
      return absl::DataLossError(absl::StrCat("two pools have the number ", pool.number));
    }
  }
  for (const auto& [number, disk] : rows.disks) {
    if (!numbers.contains(disk.pool)) {
      return absl::DataLossError(absl::StrCat(DiskText(number), ": there is no pool ", disk.pool));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Metadata> OpenMetadata(kv::Store* store) {
  Metadata metadata{.store = store};
  STRATA_ASSIGN_OR_RETURN(metadata.meta, store->OpenSpace(kMetaSpace, {}));
  STRATA_ASSIGN_OR_RETURN(metadata.extents, store->OpenSpace(kExtentSpace, {}));
  return metadata;
}

std::string FilesystemRows::PoolName(uint32_t number) const {
  for (const auto& [name, pool] : pools) {
    if (pool.number == number) return name;
  }
  return absl::StrCat("number ", number);
}

absl::StatusOr<FilesystemRows> ReadFilesystemRows(const Metadata& metadata) {
  FilesystemRows rows;
  const std::unique_ptr<kv::Snapshot> snapshot = metadata.store->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> format,
                          snapshot->Get(metadata.meta, FormatKey()));
  if (!format.has_value()) return absl::NotFoundError("the metadata holds no filesystem");
  STRATA_ASSIGN_OR_RETURN(rows.format, DecodeFormat(*format));
  STRATA_RETURN_IF_ERROR(
      kv::ForEach(*snapshot, metadata.meta, TableRange(Table::kPool), [&](const kv::KeyValue& row) {
        const absl::StatusOr<PoolRecord> pool = DecodePool(row.value);
        if (pool.ok()) rows.pools[row.key.substr(1)] = *pool;
        return Annotate(pool.status(), absl::StrCat("pool ", row.key.substr(1)));
      }));
  STRATA_RETURN_IF_ERROR(kv::ForEach(*snapshot, metadata.meta, TableRange(Table::kDisk),
                                     [&](const kv::KeyValue& row) -> absl::Status {
                                       STRATA_ASSIGN_OR_RETURN(const uint32_t number,
                                                               DiskOf(row.key));
                                       absl::StatusOr<DiskRecord> disk = DecodeDisk(row.value);
                                       if (!disk.ok()) {
                                         return Annotate(disk.status(), DiskText(number));
                                       }
                                       rows.disks[number] = *std::move(disk);
                                       return absl::OkStatus();
                                     }));
  STRATA_RETURN_IF_ERROR(CheckPools(rows));
  return rows;
}

absl::Status WriteFilesystemRows(const Metadata& metadata, const FilesystemRows& rows) {
  STRATA_RETURN_IF_ERROR(CheckPools(rows));
  std::vector<std::pair<std::string, std::string>> pending;
  for (const auto& [name, pool] : rows.pools) pending.emplace_back(PoolKey(name), Encode(pool));
  for (const auto& [number, disk] : rows.disks) pending.emplace_back(DiskKey(number), Encode(disk));
  uint32_t last_disk = 0;
  if (!rows.disks.empty()) last_disk = rows.disks.rbegin()->first;
  pending.emplace_back(CounterKey("disk"), Encode(CounterRecord{.next = last_disk + 1}));
  pending.emplace_back(FormatKey(), Encode(rows.format));
  for (size_t at = 0; at < pending.size(); at += kRowsPerTransaction) {
    const size_t end = std::min(pending.size(), at + kRowsPerTransaction);
    const auto write = [&](kv::Transaction& txn) -> absl::Status {
      STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> format,
                              txn.Get(metadata.meta, FormatKey()));
      if (format.has_value()) {
        return absl::AlreadyExistsError("the metadata holds a filesystem already");
      }
      for (size_t i = at; i < end; ++i) {
        STRATA_RETURN_IF_ERROR(txn.Put(metadata.meta, pending[i].first, pending[i].second));
      }
      return absl::OkStatus();
    };
    STRATA_RETURN_IF_ERROR(kv::RunTransaction(*metadata.store, kv::Durability::kSync, write));
  }
  return absl::OkStatus();
}

absl::StatusOr<DiskRecord> ChangeDiskState(const Metadata& metadata, uint32_t disk, DiskState state,
                                           std::string_view reason, uint64_t now_ns) {
  DiskRecord record;
  const auto change = [&](kv::Transaction& txn) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                            txn.Get(metadata.meta, DiskKey(disk)));
    if (!row.has_value()) return absl::NotFoundError(absl::StrCat("there is no disk ", disk));
    STRATA_ASSIGN_OR_RETURN(record, DecodeDisk(*row));
    record.state = state;
    record.reason = reason;
    record.changed_ns = now_ns;
    ++record.generation;
    return txn.Put(metadata.meta, DiskKey(disk), Encode(record));
  };
  STRATA_RETURN_IF_ERROR(kv::RunTransaction(*metadata.store, kv::Durability::kSync, change));
  return record;
}

absl::StatusOr<uint64_t> TakeNumbers(const Metadata& metadata, std::string_view counter,
                                     uint64_t count, uint64_t most) {
  uint64_t first = 0;
  const auto take = [&](kv::Transaction& txn) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                            txn.Get(metadata.meta, CounterKey(counter)));
    CounterRecord record{.next = 1};
    if (row.has_value()) {
      STRATA_ASSIGN_OR_RETURN(record, DecodeCounter(*row));
    }
    first = record.next;
    if (first == 0 || first > most || most - first + 1 < count) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "the counter '", absl::string_view(counter.data(), counter.size()), "' has run out"));
    }
    return txn.Put(metadata.meta, CounterKey(counter),
                   Encode(CounterRecord{.next = first + count}));
  };
  STRATA_RETURN_IF_ERROR(kv::RunTransaction(*metadata.store, kv::Durability::kSync, take));
  return first;
}

}  // namespace strata::ofs
