// SPDX-License-Identifier: Apache-2.0
//
// Mark and sweep, beside readers and writers. Mark: from a snapshot of the stream records (and the
// streams that are open) to the fingerprints they need. Sweep: containers with little left alive
// are condemned unless somebody pinned them, what lives in them is appended to the log anew, and
// only when that is durable are they taken out of the index and their slots freed. A crash at any
// point leaves copies that the next run finds superfluous, and nothing else.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "read_ahead.h"
#include "region_builder.h"
#include "store_core.h"
#include "strata/base/clock.h"
#include "strata/base/status_macros.h"
#include "stream_walk.h"

namespace strata::dedup {
namespace {

constexpr size_t kContainersPerBatch = 8;

// Eight bytes of each fingerprint that is needed. That two share them keeps a chunk too long, never
// too short.
class LiveSet final {
 public:
  void Add(const Fingerprint& fingerprint) {
    hashes_.push_back(FingerprintHash()(fingerprint));
    if (hashes_.size() >= next_compaction_) Compact();
  }
  void Compact() {
    std::sort(hashes_.begin(), hashes_.end());
    hashes_.erase(std::unique(hashes_.begin(), hashes_.end()), hashes_.end());
    next_compaction_ = std::max(hashes_.size() * 2, kLeastCompaction);
  }
  // REQUIRES: compact.
  bool Contains(const Fingerprint& fingerprint) const {
    return std::binary_search(hashes_.begin(), hashes_.end(), FingerprintHash()(fingerprint));
  }

 private:
  static constexpr size_t kLeastCompaction = 1u << 16;
  std::vector<uint64_t> hashes_;
  size_t next_compaction_ = kLeastCompaction;
};

// Sleeps as much as keeps the bytes per second under the limit.
class Pacer final {
 public:
  explicit Pacer(uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}
  void Spend(uint64_t bytes) {
    if (bytes_per_second_ == 0) return;
    spent_bytes_ += bytes;
    const double due_ns =
        static_cast<double>(spent_bytes_) * 1e9 / static_cast<double>(bytes_per_second_);
    const double ahead_ns =
        due_ns - static_cast<double>(SystemClock().MonotonicNanos() - begin_ns_);
    if (ahead_ns > 0)
      std::this_thread::sleep_for(std::chrono::nanoseconds(static_cast<int64_t>(ahead_ns)));
  }

 private:
  const uint64_t bytes_per_second_;
  const int64_t begin_ns_ = SystemClock().MonotonicNanos();
  uint64_t spent_bytes_ = 0;
};

class Collection final {
 public:
  // `folds`: of chunks that were stored more than once, only the copy that the index leads to
  // lives.
  Collection(StoreCore* core, const GarbageOptions& options, bool folds)
      : core_(core),
        options_(options),
        folds_(folds),
        compresses_(core->options.compression != Compression::kNone),
        pacer_(options.max_bytes_per_second),
        data_(core, RegionKind::kData, &own_pins_, RegionBuilder::Owner::kCollection),
        nodes_(core, RegionKind::kRecipes, &own_pins_, RegionBuilder::Owner::kCollection) {}

  absl::StatusOr<GarbageReport> Run() {
    core_->table->BeginCollection();
    core_->log->SetCollecting(true);
    const absl::Cleanup end = [this] {
      core_->log->SetCollecting(false);
      core_->table->EndCollection();
    };
    // What was deleted lies in the open container as often as elsewhere.
    STRATA_RETURN_IF_ERROR(core_->log->Seal());
    if (core_->journal != nullptr && core_->journal->needs_repair()) {
      STRATA_RETURN_IF_ERROR(WriteCheckpoint(/*for_repair=*/true));
    }
    for (const auto& [id, info] : core_->table->List()) {
      if (info.record.sealed && info.usable()) sealed_.emplace_back(id, info.record);
    }
    STRATA_RETURN_IF_ERROR(Mark());
    STRATA_RETURN_IF_ERROR(Examine());
    STRATA_RETURN_IF_ERROR(Sweep());
    STRATA_RETURN_IF_ERROR(Report("sweep", candidates_.size(), candidates_.size()));
    if (core_->journal != nullptr && core_->journal->needs_repair()) {
      STRATA_RETURN_IF_ERROR(WriteCheckpoint(/*for_repair=*/true));
    }
    report_.live_bytes_copied = copied_bytes();
    const uint64_t freed = report_.containers_freed * uint64_t{core_->superblock.container_bytes};
    report_.freed_bytes = freed - std::min(freed, report_.live_bytes_copied);
    return report_;
  }

 private:
  struct Candidate {
    // kLeft: no stream needs what is damaged.
    enum class Damage : uint8_t { kNone, kLeft, kNeeded };
    uint64_t id = 0;
    ContainerRecord record;
    size_t live_chunks = 0;
    size_t chunk_count = 0;
    uint64_t journal_bytes = 0;
    Damage damage = Damage::kNone;
    ContainerContents contents;  // While it is being emptied.
  };

  absl::Status Report(std::string_view phase, uint64_t done, uint64_t total) {
    if (options_.progress == nullptr || options_.progress({phase, done, total}))
      return absl::OkStatus();
    return absl::CancelledError("dedup: garbage collection was cancelled");
  }

  absl::Status Mark() {
    std::unique_ptr<kv::Snapshot> snapshot;
    std::vector<RecipeNode> open_roots;
    {
      MutexLock lock(&core_->roots_mutex);
      snapshot = core_->options.kv->NewSnapshot();
      for (const StreamRecord* record : core_->open_streams) open_roots.push_back(record->root);
    }
    for (const RecipeNode& root : open_roots) STRATA_RETURN_IF_ERROR(MarkNode(root));
    STRATA_RETURN_IF_ERROR(ForEachStream(
        *core_, *snapshot, [this](const StreamId& id, const StreamRecord& record) -> absl::Status {
          if (absl::Status status = MarkNode(record.root); !status.ok()) {
            return absl::Status(
                status.code(),
                absl::StrFormat("dedup: nothing is collected while the recipe of stream %s cannot "
                                "be read; delete the stream: %s",
                                id.ToHex(), std::string(status.message())));
          }
          return Report("mark", ++report_.streams_marked, core_->totals.Get(*core_).stream_count);
        }));
    live_.Compact();
    return absl::OkStatus();
  }

  absl::Status MarkNode(const RecipeNode& node) {
    for (const RecipeEntry& entry : node.entries) {
      live_.Add(entry.fingerprint);
      if (node.level == 0 || !marked_nodes_.insert(entry.fingerprint).second) continue;
      STRATA_ASSIGN_OR_RETURN(
          const RecipeNode child,
          ReadRecipeNode(*core_->reader, entry, static_cast<uint8_t>(node.level - 1)));
      pacer_.Spend(entry.chunk_bytes);
      STRATA_RETURN_IF_ERROR(MarkNode(child));
    }
    return absl::OkStatus();
  }

  // Finds the containers with little alive in them, the emptiest first: freeing them makes room for
  // copies; then those that await their compression.
  absl::Status Examine() {
    std::vector<Candidate> all;
    STRATA_RETURN_IF_ERROR(CountAll(&all));
    STRATA_RETURN_IF_ERROR(ReplaceJournal(all));
    std::vector<Candidate> underfilled;  // All alive, but sealed before they were full.
    std::vector<Candidate> deferred;     // All alive, but not compressed yet.
    for (Candidate& candidate : all) {
      if (candidate.damage == Candidate::Damage::kNeeded) continue;
      const ContainerRecord& record = candidate.record;
      const uint64_t live_journal = LiveJournalBytes(candidate);
      const double share = LiveShare(candidate);
      const double fill = static_cast<double>(record.stored_bytes + candidate.journal_bytes) /
                          static_cast<double>(core_->superblock.container_bytes);
      if (candidate.damage == Candidate::Damage::kLeft ||  // What is whole leaves it.
          (candidate.live_chunks == 0 && live_journal == 0) ||
          share < options_.rewrite_below_live_ratio) {
        candidates_.push_back(std::move(candidate));
      } else if (record.deferred && compresses_) {
        deferred.push_back(std::move(candidate));
      } else if (share * fill < options_.rewrite_below_live_ratio) {
        underfilled.push_back(std::move(candidate));
      }
    }
    if (underfilled.size() > 1) {  // One alone would only be moved.
      std::move(underfilled.begin(), underfilled.end(), std::back_inserter(candidates_));
    }
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [this](const Candidate& a, const Candidate& b) {
                       return std::pair(a.live_chunks, LiveJournalBytes(a)) <
                              std::pair(b.live_chunks, LiveJournalBytes(b));
                     });
    // In the order they were written, which is that of the streams.
    std::move(deferred.begin(), deferred.end(), std::back_inserter(candidates_));
    return absl::OkStatus();
  }

  absl::StatusOr<Candidate::Damage> DamageOf(uint64_t id, const ContainerContents& contents) {
    STRATA_RETURN_IF_ERROR(core_->index->LeadAwayFromDamage(id, contents));
    const LostChunks lost = LostOf(id);
    if (lost.empty()) return Candidate::Damage::kNone;
    STRATA_ASSIGN_OR_RETURN(const bool needed, AnyNeeded(id, contents, lost));
    if (!needed) return Candidate::Damage::kLeft;
    Log(core_->options.log, LogLevel::kWarning,
        absl::StrFormat("dedup: container %d is kept: chunks in it are damaged that streams need "
                        "and no other container has; storing the same data again heals them",
                        id));
    return Candidate::Damage::kNeeded;
  }

  LostChunks LostOf(uint64_t id) const {
    if (!core_->table->any_lost()) return {};
    const std::optional<ContainerInfo> info = core_->table->Find(id);
    return info.has_value() ? info->lost : LostChunks();
  }

  // Whether a stream needs one of the `lost` chunks and this copy is the last. Damage may pass, as
  // that of a cable does: such a container is left as it is.
  absl::StatusOr<bool> AnyNeeded(uint64_t id, const ContainerContents& contents,
                                 const LostChunks& lost) {
    STRATA_ASSIGN_OR_RETURN(const std::vector<bool> here, core_->index->LeadsHere(id, contents));
    size_t chunk = 0;
    for (const RegionExtent& region : contents.regions) {
      for (uint32_t i = 0; i < region.chunk_count; ++i, ++chunk) {
        const ChunkPlace place{id, region.offset_units, region.size_units,
                               static_cast<uint16_t>(i)};
        if (here[chunk] && IsLost(lost, place) && live_.Contains(contents.chunks[chunk])) {
          return true;
        }
      }
    }
    return false;
  }

  absl::Status CountAll(std::vector<Candidate>* all) {
    for (const auto& [id, record] : sealed_) {
      absl::StatusOr<ContainerContents> contents = core_->reader->ReadFooter(id, record);
      if (absl::IsDataLoss(contents.status())) {
        // The regions do not tell whether one of the journal is missing among them.
        if (MayHoldJournal(id)) STRATA_RETURN_IF_ERROR(core_->journal->NoteNeedsRepair());
        contents = core_->reader->ReadContents(id, record);
      }
      if (absl::IsDataLoss(contents.status())) {
        core_->reader->CountCorruption();
        core_->table->MarkDamaged(id, std::string(contents.status().message()));
        continue;
      }
      STRATA_RETURN_IF_ERROR(contents.status());
      pacer_.Spend(record.footer_bytes);
      STRATA_ASSIGN_OR_RETURN(const size_t live, CountLive(id, *contents));
      STRATA_ASSIGN_OR_RETURN(const Candidate::Damage damage, DamageOf(id, *contents));
      all->push_back(
          {id, record, live, contents->chunks.size(), contents->journal_bytes, damage, {}});
      STRATA_RETURN_IF_ERROR(Report("examine", ++report_.containers_examined, sealed_.size()));
    }
    return absl::OkStatus();
  }

  // Older parts of the journal are dead as a whole once a checkpoint follows them. The record of a
  // key that was written again, or deleted, is dead before; once such are half of the journal, a
  // checkpoint is worth its writing.
  absl::Status ReplaceJournal(const std::vector<Candidate>& all) {
    if (core_->journal == nullptr) return absl::OkStatus();
    uint64_t bytes = 0;
    for (const Candidate& candidate : all) bytes += LiveJournalBytes(candidate);
    if (bytes <= core_->options.journal_checkpoint_bytes) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(const uint64_t needed_bytes, core_->journal->EstimateCheckpoint());
    if (bytes <= 2 * needed_bytes + core_->options.journal_checkpoint_bytes) {
      return absl::OkStatus();
    }
    return WriteCheckpoint(/*for_repair=*/false);
  }

  absl::Status WriteCheckpoint(bool for_repair) {
    const absl::Status status = core_->journal->WriteCheckpoint(for_repair);
    if (!absl::IsResourceExhausted(status)) return status;
    Log(core_->options.log, LogLevel::kWarning,
        absl::StrFormat("dedup: no room for a checkpoint of the journal: %s",
                        std::string(status.message())));
    return absl::OkStatus();
  }

  // Of the journal's regions in the container; those that are dead one by one are not told.
  uint64_t LiveJournalBytes(const Candidate& candidate) const {
    return MayHoldJournal(candidate.id) ? candidate.journal_bytes : 0;
  }

  // Whether something is copied before it can be freed.
  bool TakesRoom(const Candidate& candidate) const {
    return candidate.live_chunks > 0 || LiveJournalBytes(candidate) > 0;
  }

  // Of what no checkpoint replaces.
  bool MayHoldJournal(uint64_t id) const {
    return core_->journal != nullptr && id >= core_->journal->checkpoint().first_container;
  }

  double LiveShare(const Candidate& candidate) const {
    const double live_chunks = static_cast<double>(candidate.live_chunks) /
                               static_cast<double>(std::max<size_t>(candidate.chunk_count, 1));
    if (candidate.journal_bytes == 0) return live_chunks;
    const auto stored_bytes = static_cast<double>(candidate.record.stored_bytes);
    return (live_chunks * stored_bytes + static_cast<double>(LiveJournalBytes(candidate))) /
           (stored_bytes + static_cast<double>(candidate.journal_bytes));
  }

  absl::StatusOr<size_t> CountLive(uint64_t id, const ContainerContents& contents) {
    std::vector<bool> here;
    if (folds_) {
      STRATA_ASSIGN_OR_RETURN(here, core_->index->LeadsHere(id, contents));
    }
    size_t live = 0;
    for (size_t i = 0; i < contents.chunks.size(); ++i) {
      if (!live_.Contains(contents.chunks[i])) continue;
      const bool stored_again = folds_ && !here[i];
      ++(stored_again ? report_.duplicate_chunks : live);
    }
    return live;
  }

  absl::Status Sweep() {
    std::vector<Candidate> batch;
    uint64_t freed_at_bytes = 0;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      Candidate& candidate = candidates_[i];
      // What is empty makes the room for the first copies.
      if (TakesRoom(candidate) && !batch.empty() && !TakesRoom(batch.back())) {
        STRATA_RETURN_IF_ERROR(Free(&batch));
      }
      if (core_->table->Condemn({candidate.id}).empty()) continue;
      absl::Status status = Empty(&candidate);
      if (absl::IsDataLoss(status)) {
        // A chunk that is needed is damaged. The reader has noted it; the container stays.
        Log(core_->options.log, LogLevel::kWarning, std::string(status.message()));
        continue;
      }
      if (absl::IsResourceExhausted(status) && report_.containers_freed > 0) {
        // No room for more copies. What was not freed yet is as it was, and some of it stored
        // twice.
        return absl::OkStatus();
      }
      STRATA_RETURN_IF_ERROR(status);
      batch.push_back(std::move(candidate));
      // A container's worth of copies at a time: on a full disk there is room for little more.
      if (batch.size() >= kContainersPerBatch || core_->table->free_slots() <= kReservedSlots ||
          copied_bytes() - freed_at_bytes >= core_->superblock.container_bytes) {
        freed_at_bytes = copied_bytes();
        STRATA_RETURN_IF_ERROR(Free(&batch));
      }
      STRATA_RETURN_IF_ERROR(Report("sweep", i + 1, candidates_.size()));
    }
    return Free(&batch);
  }

  // Appends what lives in the container to the log.
  absl::Status Empty(Candidate* candidate) {
    STRATA_ASSIGN_OR_RETURN(candidate->contents,
                            core_->reader->ReadContents(candidate->id, candidate->record));
    const ContainerContents& contents = candidate->contents;
    STRATA_RETURN_IF_ERROR(CopyJournal(*candidate));
    if (candidate->live_chunks == 0) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(const std::vector<bool> here,
                            core_->index->LeadsHere(candidate->id, contents));
    struct Copying {
      RegionKind kind;
      std::vector<uint32_t> ordinals;
      size_t first_chunk = 0;
    };
    std::vector<ChunkPlace> places;
    std::vector<Copying> copies;  // One for each place.
    size_t first_chunk = 0;
    for (const RegionExtent& extent : contents.regions) {
      Copying copying{extent.kind, {}, first_chunk};
      for (uint32_t i = 0; i < extent.chunk_count; ++i) {
        if (!here[first_chunk + i] || !live_.Contains(contents.chunks[first_chunk + i])) continue;
        copying.ordinals.push_back(i);
      }
      first_chunk += extent.chunk_count;
      if (copying.ordinals.empty()) continue;
      places.push_back({candidate->id, extent.offset_units, extent.size_units, 0});
      copies.push_back(std::move(copying));
    }
    ReadAhead ahead(core_->reader.get(), core_->workers.get());
    for (size_t current = 0; current < places.size(); ++current) {
      const Copying& copying = copies[current];
      ahead.Follow(places, current);
      STRATA_ASSIGN_OR_RETURN(const std::shared_ptr<const LoadedRegion> region,
                              core_->reader->ReadRegion(places[current], &ahead));
      pacer_.Spend(uint64_t{places[current].size_units} * kUnitBytes);
      for (const uint32_t i : copying.ordinals) {
        STRATA_RETURN_IF_ERROR(
            Copy(copying.kind, contents.chunks[copying.first_chunk + i], *region, i));
      }
    }
    return absl::OkStatus();
  }

  // Regions of the journal go whole. A copy of a record is the record: rebuilding counts it once.
  absl::Status CopyJournal(const Candidate& candidate) {
    if (LiveJournalBytes(candidate) == 0) return absl::OkStatus();
    for (const RegionExtent& extent : candidate.contents.regions) {
      if (extent.kind != RegionKind::kJournal) continue;
      const absl::StatusOr<std::shared_ptr<const LoadedRegion>> region = core_->reader->ReadRegion(
          {candidate.id, extent.offset_units, extent.size_units, 0}, /*ahead=*/nullptr);
      if (absl::IsDataLoss(region.status())) {
        STRATA_RETURN_IF_ERROR(core_->journal->NoteNeedsRepair());
      }
      STRATA_RETURN_IF_ERROR(region.status());
      const std::span<const std::byte> raw((*region)->raw.get(), (*region)->raw_bytes);
      STRATA_ASSIGN_OR_RETURN(const JournalPart part, DecodeJournalPart(raw));
      if (!core_->journal->Needs(part)) continue;
      EncodeRegion(RegionKind::kJournal, {}, raw, core_->options.compression,
                   core_->options.compression_level, *core_->codec, core_->cipher.get(),
                   &journal_region_);
      STRATA_RETURN_IF_ERROR(
          core_->log->Append(&journal_region_, &own_pins_, /*may_use_reserve=*/true).status());
      journal_bytes_copied_ += journal_region_.size_bytes();
      pacer_.Spend(journal_region_.size_bytes());
    }
    return absl::OkStatus();
  }

  uint64_t copied_bytes() const {
    return data_.stored_bytes() + nodes_.stored_bytes() + journal_bytes_copied_;
  }

  absl::Status Copy(RegionKind kind, const Fingerprint& fingerprint, const LoadedRegion& region,
                    size_t ordinal) {
    if (ordinal >= region.table.size() || region.table[ordinal].fingerprint != fingerprint) {
      return absl::DataLossError(region.damage.empty()
                                     ? "dedup: footer and region of a container do not agree"
                                     : region.damage);
    }
    RegionBuilder& builder = kind == RegionKind::kRecipes ? nodes_ : data_;
    if (builder.Holds(fingerprint)) return absl::OkStatus();
    const uint64_t before = builder.stored_bytes();
    STRATA_RETURN_IF_ERROR(builder.Add(fingerprint, region.chunk(ordinal), region.deferred));
    pacer_.Spend(builder.stored_bytes() - before);
    return absl::OkStatus();
  }

  // Gives the emptied containers' slots back.
  absl::Status Free(std::vector<Candidate>* batch) {
    if (batch->empty()) return absl::OkStatus();
    STRATA_RETURN_IF_ERROR(data_.Flush());
    STRATA_RETURN_IF_ERROR(nodes_.Flush());
    // Also what others wrote anew, which is why it was not copied.
    STRATA_RETURN_IF_ERROR(core_->log->WaitDurable(core_->log->position()));
    for (const Candidate& candidate : *batch) {
      STRATA_RETURN_IF_ERROR(core_->index->RemoveContainer(candidate.id, candidate.contents));
      core_->table->WaitForReaders(candidate.id);
      const uint32_t container_bytes = core_->superblock.container_bytes;
      const absl::Status erased =
          core_->io->Erase(SlotOffset(candidate.record.slot, container_bytes), container_bytes);
      if (!erased.ok()) {
        Log(core_->options.log, LogLevel::kWarning,
            absl::StrFormat("dedup: slot %d was freed but not erased: %s", candidate.record.slot,
                            std::string(erased.message())));
      }
      core_->table->ReleaseSlot(candidate.record.slot);
      if (compresses_ && candidate.record.deferred && candidate.live_chunks > 0) {
        report_.deferred_bytes += candidate.record.data_stored_bytes();
      }
      ++report_.containers_freed;
    }
    batch->clear();
    return absl::OkStatus();
  }

  StoreCore* const core_;
  const GarbageOptions& options_;
  const bool folds_;
  const bool compresses_;
  Pacer pacer_;
  GarbageReport report_;
  std::vector<std::pair<uint64_t, ContainerRecord>> sealed_;
  LiveSet live_;
  absl::flat_hash_set<Fingerprint, FingerprintHash> marked_nodes_;
  std::vector<Candidate> candidates_;
  PinSet own_pins_;  // Of containers younger than the collection, which it leaves alone.
  RegionBuilder data_;
  RegionBuilder nodes_;
  EncodedRegion journal_region_;
  uint64_t journal_bytes_copied_ = 0;
};

absl::StatusOr<GarbageReport> Run(StoreCore* core, const GarbageOptions& options, bool folds) {
  if (options.rewrite_below_live_ratio < 0 || options.rewrite_below_live_ratio > 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "dedup: rewrite_below_live_ratio is %g, must be 0..1", options.rewrite_below_live_ratio));
  }
  if (core->reorganizing.exchange(true)) {
    return absl::FailedPreconditionError(
        "dedup: garbage collection or a rebuild is running already");
  }
  const absl::Cleanup done = [core] { core->reorganizing = false; };
  return Collection(core, options, folds).Run();
}

}  // namespace

absl::StatusOr<GarbageReport> CollectGarbage(StoreCore* core, const GarbageOptions& options) {
  return Run(core, options, /*folds=*/false);
}

absl::StatusOr<GarbageReport> DeduplicateStore(StoreCore* core, const DeduplicateOptions& options) {
  return Run(core,
             {.rewrite_below_live_ratio = options.rewrite_below_live_ratio,
              .max_bytes_per_second = options.max_bytes_per_second,
              .progress = options.progress},
             /*folds=*/true);
}

}  // namespace strata::dedup
