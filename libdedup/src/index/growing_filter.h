// SPDX-License-Identifier: Apache-2.0
//
// The chunk index's summary filter: where it comes from after an opening, and how it is kept.
//
// The filter that an earlier opening kept in the kv store is loaded by the lookups that make it
// worth while. Otherwise the filter is filled from the index bit by bit, by the lookups that it
// does not spare yet: opening a large store waits for nothing, and a short visit pays for little.
// It may never say that a chunk is new which the index holds, for then what follows from a chunk's
// being stored twice (ChunkIndex::CommitSealed()) would be left out.
//
// Thread safety: any thread. What says "mutex held" wants the mutex that the filter was given; all
// else takes it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "format/index_records.h"
#include "index/saved_filter.h"
#include "index/summary_filter.h"
#include "reading/container_reader.h"
#include "reading/container_table.h"
#include "strata/base/log.h"
#include "strata/base/mutex.h"
#include "strata/kv/store.h"

namespace strata::dedup {

struct FilterOptions {
  // Where the pieces of the filter are kept; nothing: they are not.
  std::optional<kv::SpaceId> space{};
  uint32_t opening = 0;        // This one's number, for the filter's record.
  size_t expected_chunks = 0;  // In the kv store, about.
  // The filter that is there, and how much of sealed containers it may lack.
  std::optional<FilterRecord> saved{};
  size_t containers_since_saved = 0;
  size_t chunks_since_saved = 0;
  // Whether the filter may take so much room; null: always.
  std::function<absl::Status(uint64_t bytes)> admit{};
};

class GrowingFilter final {
 public:
  using VisitFingerprint = std::function<void(const Fingerprint& fingerprint)>;
  struct Parts {
    kv::Store* kv = nullptr;
    kv::SpaceId chunks;
    kv::SpaceId containers;
    ContainerTable* table = nullptr;
    ContainerReader* container_reader = nullptr;
    LogSink log;
    Mutex* mutex = nullptr;
    // Visits the chunks that are not sealed. Called with the mutex held.
    std::function<void(const VisitFingerprint& visit)> visit_unsealed;
  };
  GrowingFilter(FilterOptions options, Parts parts);

  // Mutex held.
  void Add(const Fingerprint& fingerprint) {
    if (!filter_.MayContain(fingerprint)) filter_.Add(fingerprint);
  }
  bool CertainlyNew(const Fingerprint& fingerprint) const {
    return filled_to_.has_value() && fingerprint.bytes <= filled_to_->bytes &&
           !filter_.MayContain(fingerprint);
  }
  size_t memory_bytes() const { return filter_.memory_bytes(); }

  // Before so many lookups in the kv store: takes the filter into use, if that is worth it by now.
  void Prepare(size_t lookups);
  // After so many lookups that found nothing in the kv store.
  absl::Status Advance(size_t misses);

  // Keeps the filter in the kv store once it has grown by a good share; at the closing of the store
  // by a smaller one. All that is in containers with ids below `first_unknown_container` was added.
  // A failure is logged, for no more than time depends on it.
  void Save(uint64_t first_unknown_container, bool closing);
  // Durably takes the filter out of the kv store. A rebuild does so before it enters chunks of old
  // containers, which the kept filter would not learn of, and again when it has entered them.
  absl::Status DropSaved();

 private:
  absl::Status FillPage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(filling_);
  size_t LookupsToLoad(const FilterRecord& record) const;
  absl::Status CheckWorthLoading(const FilterRecord& record) const;
  absl::Status Load(const FilterRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(filling_);
  absl::Status LoadPieces(const FilterRecord& record, SummaryFilter* filter);
  absl::Status AddContainersFrom(uint64_t first_container);
  absl::Status SaveIfGrown(uint64_t first_unknown_container, bool closing)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(filling_);
  absl::Status WritePieces(const FilterRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(filling_);
  // Puts `filter` in the place of the one that is there, with all chunks that are not sealed.
  void Adopt(SummaryFilter filter);
  void SetFilledTo(const Fingerprint& last);

  const FilterOptions options_;
  const Parts parts_;

  Mutex filling_;
  static constexpr size_t kFillPageKeys = 1024;
  size_t fill_credit_keys_ ABSL_GUARDED_BY(filling_) = kFillPageKeys;
  size_t lookups_ ABSL_GUARDED_BY(filling_) = 0;                 // Before the filter was in use.
  std::optional<FilterRecord> saved_ ABSL_GUARDED_BY(filling_);  // As it is in the kv store.
  uint64_t keys_when_saved_ ABSL_GUARDED_BY(filling_) = 0;       // Or when that failed.
  std::atomic<bool> in_use_{false};  // Until then it has what was stored since the opening.
  std::atomic<bool> whole_{false};

  // Mutex held.
  SummaryFilter filter_;
  // The chunks of the kv store up to this one are in the filter, and so are those that are not
  // sealed. Nothing: it says nothing of any chunk.
  std::optional<Fingerprint> filled_to_;
};

}  // namespace strata::dedup
