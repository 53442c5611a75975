// SPDX-License-Identifier: Apache-2.0
//
// What the calls of a Store take and give: ids, settings, reports, statistics.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/dedup/chunker.h"

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

// Data that looks incompressible is stored uncompressed, whichever algorithm is chosen.
enum class Compression : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2, kGzip = 3 };

struct CompressionSettings {
  Compression method = Compression::kZstd;
  int level = 1;  // zstd: -7..19. gzip: 0..3. lz4, none: ignored.
  // Chunks compressed together, uncompressed size; 16 KiB..4 MiB, and a quarter of a container at
  // most. Longer regions take less room, shorter ones cost a small random read less.
  uint32_t region_bytes = 128u << 10;
  friend bool operator==(const CompressionSettings&, const CompressionSettings&) = default;
};

// When duplicates are found. FoldDuplicates() removes those that were stored before they were
// found.
enum class Mode : uint8_t {
  kInline,       // While writing: no chunk is stored twice.
  kHybrid,       // While writing, as far as memory answers; the rest is left to the fold.
  kPostProcess,  // No lookups: as fast as chunking, hashing and compressing go.
};

// A secret of 256 bits, as random as they come. Never print it.
using EncryptionKey = std::array<std::byte, 32>;

// Who asks for space on the device (StoreOptions::admit_space): a writer, or garbage collection and
// deletions, which may use what writers leave.
enum class SpaceUse : uint8_t { kWriter, kReserved };

// What was decided when the store was made.
struct StoreSettings {
  ChunkerOptions chunker;      // Without its key.
  bool chunker_keyed = false;  // The caller gives the chunker's key at each opening.
  uint32_t container_bytes = 0;
  bool encrypted = false;
};

// Long calls report here, at least once a second of work and at the end. Return false to cancel:
// the call ends with Cancelled, and what it did so far stands.
struct Progress {
  std::string_view phase;
  uint64_t done = 0;
  uint64_t total = 0;  // 0: not known yet.
};
using ProgressCallback = std::function<bool(const Progress&)>;

struct GarbageReport {
  uint64_t streams_marked = 0;
  uint64_t containers_examined = 0;
  uint64_t containers_freed = 0;
  // Needed chunks of which a later copy is kept. FoldDuplicates() only.
  uint64_t duplicate_chunks = 0;
  uint64_t deferred_bytes = 0;      // Of containers whose deferred compression was done.
  uint64_t recompressed_bytes = 0;  // What recompressed containers took before.
  uint64_t live_bytes_copied = 0;   // On the device.
  // On the device: of the containers freed, less those that were opened for copies.
  uint64_t freed_bytes = 0;
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

// What RebuildMetadata() did.
struct MetadataReport {
  uint64_t containers_found = 0;
  uint64_t commits_replayed = 0;  // After the newest whole checkpoint.
  uint64_t streams = 0;
  std::vector<std::string> lost;  // What could not be recovered: container, place, and why.
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
  uint64_t rewritten_bytes = 0;  // Duplicates that were stored again (rewrite_below_use).
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
  uint64_t collections = 0;  // FoldDuplicates() too.
  uint64_t collection_ns = 0;
  uint64_t verifications = 0;
  uint64_t verification_ns = 0;

  double average_chunk_bytes() const {
    return chunk_count == 0 ? 0
                            : static_cast<double>(unique_bytes) / static_cast<double>(chunk_count);
  }
};

}  // namespace strata::dedup
