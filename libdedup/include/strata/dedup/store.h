// SPDX-License-Identifier: Apache-2.0
//
// A deduplicating store of byte streams on a block::Device (the chunks, in containers) and a
// kv::Store (who refers to them).
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open({.device = device, .kv = kv}));
//   std::unique_ptr<Writer> writer = store->NewWriter();
//   STRATA_RETURN_IF_ERROR(writer->Write(bytes));
//   STRATA_ASSIGN_OR_RETURN(StreamInfo info, writer->Finish());  // Durable from here on.
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Reader> reader, store->OpenReader(info.id));
//
// An owner that keeps its own records of streams (an object store, a backup catalogue) commits them
// together with the streams: Prepare() each writer, then Commit() one transaction that holds both.
//
// A forked child has no use of its parent's stores, writers and readers: their calls fail there
// with FailedPrecondition, naming the parent, and destroying them changes nothing on any disk.
// libkv's README says why such a child cannot open a store of its own either.
//
// Thread safety: a Store may be called from any thread. A Writer or Reader is used by one thread at
// a time.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/block/device.h"
#include "strata/dedup/chunker.h"
#include "strata/kv/store.h"

namespace strata::dedup {

// 80 random bits, drawn when the store is opened, and a number that grows: the records of streams
// that are written one after the other lie side by side, and compress.
struct STRATA_EXPORT StreamId {
  std::array<std::byte, 16> bytes{};
  friend auto operator<=>(const StreamId&, const StreamId&) = default;

  std::string ToHex() const;
  static absl::StatusOr<StreamId> FromHex(
      std::string_view hex);  // InvalidArgument: not 32 hexadecimal digits.
};

struct StreamInfo {
  StreamId id;
  uint64_t size_bytes = 0;
  uint64_t chunk_count = 0;
  uint64_t created_ns = 0;        // Since the Unix epoch.
  uint64_t new_chunk_bytes = 0;   // Of these bytes no equal chunk was stored before.
  uint64_t new_stored_bytes = 0;  // What they took on the device, compressed, with all headers.
};

// What looks as if it would not shrink is stored as it is, whatever the choice.
enum class Compression : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2, kGzip = 3 };

struct CompressionSettings {
  Compression method = Compression::kZstd;
  int level = 1;  // zstd: -7..19. gzip: 0..3. lz4, none: ignored.
  // Chunks compressed together, uncompressed size; 16 KiB..4 MiB, and a quarter of a container at
  // most. Longer regions take less room, shorter ones cost a small random read less.
  uint32_t region_bytes = 128u << 10;
  friend bool operator==(const CompressionSettings&, const CompressionSettings&) = default;
};

// When equal chunks are found. Whatever was stored twice meanwhile, Deduplicate() folds.
enum class Mode : uint8_t {
  kInline,       // As they come in: no chunk is stored twice.
  kHybrid,       // As far as memory answers; a lookup that needs the kv store is left to the fold.
  kPostProcess,  // No lookups: as fast as chunking, hashing and compressing go.
};

// A secret of 256 bits, as random as they come. Never print it.
using EncryptionKey = std::array<std::byte, 32>;

struct StoreOptions {
  block::Device* device = nullptr;  // Both outlive the Store and are used by it alone (kv: the
                                    // spaces named "<name>.*").
  kv::Store* kv = nullptr;
  std::string name = "dedup";

  // Writes neither to the device nor to kv: what would fails with FailedPrecondition. Open
  // containers are recovered in memory. Where somebody else frees containers, reading what was in
  // them is DataLoss.
  bool read_only = false;

  // Written down when the store is made; later openings use what is written. A chunker's key is not
  // written: give the same one at each opening. An encrypted store derives it where none is given.
  ChunkerOptions chunker;
  uint32_t container_bytes = 8u << 20;  // A power of two, 1..64 MiB.

  // Given when the store is made: everything on the device but headers is encrypted (AES-256-GCM),
  // and later openings need the same key. The kv store is not: it holds fingerprints of chunks.
  std::optional<EncryptionKey> encryption_key = std::nullopt;

  // May differ at each opening; new data follows it. Garbage collection compresses what it copies
  // as the opening that brought the data said. For these three see CompressionSettings.
  Mode mode = Mode::kInline;
  Compression compression = Compression::kZstd;
  int compression_level = 1;
  // New data is stored as it comes, so that a backup ends sooner, and the next garbage collection
  // compresses it. Until then it takes its whole size; where fewer than 64 containers, or a quarter
  // of a small device, are free, data is compressed at once.
  bool defer_compression = false;
  uint32_t region_bytes = 128u << 10;
  // What is committed to `kv`, to all of its spaces, goes to the device as well, so that
  // RebuildMetadata() brings back every record when the kv store is lost; one flush of the device
  // is then all that a durable commit waits for. Once a store has a journal it keeps it. One store
  // with a journal to a kv store, and nobody else writes to that while the store is not open.
  bool journal = false;
  // Garbage collection writes a checkpoint, which replaces the older journal, once that spares this
  // much and a third of the journal.
  uint64_t journal_checkpoint_bytes = 256u << 10;
  size_t metadata_cache_bytes = 16u << 20;  // Fingerprints of recently seen containers.
  size_t data_cache_bytes = 16u << 20;      // Decompressed regions for readers.
  // How much of the stream is on its way from the device for each reader that reads in order, at
  // most. A backup product that restores one stream at a time wants 16 MiB.
  size_t read_ahead_bytes = 1u << 20;
  // A long stream that needs less than this share of a region's chunks takes them along into
  // regions of its own, as far as rewrite_budget, a share of its known chunks, allows: so newest
  // streams stay fast to read however many versions went before. 0: never.
  double rewrite_below_use = 0.6;
  double rewrite_budget = 0.05;
  uint64_t rewrite_least_bytes = 32u << 20;  // Of a stream; shorter ones gain nothing by it.
  // Threads of the store's own, which compress, decompress and fingerprint beside the caller's; a
  // single long stream keeps 1 + worker_threads cores busy, a short one never meets them. 0..64.
  uint32_t worker_threads = 0;
  // The store asks before it takes `bytes` for a container; an error (ResourceExhausted) is what
  // the caller gets. Garbage collection and deletions may use what writers leave (kReserved), and a
  // deletion that is refused takes the few KiB that it needs. defer_compression asks for many
  // containers at once. Empty: only the device's size limits.
  enum class SpaceUse { kWriter, kReserved };
  std::function<absl::Status(uint64_t bytes, SpaceUse use)> admit_space = {};
  LogSink log = {};
};

// Long calls report here, at least once a second of work and at the end. Return false to cancel:
// the call ends with Cancelled, and what it did so far stands.
struct Progress {
  std::string_view phase;
  uint64_t done = 0;
  uint64_t total = 0;  // 0: not known yet.
};
using ProgressCallback = std::function<bool(const Progress&)>;

struct GarbageOptions {
  // Containers with a smaller live share are copied out and freed. 0..1. With the default a store
  // takes at most 1.3 times what lives in it when the collection ends, and a container or two.
  double rewrite_below_live_ratio = 0.8;
  uint64_t max_bytes_per_second = 0;  // Reading and writing together; 0: no limit.
  ProgressCallback progress;
  // How copies are compressed. Nothing: as the writer that brought the data was told to.
  std::optional<CompressionSettings> compress_as = std::nullopt;
  // Where compress_as is nothing: data that was not compressed so hard yet (zstd from level 9 on,
  // or stored as it came because it does not shrink) is copied for it, once; it was written in a
  // hurry and will lie long. At least level 9.
  std::optional<CompressionSettings> recompress = std::nullopt;
};

struct GarbageReport {
  uint64_t streams_marked = 0;
  uint64_t containers_examined = 0;
  uint64_t containers_freed = 0;
  // Needed chunks of which a later copy is kept. Deduplicate() only.
  uint64_t duplicate_chunks = 0;
  uint64_t deferred_bytes = 0;      // Of containers that were compressed now at last.
  uint64_t recompressed_bytes = 0;  // What containers took that were compressed once more.
  uint64_t live_bytes_copied = 0;   // On the device.
  // On the device: of the containers freed, less those that were opened for copies.
  uint64_t freed_bytes = 0;
};

struct DeduplicateOptions {
  // Containers with a smaller share of chunks that are needed and not stored again later are copied
  // out and freed. 0..1.
  double rewrite_below_live_ratio = 0.95;
  uint64_t max_bytes_per_second = 0;  // Reading and writing together; 0: no limit.
  ProgressCallback progress;
  std::optional<CompressionSettings> compress_as = std::nullopt;  // As in GarbageOptions.
  std::optional<CompressionSettings> recompress = std::nullopt;   // The same.
};

struct VerifyOptions {
  bool read_data = true;  // false: container headers, tables and recipes only.
  ProgressCallback progress;
};

struct Damage {
  StreamId stream;            // Whose bytes are lost; every affected stream has its own entry.
  uint64_t offset_bytes = 0;  // The damaged range of the stream.
  uint64_t size_bytes = 0;
  std::string detail;  // Container, place on the device, and what is wrong.
};

struct VerifyReport {
  uint64_t containers_checked = 0;
  uint64_t chunks_checked = 0;
  uint64_t bytes_read = 0;
  uint64_t streams_checked = 0;
  uint64_t index_entries_checked = 0;
  std::vector<std::string>
      container_damage;         // Each damaged place once, whether or not a stream needs it.
  std::vector<Damage> streams;  // Empty: every stream reads back whole.
  // What is wrong with the kv store: records that cannot be read, and index entries that lead to
  // another chunk than theirs, which RebuildIndex() mends.
  std::vector<std::string> index_damage;
};

struct Stats {
  // What is stored now.
  uint64_t stream_count = 0;
  uint64_t logical_bytes = 0;  // Sum of the sizes of all streams.
  uint64_t chunk_count = 0;    // Unique chunks on the device, dead ones included until collected.
  uint64_t unique_bytes = 0;   // Their sizes before compression.
  uint64_t compressed_bytes = 0;  // And after.
  uint64_t deferred_bytes = 0;    // Of these, in containers that await their compression.
  uint64_t recipe_count = 0;      // Recipe nodes, which say what streams consist of, and their
  uint64_t recipe_bytes = 0;      // sizes: beside the chunks above, not among them.
  uint64_t container_count = 0;
  // Device space the containers take, headers, tables and padding included.
  uint64_t container_bytes = 0;
  uint64_t device_bytes = 0;           // Device size.
  uint64_t metadata_memory_bytes = 0;  // Filter and caches.

  // Since the store was opened.
  uint64_t ingested_bytes = 0;
  uint64_t ingested_chunks = 0;
  uint64_t duplicate_bytes = 0;
  uint64_t duplicate_chunks = 0;
  uint64_t rewritten_bytes = 0;  // Of the duplicates, taken along (rewrite_below_use).
  uint64_t read_bytes = 0;
  uint64_t device_read_bytes = 0;  // For readers and all else.
  uint64_t device_flushes = 0;
  uint64_t index_reads = 0;  // Lookups that went to the kv store.
  uint64_t corruptions_found = 0;

  // Calls, and the time that their callers spent in them, all threads together.
  uint64_t ingests = 0;  // Streams prepared; the time is that of Write() as well.
  uint64_t ingest_ns = 0;
  uint64_t reads = 0;
  uint64_t read_ns = 0;
  uint64_t commits = 0;  // Of whatever changed streams, Delete() among it.
  uint64_t commit_ns = 0;
  uint64_t collections = 0;  // Deduplicate() too.
  uint64_t collection_ns = 0;
  uint64_t verifications = 0;
  uint64_t verification_ns = 0;

  double average_chunk_bytes() const {
    return chunk_count == 0 ? 0
                            : static_cast<double>(unique_bytes) / static_cast<double>(chunk_count);
  }
};

// Takes a stream in. Dropping it before its commit abandons the stream; its chunks are garbage.
class STRATA_EXPORT Writer {
 public:
  virtual ~Writer() = default;

  // ResourceExhausted: the device is full; nothing but this stream is affected. Any error is final
  // for the Writer.
  virtual absl::Status Write(std::span<const std::byte> data) = 0;

  // Ends the stream. Its data is durable when it is committed, and readable from then on.
  virtual absl::StatusOr<StreamInfo> Prepare() = 0;

  // Prepare() where that was not done, then commits the stream alone.
  virtual absl::StatusOr<StreamInfo> Finish() = 0;
};

// Takes many streams in that are committed together. Those that are shorter than a region share
// regions, and one flush makes all of them durable:
//
//   std::unique_ptr<WriterGroup> group = store->NewWriterGroup();
//   ... per stream: group->NewWriter(), Write(), Prepare() ...
//   STRATA_RETURN_IF_ERROR(group->Prepare());
//   STRATA_RETURN_IF_ERROR(store->Commit(*txn, {.add = writers}, Durability::kSync));
//
// After Prepare() the group takes the next streams. A group and its writers are used by one thread
// at a time.
class STRATA_EXPORT WriterGroup {
 public:
  virtual ~WriterGroup() = default;

  // Its Prepare() ends the stream and waits for nothing; new_stored_bytes, the stream's share of
  // what the group took, is known after the group's Prepare(). Finish() is FailedPrecondition. One
  // that is destroyed, or that failed, does the others no harm.
  virtual std::unique_ptr<Writer> NewWriter() = 0;

  // Makes the streams that its writers prepared durable. FailedPrecondition: a stream was neither
  // prepared nor abandoned; otherwise as Writer::Prepare(), and final for the group.
  virtual absl::Status Prepare() = 0;
};

// Reads a committed stream. While it is open garbage collection keeps what it reads, even when the
// stream is deleted.
class STRATA_EXPORT Reader {
 public:
  virtual ~Reader() = default;
  virtual const StreamInfo& info() const = 0;

  // Fills `out` from `offset_bytes` on; returns less than asked only at the end of the stream.
  // DataLoss: the stream is damaged here; names the container; other ranges still read. OutOfRange:
  // offset_bytes > size.
  virtual absl::StatusOr<size_t> Read(uint64_t offset_bytes, std::span<std::byte> out) = 0;
};

// What one transaction does to streams.
struct Change {
  std::vector<Writer*> add;  // REQUIRES: prepared, and their group too.
  std::vector<std::pair<StreamId, StreamId>>
      copy;  // {source, new id}: a new stream with the same content, no data moved.
  std::vector<StreamId> remove;
};

// What was decided when the store was made.
struct StoreSettings {
  ChunkerOptions chunker;      // Without its key.
  bool chunker_keyed = false;  // The caller gives the chunker's key at each opening.
  uint32_t container_bytes = 0;
  bool encrypted = false;
};

class STRATA_EXPORT Store {
 public:
  // Makes the store when device and kv hold none. FailedPrecondition: device and kv do not belong
  // together; DataLoss: superblock damaged, or the device was cut short; Unimplemented: a newer
  // format version; InvalidArgument: an option, among them a key that is missing, wrong, or not
  // wanted; NotFound: read_only, and there is none. Recovers from a crash: scans the containers
  // that were open.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const StoreOptions& options);

  virtual ~Store() = default;  // REQUIRES: every Writer and Reader is destroyed.

  virtual StoreSettings Settings() = 0;

  virtual std::unique_ptr<Writer> NewWriter() = 0;
  virtual std::unique_ptr<WriterGroup> NewWriterGroup() = 0;
  virtual absl::StatusOr<std::unique_ptr<Reader>> OpenReader(const StreamId& id) = 0;

  virtual StreamId NewStreamId() = 0;

  // Adds `change` to `txn` and commits it. With kAsync a power cut may take the streams back, whole
  // ones only and the last first, until Sync() or the next kSync commit. NotFound: a stream to copy
  // or remove does not exist. Aborted: a conflict; nothing happened, make a new transaction and
  // call again with the same writers.
  virtual absl::Status Commit(kv::Transaction& txn, const Change& change,
                              kv::Durability durability) = 0;

  virtual absl::Status Delete(const StreamId& id) = 0;  // NotFound.
  virtual absl::StatusOr<StreamInfo> Stat(const StreamId& id) = 0;

  // Streams with an id greater than `after`, in order of id.
  virtual absl::StatusOr<std::vector<StreamInfo>> List(const StreamId& after, size_t max_count) = 0;

  // Frees what no stream needs, and compresses what defer_compression left. Runs beside readers and
  // writers; one at a time (FailedPrecondition).
  virtual absl::StatusOr<GarbageReport> CollectGarbage(const GarbageOptions& options) = 0;

  // Frees what no stream needs, and of chunks that were stored more than once all copies but the
  // last, which keeps the newest streams in one piece. Otherwise as CollectGarbage(); cut short,
  // the next call goes on with what is left.
  virtual absl::StatusOr<GarbageReport> Deduplicate(const DeduplicateOptions& options) = 0;

  // What was committed so far, with kAsync too, survives power loss when this returns.
  virtual absl::Status Sync() = 0;

  // Reads everything and checks it. Damage is reported, not an error. It is also written down: the
  // next stream that has the damaged chunks stores them again, which heals the others too.
  virtual absl::StatusOr<VerifyReport> Verify(const VerifyOptions& options) = 0;

  // Writes the chunk index anew from the containers.
  virtual absl::Status RebuildIndex(const ProgressCallback& progress) = 0;

  virtual dedup::Stats Stats() = 0;
};

// What RebuildMetadata() did.
struct MetadataReport {
  uint64_t containers_found = 0;
  uint64_t commits_replayed = 0;  // After the newest whole checkpoint.
  uint64_t streams = 0;
  std::vector<std::string> lost;  // What could not be recovered: container, place, and why.
};

// Makes the kv store of a store with a journal again, from the device alone: `options.kv` is empty,
// and holds afterwards every record of every space, deletions included, and nothing that was
// deleted. Store::Open() then makes the chunk index; Verify() names the streams that miss chunks.
// FailedPrecondition: the store has no journal, or the kv store is not empty. Damage is reported,
// not an error. Nothing on the device is changed. What the journal holds is kept in memory on the
// way.
STRATA_EXPORT absl::StatusOr<MetadataReport> RebuildMetadata(const StoreOptions& options,
                                                             const ProgressCallback& progress);

}  // namespace strata::dedup
