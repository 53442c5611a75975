// SPDX-License-Identifier: Apache-2.0
//
// The embedded engines behind kv::Store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/kv/store.h"

namespace strata::kv {

// Keeps everything in memory; for tests and simulation. Checkpoint is Unimplemented.
STRATA_EXPORT std::unique_ptr<Store> CreateMemoryStore();

struct RocksDbOptions {
  std::string directory;  // Made when absent.
  bool create_if_missing = true;
  // Changes nothing in the directory, not even a lock: for another user's store, a read-only
  // medium, a snapshot, a full disk. What would write fails with FailedPrecondition, spaces that
  // are not there read as empty. Beside a store that is open for writing it is refused.
  bool read_only = false;
  // Read-only, where no lock can be looked at: the caller knows that nobody writes. When somebody
  // does, reads fail or answer as of the opening.
  bool assume_unlocked = false;
  // Takes as little room as it can: the log of an earlier opening stays as it is, and is held in
  // memory; nothing is allocated ahead.
  bool disk_is_full = false;
  size_t block_cache_bytes = 32u << 20;         // Shared by all spaces.
  size_t memtable_bytes = 16u << 20;            // Per space.
  size_t max_memtable_total_bytes = 32u << 20;  // All spaces together.
  int max_background_threads = 2;               // RocksDB's own compaction and flush threads.
  LogSink log;
};

// FailedPrecondition: another process, or this one, has the directory open, or read_only cannot
// tell whether one has; names it. DataLoss: the files are damaged.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(
    const RocksDbOptions& options);

}  // namespace strata::kv
