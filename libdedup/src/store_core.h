// SPDX-License-Identifier: Apache-2.0
//
// The parts of an open store, and what writers, readers and the long jobs share. Made by
// OpenStoreCore() (open.h).
//
// Thread safety: the parts lock for themselves.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "containers/chunk_reader.h"
#include "containers/container_log.h"
#include "containers/journal.h"
#include "containers/worker_pool.h"
#include "format/cipher.h"
#include "format/codec.h"
#include "format/index_records.h"
#include "format/recipe.h"
#include "format/superblock.h"
#include "index/chunk_index.h"
#include "operation_timer.h"
#include "reading/container_table.h"
#include "reading/device_io.h"
#include "strata/base/mutex.h"
#include "strata/dedup/store.h"
#include "stream_totals.h"

namespace strata::dedup {

// What the log leaves to garbage collection, which must be able to copy before it can free.
inline constexpr uint32_t kReservedSlots = 2;
// What writers leave to the journal beside that, so that deleting needs no room.
inline constexpr uint32_t kJournalSlots = 2;

inline CompressionSettings CompressionOf(const StoreOptions& options) {
  return Canonical({options.compression, options.compression_level, options.region_bytes});
}

struct Counters {
  std::atomic<uint64_t> ingested_bytes{0};
  std::atomic<uint64_t> ingested_chunks{0};
  std::atomic<uint64_t> duplicate_bytes{0};
  std::atomic<uint64_t> duplicate_chunks{0};
  std::atomic<uint64_t> rewritten_bytes{0};
  std::atomic<uint64_t> read_bytes{0};
  OperationCounter ingests;
  OperationCounter reads;
  OperationCounter commits;
  OperationCounter collections;
  OperationCounter verifications;
};

struct StoreCore {
  StoreOptions options;
  Superblock superblock;
  StoreRecord store_record;
  kv::SpaceId streams;
  kv::SpaceId chunks;
  kv::SpaceId containers;
  std::optional<kv::SpaceId> filter;  // Nothing: the store is only read.

  std::unique_ptr<const Chunker> chunker;
  std::unique_ptr<Codec> codec;
  std::unique_ptr<Cipher> cipher;  // Null: the store is not encrypted.
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<DeviceIo> io;
  std::unique_ptr<ContainerTable> table;
  std::unique_ptr<ContainerReader> container_reader;
  std::unique_ptr<ChunkIndex> index;
  std::unique_ptr<ChunkReader> reader;
  std::unique_ptr<ContainerLog> log;
  std::unique_ptr<Journal> journal;  // Null: the store has none.
  Counters counters;
  StreamTotals totals;

  // Streams that are being read keep their chunks, deleted or not. Reading a stream's record and
  // entering it here is one step, and so is garbage collection's taking of its snapshot.
  Mutex roots_mutex;
  absl::flat_hash_set<const StreamRecord*> open_streams ABSL_GUARDED_BY(roots_mutex);

  std::atomic<uint64_t> read_ahead_bytes{0};  // That readers have claimed.

  std::atomic<bool> reorganizing{false};  // Garbage collection or a rebuild runs: one at a time.

  StreamTotals::Totals Totals() { return totals.Get(*options.kv, streams, options.log); }
};

}  // namespace strata::dedup
