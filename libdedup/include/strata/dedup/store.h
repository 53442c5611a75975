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
#include "strata/dedup/types.h"
#include "strata/kv/store.h"

namespace strata::dedup {

struct StoreOptions {
  // Both outlive the Store, and nobody else uses the device nor, in kv, the spaces "<name>.*".
  block::Device* device = nullptr;
  kv::Store* kv = nullptr;
  std::string name = "dedup";

  // The store writes neither to the device nor to kv; calls that would fail with
  // FailedPrecondition. It recovers open containers in memory. If another process frees a
  // container, reading what was in it is DataLoss.
  bool read_only = false;

  // Making a store writes these down, and later openings use what is written. A chunker's key is
  // not written: give the same one at each opening. An encrypted store derives a key if none is
  // given.
  ChunkerOptions chunker;
  uint32_t container_bytes = 8u << 20;  // A power of two, 1..64 MiB.

  // A store that is made with a key encrypts everything on the device but headers (AES-256-GCM),
  // and later openings need the same key. The kv store stays in clear: it holds fingerprints of
  // chunks.
  std::optional<EncryptionKey> encryption_key = std::nullopt;

  // These may differ at each opening, and new data follows them. Garbage collection compresses what
  // it copies as the opening said that brought the data.
  Mode mode = Mode::kInline;
  Compression compression = Compression::kZstd;
  int compression_level = 1;
  // Writers store data uncompressed, so that a backup ends sooner, and the next garbage collection
  // compresses it. Until then it takes its whole size. When fewer than 64 containers, or a quarter
  // of a small device, are free, writers compress at once.
  bool defer_compression = false;
  uint32_t region_bytes = 128u << 10;
  // Every commit to `kv`, to all of its spaces, is written to the device first. RebuildMetadata()
  // then brings back every record when the kv store is lost, and a durable commit waits for one
  // flush of the device alone. Once a store has a journal it keeps it. A kv store takes one store
  // with a journal, and nobody writes to it while that store is not open.
  bool journal = false;
  // Garbage collection writes a checkpoint, which replaces the older journal, once that spares this
  // much and a third of the journal.
  uint64_t journal_checkpoint_bytes = 256u << 10;
  size_t metadata_cache_bytes = 16u << 20;  // Fingerprints of recently seen containers.
  size_t data_cache_bytes = 16u << 20;      // Decompressed regions for readers.
  // For each reader that reads in order: how much of the stream is read ahead at most. A backup
  // product that restores one stream at a time wants 16 MiB.
  size_t read_ahead_bytes = 1u << 20;
  // All readers together. A reader gets a quarter of what is left of it at most; one that gets less
  // than half a MiB reads region by region. So slow readers, however many, hold little memory.
  size_t read_ahead_total_bytes = 64u << 20;
  // Rewriting keeps the newest stream fast to read. If a stream uses less than this share of an old
  // region, the chunks that it uses are stored again next to the stream's own. 0 turns it off.
  double rewrite_below_use = 0.6;
  // At most this share of the stream's duplicate chunks is rewritten.
  double rewrite_budget = 0.05;
  // Shorter streams are never rewritten.
  uint64_t rewrite_min_bytes = 32u << 20;
  // Threads of the store that compress, decompress and fingerprint beside the caller. One long
  // stream keeps 1 + worker_threads cores busy; short streams do not use them. 0..64.
  uint32_t worker_threads = 0;
  // The store asks before it takes `bytes` for a container; an error (ResourceExhausted) is what
  // the caller gets. Garbage collection and deletions may use what writers leave (kReserved), and a
  // deletion that is refused takes the few KiB that it needs. defer_compression asks for many
  // containers at once. Empty: only the device's size limits.
  std::function<absl::Status(uint64_t bytes, SpaceUse use)> admit_space = {};
  LogSink log = {};
};

struct GarbageOptions {
  // Containers with a smaller share of live bytes are copied out and freed. 0..1. With the default
  // a store takes at most 1.3 times what lives in it, and a container or two, after a collection.
  double rewrite_below_live_ratio = 0.8;
  uint64_t max_bytes_per_second = 0;  // Reading and writing together; 0: no limit.
  ProgressCallback progress;
  // How copies are compressed. Nothing: as the writer that brought the data was told to.
  std::optional<CompressionSettings> compress_as = std::nullopt;
  // Without compress_as: data that was compressed quickly is copied and compressed like this, once.
  // At least level 9. Data that has that level, or that does not shrink, is left alone.
  std::optional<CompressionSettings> recompress = std::nullopt;
};

struct FoldOptions {
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
  virtual absl::StatusOr<GarbageReport> FoldDuplicates(const FoldOptions& options) = 0;

  // What was committed so far, with kAsync too, survives power loss when this returns.
  virtual absl::Status Sync() = 0;

  // Reads everything and checks it. Damage is reported, not an error. It is also written down: the
  // next stream that has the damaged chunks stores them again, which heals the others too.
  virtual absl::StatusOr<VerifyReport> Verify(const VerifyOptions& options) = 0;

  // Writes the chunk index anew from the containers.
  virtual absl::Status RebuildIndex(const ProgressCallback& progress) = 0;

  virtual dedup::Stats Stats() = 0;
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
