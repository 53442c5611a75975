// SPDX-License-Identifier: Apache-2.0
//
// Finds chunks by fingerprint. It asks, in this order: the summary filter (is it new for certain?),
// the chunks of containers that are not sealed yet, the tables of recently seen containers, and the
// kv store, whose answer brings in the table of a whole container.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/container_format.h"
#include "format/index_records.h"
#include "index/growing_filter.h"
#include "index/metadata_cache.h"
#include "reading/container_reader.h"
#include "reading/container_table.h"
#include "strata/base/log.h"
#include "strata/base/mutex.h"
#include "strata/kv/store.h"

namespace strata::dedup {

struct SealedContainer {
  uint64_t id = 0;
  ContainerRecord record;
  ContainerContents contents;
};

struct RemovedContainer {
  uint64_t id = 0;
  std::vector<uint32_t> regions;    // Offsets in units, growing.
  std::vector<Fingerprint> chunks;  // Not asked for by a scan.
};

class ChunkIndex final {
 public:
  struct Options {
    kv::Store* kv = nullptr;
    kv::SpaceId chunks;
    kv::SpaceId containers;
    size_t metadata_cache_bytes = 0;
    FilterOptions filter{};
    LogSink log{};
    ContainerTable* table = nullptr;
    ContainerReader* container_reader = nullptr;
  };
  explicit ChunkIndex(Options options);

  absl::StatusOr<bool> IsEmpty();  // In the kv store.
  absl::Status CheckReadable();    // Reads all entries. DataLoss: some cannot be read.

  // For writers: found[i] is where fingerprints[i] lies, if it does, in a container that may be
  // relied on and that `pins` then holds.
  absl::Status FindForDuplicates(std::span<const Fingerprint> fingerprints, PinSet* pins,
                                 std::span<std::optional<FoundChunk>> found);

  // The same as far as memory answers; other chunks are taken for new.
  absl::Status FindInMemory(std::span<const Fingerprint> fingerprints, PinSet* pins,
                            std::span<std::optional<FoundChunk>> found);

  // For readers: a durable copy, in whatever container. NotFound: nowhere.
  absl::StatusOr<FoundChunk> Find(const Fingerprint& fingerprint);

  // The container was not full when the store was opened, and ended at this byte of the device:
  // what a chunk that cannot be found may come from, for its error to say.
  void NoteUnfinished(uint64_t container_id, uint64_t end_bytes);

  // What was appended up to `log_position` is durable.
  void SetDurable(uint64_t log_position) { durable_position_.store(log_position); }

  // A region was appended to the open container.
  void AddUnsealed(uint64_t container_id, const RegionExtent& region,
                   std::span<const Fingerprint> chunks, uint64_t log_position);

  // Enters containers whose data and footers are durable, the oldest first; from then on they are
  // found through the kv store. Of a chunk that another container has as well the index leads to
  // the new copy from then on. It does so alone: the other one's region counts as left, and who
  // relies on that container relies on the new one too.
  // `rebuilding`: a rebuild enters them, in order of id; what leads to a younger one is of before.
  absl::Status CommitSealed(std::span<const SealedContainer* const> containers,
                            bool rebuilding = false);

  // Chunks of these regions (offsets in units) were stored again. REQUIRES: the container is
  // pinned.
  absl::Status MarkSuperseded(uint64_t container_id, std::span<const uint32_t> regions);

  // Chunks of the region (offset in units) were found damaged; none given: all of it. Durable when
  // it returns. From then on writers store them again, and where there is another copy no lookup
  // leads to them.
  absl::Status MarkLost(uint64_t container_id, uint32_t offset_units,
                        std::span<const uint16_t> ordinals);
  // The region was found whole.
  absl::Status ClearLost(uint64_t container_id, uint32_t offset_units);

  // Where the kv store's entry of a chunk leads to damage and this container has a whole copy,
  // makes it lead here.
  absl::Status LeadAwayFromDamage(uint64_t container_id, const ContainerContents& contents);

  // Takes containers out whose live chunks were copied elsewhere, durably; others commit in
  // between. First all of their regions count as left, so that after a crash, or after `go_on` has
  // ended it, no lookup relies on a chunk whose entry is gone. kScan goes through the whole index:
  // cheaper than a lookup for each chunk where much of it goes.
  enum class Search : uint8_t { kLookups, kScan };
  using GoOn = std::function<absl::Status()>;
  absl::Status RemoveContainers(std::span<const RemovedContainer> containers, Search search,
                                const GoOn& go_on);

  // For each chunk of a sealed container, whether the index does not lead to another copy, in this
  // container or elsewhere.
  absl::StatusOr<std::vector<bool>> IsCurrentCopy(uint64_t container_id,
                                                  const ContainerContents& contents);

  // Deletes the kv store's entries for which `keep` is false.
  using KeepEntry = std::function<bool(const Fingerprint& fingerprint, const ChunkPlace& place)>;
  absl::Status Sweep(const KeepEntry& keep);

  GrowingFilter& filter() { return filter_; }

  uint64_t kv_reads() const { return kv_reads_.load(std::memory_order_relaxed); }
  size_t memory_bytes() const;

 private:
  struct Unsealed {
    FoundChunk chunk;
    bool perhaps_stored = false;  // In an older container, too.
  };
  struct Entry {
    const Fingerprint* fingerprint;
    ChunkPlace place;
  };
  // Regions (offsets in units) by container, and which containers took over from which.
  struct Relocations {
    std::map<uint64_t, std::vector<uint32_t>> left;
    std::set<std::pair<uint64_t, uint64_t>> from_to;
  };
  // What `entries`, in the order of their keys, take over from older containers.
  absl::StatusOr<Relocations> FindRelocations(std::span<const Entry> entries, bool rebuilding)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kv_writes_) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status WriteLost(uint64_t container_id, LostChunks lost)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kv_writes_) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status MarkSupersededLocked(uint64_t container_id, std::span<const uint32_t> regions)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(kv_writes_) ABSL_LOCKS_EXCLUDED(mutex_);

  // Answers without the kv store, for writers. False: only the kv store knows.
  bool FindUsable(const Fingerprint& fingerprint, PinSet* pins, std::optional<FoundChunk>* found)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same for readers.
  std::optional<FoundChunk> FindDurable(const Fingerprint& fingerprint)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The kv store's entry of each chunk; one of container 0 where there is none.
  absl::StatusOr<std::vector<ChunkPlace>> EntriesOf(std::span<const Fingerprint> chunks);
  using VisitEntry =
      std::function<absl::Status(const Fingerprint& fingerprint, const ChunkPlace& place)>;
  absl::Status ForEachEntry(const VisitEntry& visit);
  absl::StatusOr<std::optional<ChunkPlace>> FindInKv(const Fingerprint& fingerprint);
  // Brings the container's table into the cache. A footer that cannot be read makes the container
  // damaged.
  void LoadTable(uint64_t container_id);

  // Deletes the entries that lead to the containers `gone`.
  using ContainerIds = absl::flat_hash_set<uint64_t>;
  absl::Status DeleteFoundEntries(std::span<const RemovedContainer> containers,
                                  const ContainerIds& gone);
  absl::Status DeleteScannedEntries(const ContainerIds& gone, const GoOn& go_on);

  // Commits `batch` and begins anew once it is as large as a transaction may be.
  absl::Status WriteIfFull(kv::WriteBatch* batch, kv::Durability durability);

  const Options options_;
  std::atomic<uint64_t> kv_reads_{0};
  std::atomic<uint64_t> removals_{0};
  std::atomic<uint64_t> moves_{0};
  std::atomic<uint64_t> durable_position_{0};

  mutable Mutex mutex_;
  GrowingFilter filter_;  // Of mutex_.
  absl::flat_hash_map<Fingerprint, Unsealed, FingerprintHash> unsealed_ ABSL_GUARDED_BY(mutex_);
  MetadataCache cache_ ABSL_GUARDED_BY(mutex_);
  std::string unfinished_ ABSL_GUARDED_BY(mutex_);  // What NoteUnfinished() was told, in words.

  Mutex kv_writes_;  // Keeps "does the entry still point here?" and what follows from it together.
};

}  // namespace strata::dedup
