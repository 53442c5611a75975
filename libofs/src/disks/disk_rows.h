// SPDX-License-Identifier: Apache-2.0
//
// The rows that say which filesystem this is and which disks and pools it has.
//
// Thread safety: any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "format/records.h"
#include "strata/kv/store.h"

namespace strata::ofs {

// The store of the metadata and its two spaces.
struct Metadata {
  kv::Store* store = nullptr;
  kv::SpaceId meta{};
  kv::SpaceId extents{};
};
absl::StatusOr<Metadata> OpenMetadata(kv::Store* store);

struct FilesystemRows {
  FormatRecord format;
  std::map<std::string, PoolRecord> pools;
  std::map<uint32_t, DiskRecord> disks;

  // The name of the pool with this number, for messages.
  std::string PoolName(uint32_t number) const;
};

// NotFound: no filesystem was made here. DataLoss: a row is damaged or contradicts another.
absl::StatusOr<FilesystemRows> ReadFilesystemRows(const Metadata& metadata);

// AlreadyExists: the store holds a filesystem. The format row is written last, durably.
absl::Status WriteFilesystemRows(const Metadata& metadata, const FilesystemRows& rows);

// A disk's row with another state, and a generation one higher. NotFound: no such disk.
absl::StatusOr<DiskRecord> ChangeDiskState(const Metadata& metadata, uint32_t disk, DiskState state,
                                           std::string_view reason, uint64_t now_ns);

// Takes `count` numbers from a counter, durably, and returns the first; numbers begin with 1.
// ResourceExhausted: the numbers up to `most` are used up.
absl::StatusOr<uint64_t> TakeNumbers(const Metadata& metadata, std::string_view counter,
                                     uint64_t count, uint64_t most);

}  // namespace strata::ofs
