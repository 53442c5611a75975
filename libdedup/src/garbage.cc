// SPDX-License-Identifier: Apache-2.0
//
// Mark and sweep, beside readers and writers. Mark: from a snapshot of the stream records (and the
// streams that are open) to the fingerprints they need. Sweep: containers with little left alive
// are condemned unless somebody pinned them, what lives in them is appended to the log anew, and
// only when that is durable are they taken out of the index and their slots freed. A crash at any
// point leaves copies that the next run finds superfluous, and nothing else.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "evacuation.h"
#include "format/codec.h"
#include "format/container_format.h"
#include "live_set.h"
#include "long_calls.h"
#include "pacer.h"
#include "store_core.h"
#include "strata/base/status_macros.h"
#include "stream_records.h"
#include "stream_walk.h"

namespace strata::dedup {
namespace {

constexpr size_t kContainersPerBatch = 8;

// Of containers that are freed together. Their entries are looked up in the order of their keys: of
// more, more lie together in the kv store's blocks. The fingerprints are in memory until then.
constexpr uint64_t kMaxChunksPerGroup = 256u << 10;
// Deleting an entry takes room in the kv store's log before the container gives any back. So on a
// full disk the first group is small, and a later one grows with what was freed before it.
constexpr uint64_t kFirstGroupChunks = 8u << 10;
constexpr uint64_t kFreedBytesPerEntry = 128;
// Where so large a share of the chunk index goes, going through all of it costs less than lookups.
constexpr uint64_t kMinScannedShare = 8;

class Collection final {
 public:
  // `folds`: of chunks that were stored more than once, only the copy that the index leads to
  // lives.
  Collection(StoreCore* core, const GarbageOptions& options, bool folds)
      : core_(core),
        options_(options),
        folds_(folds),
        container_bytes_(core->superblock.container_bytes),
        pacer_(options.max_bytes_per_second),
        evacuation_(core, &live_, &pacer_, options.compress_as, options.recompress) {}

  absl::StatusOr<GarbageReport> Run() {
    core_->table->BeginCollection();
    core_->log->SetCollecting(true);
    const absl::Cleanup end = [this] {
      core_->log->SetCollecting(false);
      core_->table->EndCollection();
    };
    const uint64_t opened_before = core_->log->collection_containers();
    // What was deleted lies in the open container as often as elsewhere.
    STRATA_RETURN_IF_ERROR(core_->log->Seal());
    if (core_->journal != nullptr && core_->journal->needs_repair()) {
      STRATA_RETURN_IF_ERROR(WriteCheckpoint(/*for_repair=*/true));
    }
    for (const auto& [id, info] : core_->table->List()) {
      if (!info.record.sealed || !info.usable()) continue;
      sealed_.emplace_back(id, info.record);
      sealed_chunks_ += info.record.chunk_count;
    }
    STRATA_RETURN_IF_ERROR(Mark());
    STRATA_RETURN_IF_ERROR(ChooseContainers());
    STRATA_RETURN_IF_ERROR(Sweep());
    STRATA_RETURN_IF_ERROR(Report("sweep", candidates_.size(), candidates_.size()));
    if (core_->journal != nullptr && core_->journal->needs_repair()) {
      STRATA_RETURN_IF_ERROR(WriteCheckpoint(/*for_repair=*/true));
    }
    report_.live_bytes_copied = evacuation_.copied_bytes();
    const uint64_t opened = core_->log->collection_containers() - opened_before;
    const uint64_t freed = report_.containers_freed;
    report_.freed_bytes = (freed - std::min(freed, opened)) * container_bytes_;
    return report_;
  }

 private:
  struct Candidate {
    // kLeft: no stream needs what is damaged.
    enum class Damage : uint8_t { kNone, kLeft, kNeeded };
    uint64_t id = 0;
    ContainerRecord record;
    size_t live_chunks = 0;
    uint64_t live_bytes = 0;    // Of regions on the device, in proportion to their living chunks.
    uint64_t region_bytes = 0;  // Of all that are not the journal's.
    uint64_t live_footer_bytes = 0;
    uint64_t journal_bytes = 0;
    uint32_t journal_regions = 0;
    Damage damage = Damage::kNone;
    bool recompressed = false;  // Nothing else speaks for copying it.
  };
  // What lived in it has been copied.
  struct Emptied {
    const Candidate* candidate;
    RemovedContainer removed;
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
        *snapshot, core_->streams,
        [this](const StreamId& id, const StreamRecord& record) -> absl::Status {
          if (absl::Status status = MarkNode(record.root); !status.ok()) {
            return absl::Status(
                status.code(),
                absl::StrFormat("dedup: nothing is collected while the recipe of stream %s cannot "
                                "be read; delete the stream: %s",
                                id.ToHex(), std::string(status.message())));
          }
          return Report("mark", ++report_.streams_marked, core_->Totals().stream_count);
        }));
    live_.Finish();
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
  absl::Status ChooseContainers() {
    std::vector<Candidate> all;
    STRATA_RETURN_IF_ERROR(CountAll(&all));
    STRATA_RETURN_IF_ERROR(ReplaceJournal(all));
    std::vector<Candidate> underfilled;  // Nearly all alive, but sealed before they were full.
    std::vector<Candidate> deferred;     // Nearly all alive, but not compressed yet.
    std::vector<Candidate> light;        // Nearly all alive, but not compressed as hard as can be.
    for (Candidate& candidate : all) {
      if (candidate.damage == Candidate::Damage::kNeeded) continue;
      if (candidate.damage == Candidate::Damage::kLeft ||  // What is whole leaves it.
          !TakesRoom(candidate) || Sparse(candidate)) {
        candidates_.push_back(std::move(candidate));
      } else if (candidate.record.deferred) {
        deferred.push_back(std::move(candidate));
      } else if (Recompresses(candidate.record)) {
        candidate.recompressed = true;
        light.push_back(std::move(candidate));
      } else if (Need(candidate) < options_.rewrite_below_live_ratio) {
        underfilled.push_back(std::move(candidate));
      }
    }
    if (!light.empty() || AreWorthJoining(underfilled, deferred)) {
      std::move(underfilled.begin(), underfilled.end(), std::back_inserter(candidates_));
    }
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [this](const Candidate& a, const Candidate& b) {
                       return std::pair(a.live_chunks, LiveJournalBytes(a)) <
                              std::pair(b.live_chunks, LiveJournalBytes(b));
                     });
    // In the order they were written, which is that of the streams.
    std::move(deferred.begin(), deferred.end(), std::back_inserter(candidates_));
    std::move(light.begin(), light.end(), std::back_inserter(candidates_));
    return absl::OkStatus();
  }

  bool Recompresses(const ContainerRecord& record) const {
    return options_.recompress.has_value() && !options_.compress_as.has_value() && !record.dense &&
           record.data_stored_bytes() > 0;
  }

  // Joining them is worth its copying where it frees a container. Where others are copied anyway,
  // all join: so a collection leaves one container that is not full, and a second one has nothing
  // to do.
  bool AreWorthJoining(const std::vector<Candidate>& underfilled,
                       const std::vector<Candidate>& deferred) const {
    const auto takes_room = [this](const Candidate& candidate) { return TakesRoom(candidate); };
    if (!deferred.empty() || std::ranges::any_of(candidates_, takes_room)) return true;
    double need = 0;
    for (const Candidate& candidate : underfilled) need += Need(candidate);
    return std::ceil(need) < static_cast<double>(underfilled.size());
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
    STRATA_ASSIGN_OR_RETURN(const std::vector<bool> is_current,
                            core_->index->IsCurrentCopy(id, contents));
    size_t chunk = 0;
    for (const RegionExtent& region : contents.regions) {
      for (uint32_t i = 0; i < region.chunk_count; ++i, ++chunk) {
        const ChunkPlace place{id, region.offset_units, region.size_units,
                               static_cast<uint16_t>(i)};
        if (is_current[chunk] && IsLost(lost, place) && live_.Contains(contents.chunks[chunk])) {
          return true;
        }
      }
    }
    return false;
  }

  absl::Status CountAll(std::vector<Candidate>* all) {
    for (const auto& [id, record] : sealed_) {
      absl::StatusOr<ContainerContents> contents = core_->container_reader->ReadFooter(id, record);
      if (absl::IsDataLoss(contents.status())) {
        // The regions do not tell whether one of the journal is missing among them.
        if (MayHoldJournal(id)) STRATA_RETURN_IF_ERROR(core_->journal->NoteNeedsRepair());
        contents = core_->container_reader->ReadContents(id, record);
      }
      if (absl::IsDataLoss(contents.status())) {
        core_->reader->CountCorruption();
        core_->table->MarkDamaged(id, std::string(contents.status().message()));
        continue;
      }
      STRATA_RETURN_IF_ERROR(contents.status());
      pacer_.Spend(record.footer_bytes);
      Candidate candidate{.id = id,
                          .record = record,
                          .journal_bytes = contents->journal_bytes,
                          .journal_regions = contents->journal_regions};
      STRATA_RETURN_IF_ERROR(CountLive(*contents, &candidate));
      STRATA_ASSIGN_OR_RETURN(candidate.damage, DamageOf(id, *contents));
      all->push_back(std::move(candidate));
      STRATA_RETURN_IF_ERROR(Report("examine", ++report_.containers_examined, sealed_.size()));
    }
    return absl::OkStatus();
  }

  // Older parts of the journal are dead as a whole once a checkpoint follows them. The record of a
  // key that was written again, or deleted, is dead before, and records that were written apart
  // compress badly: once a checkpoint would take two thirds of the journal it is worth its writing.
  absl::Status ReplaceJournal(const std::vector<Candidate>& all) {
    if (core_->journal == nullptr) return absl::OkStatus();
    uint64_t bytes = 0;
    for (const Candidate& candidate : all) bytes += LiveJournalBytes(candidate);
    if (bytes <= core_->options.journal_checkpoint_bytes) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(const uint64_t needed_bytes, core_->journal->EstimateCheckpoint());
    if (bytes <=
        needed_bytes + std::max(needed_bytes / 2, core_->options.journal_checkpoint_bytes)) {
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
    return Share(candidate.live_bytes + LiveJournalBytes(candidate),
                 std::max<uint64_t>(candidate.region_bytes + candidate.journal_bytes, 1));
  }

  // A container that is full because it has as many chunks as it may, copied, is as full.
  bool Sparse(const Candidate& candidate) const {
    return std::max(LiveShare(candidate), CountedNeed(candidate)) <
           options_.rewrite_below_live_ratio;
  }

  static double Share(uint64_t part, uint64_t of) {
    return static_cast<double>(part) / static_cast<double>(of);
  }
  double CountedNeed(const Candidate& candidate) const {
    const bool journal = LiveJournalBytes(candidate) > 0;
    return std::max(Share(candidate.live_chunks, kMaxChunksPerContainer),
                    Share(journal ? candidate.journal_regions : 0, kMaxJournalRegionsPerContainer));
  }

  // The share of a container that is taken by what lives in the candidate once it is copied. A
  // container ends where the next region does not fit.
  double Need(const Candidate& candidate) const {
    const uint64_t bytes =
        candidate.live_bytes + candidate.live_footer_bytes + LiveJournalBytes(candidate);
    return std::max(Share(bytes, container_bytes_ - CompressionOf(core_->options).region_bytes),
                    CountedNeed(candidate));
  }

  // For each chunk, whether this copy of it counts. Of chunks that streams have left, and of all in
  // a fold, it does where the index does not lead to another one.
  absl::StatusOr<std::vector<bool>> Counts(const Candidate& candidate,
                                           const ContainerContents& contents) {
    if (folds_) return core_->index->IsCurrentCopy(candidate.id, contents);
    std::vector<bool> counts(contents.chunks.size(), true);
    ContainerContents left;
    std::vector<size_t> left_chunks;
    size_t first_chunk = 0;
    for (const RegionExtent& region : contents.regions) {
      const size_t end_chunk = first_chunk + region.chunk_count;
      if (std::ranges::binary_search(candidate.record.superseded_regions, region.offset_units)) {
        left.regions.push_back(region);
        for (size_t i = first_chunk; i < end_chunk; ++i) {
          left.chunks.push_back(contents.chunks[i]);
          left_chunks.push_back(i);
        }
      }
      first_chunk = end_chunk;
    }
    if (left.regions.empty()) return counts;
    STRATA_ASSIGN_OR_RETURN(const std::vector<bool> is_current,
                            core_->index->IsCurrentCopy(candidate.id, left));
    for (size_t i = 0; i < is_current.size(); ++i) counts[left_chunks[i]] = is_current[i];
    return counts;
  }

  absl::Status CountLive(const ContainerContents& contents, Candidate* candidate) {
    STRATA_ASSIGN_OR_RETURN(const std::vector<bool> counts, Counts(*candidate, contents));
    size_t chunk = 0;
    for (const RegionExtent& region : contents.regions) {
      if (region.kind == RegionKind::kJournal) continue;
      const uint64_t bytes = uint64_t{region.size_units} * kUnitBytes;
      uint64_t live = 0;
      for (const size_t end = chunk + region.chunk_count; chunk < end; ++chunk) {
        if (!live_.Contains(contents.chunks[chunk])) continue;
        live += counts[chunk] ? 1 : 0;
        report_.duplicate_chunks += folds_ && !counts[chunk] ? 1 : 0;
      }
      candidate->region_bytes += bytes;
      if (live == 0) continue;
      candidate->live_chunks += live;
      candidate->live_bytes += bytes * live / region.chunk_count;
      candidate->live_footer_bytes += kFooterRegionBytes + live * kFooterChunkBytes;
    }
    return absl::OkStatus();
  }

  absl::Status Sweep() {
    const auto first_taking_room =
        std::partition_point(candidates_.begin(), candidates_.end(),
                             [this](const Candidate& candidate) { return !TakesRoom(candidate); });
    const auto dead = static_cast<size_t>(first_taking_room - candidates_.begin());
    // What is empty makes the room for the first copies.
    STRATA_RETURN_IF_ERROR(FreeDead(dead));
    std::vector<Emptied> batch;
    uint64_t freed_at_bytes = 0;
    for (size_t i = dead; i < candidates_.size(); ++i) {
      if (core_->table->Condemn({candidates_[i].id}).empty()) continue;
      Emptied emptied{&candidates_[i], {}};
      absl::Status status = CopyLiveChunks(&emptied);
      if (absl::IsDataLoss(status)) {
        // A chunk that is needed is damaged. The reader has noted it; the container stays.
        Log(core_->options.log, LogLevel::kWarning, std::string(status.message()));
        continue;
      }
      if (absl::IsResourceExhausted(status) &&
          (report_.containers_freed > 0 || candidates_[i].recompressed)) {
        // No room for more copies. What was not freed yet is as it was, and some of it stored
        // twice.
        return absl::OkStatus();
      }
      STRATA_RETURN_IF_ERROR(status);
      batch.push_back(std::move(emptied));
      // A container's worth of copies at a time: on a full disk there is room for little more.
      if (batch.size() >= kContainersPerBatch || core_->table->free_slots() <= kReservedSlots ||
          evacuation_.copied_bytes() - freed_at_bytes >= container_bytes_) {
        freed_at_bytes = evacuation_.copied_bytes();
        STRATA_RETURN_IF_ERROR(FreeContainers(&batch, ChunkIndex::Search::kLookups));
      }
      STRATA_RETURN_IF_ERROR(Report("sweep", i + 1, candidates_.size()));
    }
    return FreeContainers(&batch, ChunkIndex::Search::kLookups);
  }

  // The first `count` candidates, of which nothing is copied.
  absl::Status FreeDead(size_t count) {
    for (size_t next = 0; next < count;) {
      const uint64_t affordable = std::max(
          kFirstGroupChunks, report_.containers_freed * container_bytes_ / kFreedBytesPerEntry);
      const auto chunks_of = [&](size_t first, size_t end) {
        uint64_t chunks = 0;
        for (size_t i = first; i < end; ++i) chunks += candidates_[i].record.chunk_count;
        return chunks;
      };
      const auto end_of_group = [&](uint64_t most_chunks) {
        size_t end = next + 1;
        for (uint64_t chunks = chunks_of(next, end); end < count; ++end) {
          chunks += candidates_[end].record.chunk_count;
          if (chunks > most_chunks) break;
        }
        return end;
      };
      size_t end = end_of_group(affordable);
      const bool scans = chunks_of(next, end) * kMinScannedShare >= sealed_chunks_;
      if (!scans) end = end_of_group(std::min(affordable, kMaxChunksPerGroup));
      STRATA_RETURN_IF_ERROR(FreeGroup(next, end, scans));
      for (; next < end; ++next) {
        STRATA_RETURN_IF_ERROR(Report("sweep", next + 1, candidates_.size()));
      }
    }
    return absl::OkStatus();
  }

  absl::Status FreeGroup(size_t first, size_t end, bool scans) {
    std::vector<Emptied> group;
    for (size_t i = first; i < end; ++i) {
      if (core_->table->Condemn({candidates_[i].id}).empty()) continue;
      Emptied emptied{&candidates_[i], {}};
      const absl::Status status = CopyLiveChunks(&emptied);
      if (absl::IsDataLoss(status)) {
        Log(core_->options.log, LogLevel::kWarning, std::string(status.message()));
        continue;
      }
      STRATA_RETURN_IF_ERROR(status);
      if (scans) emptied.removed.chunks = {};
      group.push_back(std::move(emptied));
    }
    return FreeContainers(&group, scans ? ChunkIndex::Search::kScan : ChunkIndex::Search::kLookups);
  }

  // Appends what lives in the container to the log.
  absl::Status CopyLiveChunks(Emptied* emptied) {
    const Candidate& candidate = *emptied->candidate;
    STRATA_ASSIGN_OR_RETURN(ContainerContents contents,
                            core_->container_reader->ReadContents(candidate.id, candidate.record));
    if (LiveJournalBytes(candidate) > 0) {
      STRATA_RETURN_IF_ERROR(evacuation_.CopyJournal(candidate.id, contents));
    }
    if (candidate.live_chunks > 0) {
      STRATA_RETURN_IF_ERROR(evacuation_.CopyChunks(candidate.id, candidate.record, contents));
    }
    emptied->removed.id = candidate.id;
    for (const RegionExtent& region : contents.regions) {
      if (region.chunk_count > 0) emptied->removed.regions.push_back(region.offset_units);
    }
    emptied->removed.chunks = std::move(contents.chunks);
    return absl::OkStatus();
  }

  // Gives the emptied containers' slots back.
  absl::Status FreeContainers(std::vector<Emptied>* batch, ChunkIndex::Search search) {
    if (batch->empty()) return absl::OkStatus();
    STRATA_RETURN_IF_ERROR(evacuation_.Flush());
    // Also what others wrote anew, which is why it was not copied.
    STRATA_RETURN_IF_ERROR(core_->log->WaitDurable(core_->log->position()));
    std::vector<RemovedContainer> removed;
    for (Emptied& emptied : *batch) removed.push_back(std::move(emptied.removed));
    STRATA_RETURN_IF_ERROR(core_->index->RemoveContainers(removed, search, [this] {
      return Report("sweep", report_.containers_freed, candidates_.size());
    }));
    for (const Emptied& emptied : *batch) {
      const Candidate& candidate = *emptied.candidate;
      core_->table->WaitForReaders(candidate.id);
      const absl::Status erased =
          core_->io->Erase(SlotOffset(candidate.record.slot, container_bytes_), container_bytes_);
      if (!erased.ok()) {
        Log(core_->options.log, LogLevel::kWarning,
            absl::StrFormat("dedup: slot %d was freed but not erased: %s", candidate.record.slot,
                            std::string(erased.message())));
      }
      core_->table->ReleaseSlot(candidate.record.slot);
      if (candidate.record.deferred && candidate.live_chunks > 0) {
        report_.deferred_bytes += candidate.record.data_stored_bytes();
      }
      if (candidate.recompressed)
        report_.recompressed_bytes += candidate.record.data_stored_bytes();
      ++report_.containers_freed;
    }
    batch->clear();
    return absl::OkStatus();
  }

  StoreCore* const core_;
  const GarbageOptions& options_;
  const bool folds_;
  const uint32_t container_bytes_;
  Pacer pacer_;
  GarbageReport report_;
  std::vector<std::pair<uint64_t, ContainerRecord>> sealed_;
  uint64_t sealed_chunks_ = 0;
  LiveSet live_;
  absl::flat_hash_set<Fingerprint, FingerprintHash> marked_nodes_;
  std::vector<Candidate> candidates_;
  Evacuation evacuation_;
};

absl::StatusOr<GarbageReport> Run(StoreCore* core, const GarbageOptions& options, bool folds) {
  if (options.rewrite_below_live_ratio < 0 || options.rewrite_below_live_ratio > 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "dedup: rewrite_below_live_ratio is %g, must be 0..1", options.rewrite_below_live_ratio));
  }
  if (options.compress_as.has_value()) {
    STRATA_RETURN_IF_ERROR(CheckCompression(*options.compress_as));
  }
  if (options.recompress.has_value()) {
    STRATA_RETURN_IF_ERROR(CheckCompression(*options.recompress));
    if (!CompressesHard(*options.recompress)) {
      return absl::InvalidArgumentError("dedup: recompress must be zstd of level 9 or more");
    }
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

absl::StatusOr<GarbageReport> FoldStore(StoreCore* core, const FoldOptions& options) {
  return Run(core,
             {.rewrite_below_live_ratio = options.rewrite_below_live_ratio,
              .max_bytes_per_second = options.max_bytes_per_second,
              .progress = options.progress,
              .compress_as = options.compress_as,
              .recompress = options.recompress},
             /*folds=*/true);
}

}  // namespace strata::dedup
