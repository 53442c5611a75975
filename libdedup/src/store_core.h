// SPDX-License-Identifier: Apache-2.0
//
// The parts of an open store, and what writers, readers and the long jobs share. Made by
// OpenStoreCore() in recovery.cc.
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

  std::atomic<bool> reorganizing{false};  // Garbage collection or a rebuild runs: one at a time.
};

std::string StreamKey(const StreamId& id);
absl::StatusOr<StreamId> ParseStreamKey(std::string_view key);
std::string SkippedStreams(const kv::Range& range);  // In words.
StreamInfo InfoOf(const StreamId& id, const StreamRecord& record);

// Visits every stream record of `reader` in order of id.
using StreamVisitor = std::function<absl::Status(const StreamId& id, const StreamRecord& record)>;
absl::Status ForEachStream(StoreCore& core, kv::Reader& reader, const StreamVisitor& visit);
// Those that can be read; `damage` is told of the others.
using DamageVisitor = std::function<void(std::string damage)>;
absl::Status ForEachReadableStream(StoreCore& core, kv::Reader& reader, const StreamVisitor& visit,
                                   const DamageVisitor& damage);

// journal_recovery.cc
struct CollectedPart {
  std::vector<std::byte> bytes;  // What `part` refers to.
  JournalPart part;
};
// Adds the part that a journal region holds; other regions are none of its business. Unimplemented:
// a newer format. What cannot be decoded is named in `damage`.
absl::Status CollectJournal(const DecodedRegion& region, Codec& codec,
                            std::vector<CollectedPart>* parts, std::vector<std::string>* damage);
// Writes what a record did, and where that leaves the journal, to the kv store.
absl::Status ApplyJournalRecord(StoreCore& core, const JournalPlace& place,
                                std::string_view operations);
// What the kv store says of the journal. Nothing: it was never told of one.
absl::StatusOr<std::optional<JournalPlace>> ReadJournalPlace(StoreCore& core);
// Brings the kv store to the state of the journal, of which `records` were found in the containers
// `unsealed`, those that the kv store does not know as sealed.
// The regions that were found in each container that the kv store does not know as sealed.
using UnsealedRegions = absl::flat_hash_map<uint64_t, absl::flat_hash_set<uint32_t>>;
struct ReplayedJournal {
  JournalPlace applied;        // The newest record that the kv store has now.
  bool some_are_void = false;  // Records were found that do not follow from it, and never will.
};
absl::StatusOr<ReplayedJournal> ReplayJournal(StoreCore& core, const JournalRecords& records,
                                              const UnsealedRegions& unsealed);
// For a read-only opening, which leaves the kv store as it is: says so where it lacks commits that
// the journal has.
void WarnOfUnreplayedJournal(const StoreCore& core, const JournalRecords& records,
                             const UnsealedRegions& unsealed, const JournalPlace& applied);

// Opens or makes a store and recovers it. recovery.cc.
absl::Status WriteStoreRecord(StoreCore& core);  // As core.store_record says, durably.
absl::StatusOr<std::unique_ptr<StoreCore>> OpenStoreCore(const StoreOptions& options);

// writer.cc
class PreparedWriter : public Writer {
 public:
  virtual const StreamId& id() const = 0;
  virtual const StoreCore* core() const = 0;
  virtual bool prepared() const = 0;
  virtual bool committed() const = 0;
  virtual void MarkCommitted() = 0;
  virtual const StreamRecord& record() const = 0;
  virtual uint64_t log_position() const = 0;  // Its data is durable when the log is up to here.
};
// `finish` commits the one stream.
using FinishStream = std::function<absl::Status(PreparedWriter* writer)>;
std::unique_ptr<Writer> CreateWriter(StoreCore* core, const StreamId& id, FinishStream finish);
using NewStream = std::function<StreamId()>;
std::unique_ptr<WriterGroup> CreateWriterGroup(StoreCore* core, NewStream new_stream);

// reader.cc
absl::StatusOr<std::unique_ptr<Reader>> CreateReader(StoreCore* core, const StreamId& id);

// garbage.cc, verify.cc, rebuild.cc
absl::StatusOr<GarbageReport> CollectGarbage(StoreCore* core, const GarbageOptions& options);
absl::StatusOr<GarbageReport> DeduplicateStore(StoreCore* core, const DeduplicateOptions& options);
absl::StatusOr<VerifyReport> VerifyStore(StoreCore* core, const VerifyOptions& options);
absl::Status RebuildChunkIndex(StoreCore* core, const ProgressCallback& progress);

}  // namespace strata::dedup
