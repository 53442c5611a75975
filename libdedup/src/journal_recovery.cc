// SPDX-License-Identifier: Apache-2.0
//
// Opening a store with a journal: what the journal has and the kv store lost is written to the kv
// store again. Where it is the other way round, a checkpoint makes the journal whole.
#include "journal_recovery.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "store_core.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

absl::StatusOr<bool> AnythingLogged(StoreCore& core) {
  kv::Store& kv = *core.options.kv;
  STRATA_ASSIGN_OR_RETURN(const std::vector<kv::SpaceInfo> spaces,
                          Journal::LoggedSpaces(kv, core.options.name));
  for (const kv::SpaceInfo& space : spaces) {
    STRATA_ASSIGN_OR_RETURN(const kv::SpaceId id, kv.OpenSpace(space.name, space.options));
    STRATA_ASSIGN_OR_RETURN(const kv::Page page, kv.NewSnapshot()->List(id, {}, {.max_items = 1}));
    if (!page.items.empty()) return true;
  }
  return false;
}

// Whether every record up to `applied` that no checkpoint replaces is on the device. What a sealed
// container holds is, and what a container held that was collected since.
bool HoldsAll(const JournalRecords& records, JournalPlace applied, uint64_t checkpoint,
              const UnsealedRegions& unsealed) {
  while (applied.sequence > checkpoint && unsealed.contains(applied.container_id)) {
    const auto found = records.previous().find(applied.sequence);
    if (found == records.previous().end()) return false;
    applied = found->second;
  }
  return true;
}

// Whether what was on its way to the device together with the record has arrived.
bool AllThere(const JournalRecords::Commit& commit, const UnsealedRegions& unsealed) {
  for (const RegionRange& range : NeededRegions(std::as_bytes(std::span(commit.operations)))) {
    const auto container = unsealed.find(range.container_id);
    if (container == unsealed.end()) continue;  // Sealed, or collected: durable long since.
    for (uint32_t sequence = range.first; sequence < range.end; ++sequence) {
      if (!container->second.contains(sequence)) return false;
    }
  }
  return true;
}

// The numbers of the commits that come after the one that is `applied`.
std::vector<uint64_t> FollowingCommits(const StoreCore& core, const JournalRecords& records,
                                       const UnsealedRegions& unsealed, uint64_t applied) {
  // Of two records that follow the same one, the younger opening's counts: it was there when the
  // other could not be reached.
  std::map<uint64_t, uint64_t> next;
  for (const auto& [sequence, commit] : records.commits())
    next[commit.previous.sequence] = sequence;
  std::vector<uint64_t> following;
  for (auto at = next.find(applied); at != next.end(); at = next.find(at->second)) {
    const JournalRecords::Commit& commit = records.commits().at(at->second);
    const bool is_proven = commit.sync && next.contains(at->second);
    if (!is_proven && !AllThere(commit, unsealed)) {
      Log(core.options.log, LogLevel::kWarning,
          absl::StrFormat("dedup: commit number %d is in the journal without all of its data; "
                          "nobody was told that it was durable",
                          at->second));
      break;
    }
    following.push_back(at->second);
  }
  return following;
}

}  // namespace

void WarnOfUnreplayedJournal(const StoreCore& core, const JournalRecords& records,
                             const UnsealedRegions& unsealed, const JournalPlace& applied) {
  const size_t count = FollowingCommits(core, records, unsealed, applied.sequence).size();
  if (count == 0) return;
  Log(core.options.log, LogLevel::kWarning,
      absl::StrFormat("dedup: %d commits are in the journal and not in the kv store; they are not "
                      "seen before the store is opened for writing",
                      count));
}

absl::Status CollectJournal(const DecodedRegion& region, Codec& codec,
                            std::vector<CollectedPart>* parts, std::vector<std::string>* damage) {
  if (region.header.kind != RegionKind::kJournal) return absl::OkStatus();
  CollectedPart collected;
  collected.bytes.resize(region.header.raw_bytes);
  absl::Status status =
      codec.Decompress(region.header.codec, region.payload, std::span(collected.bytes));
  if (status.ok()) {
    absl::StatusOr<JournalPart> part = DecodeJournalPart(collected.bytes);
    status = part.status();
    if (part.ok()) {
      collected.part = *part;
      parts->push_back(std::move(collected));
      return status;
    }
  }
  if (!absl::IsDataLoss(status)) return status;
  damage->push_back(absl::StrFormat("container %d, byte %d: %s", region.header.container_id,
                                    uint64_t{region.header.offset_units} * kUnitBytes,
                                    std::string(status.message())));
  return absl::OkStatus();
}

absl::Status ApplyJournalRecord(StoreCore& core, const JournalPlace& place,
                                std::string_view operations) {
  kv::Store& kv = *core.options.kv;
  const kv::Limits& limits = kv.limits();
  kv::WriteBatch batch;
  STRATA_RETURN_IF_ERROR(VisitJournalOperations(
      std::as_bytes(std::span(operations)), [&](const JournalOperation& operation) -> absl::Status {
        STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space,
                                kv.OpenSpace(operation.space.name, operation.space.options));
        using Kind = kv::WriteBatch::Operation::Kind;
        if (operation.kind == Kind::kPut) batch.Put(space, operation.key, operation.value);
        if (operation.kind == Kind::kDelete) batch.Delete(space, operation.key);
        if (operation.kind == Kind::kDeleteRange) {
          batch.DeleteRange(space, {std::string(operation.key), std::string(operation.value)});
        }
        if (batch.operations().size() + 2 < limits.max_transaction_operations / 2 &&
            batch.size_bytes() < limits.max_transaction_bytes / 2) {
          return absl::OkStatus();
        }
        // A crash after this has all of the record written once more.
        STRATA_RETURN_IF_ERROR(kv.Write(batch, kv::Durability::kAsync));
        batch.Clear();
        return absl::OkStatus();
      }));
  batch.Put(core.containers, kJournalKey, EncodeJournalPlace(place));
  return kv.Write(batch, kv::Durability::kAsync);
}

absl::StatusOr<std::optional<JournalPlace>> ReadJournalPlace(StoreCore& core) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                          core.options.kv->NewSnapshot()->Get(core.containers, kJournalKey));
  if (!value.has_value()) return std::nullopt;
  STRATA_ASSIGN_OR_RETURN(const JournalPlace place, DecodeJournalPlace(*value));
  return place;
}

absl::StatusOr<ReplayedJournal> ReplayJournal(StoreCore& core, const JournalRecords& records,
                                              const UnsealedRegions& unsealed) {
  const std::unique_ptr<kv::Snapshot> snapshot = core.options.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> checkpoint,
                          snapshot->Get(core.containers, kCheckpointKey));
  CheckpointRecord newest;
  if (checkpoint.has_value()) {
    STRATA_ASSIGN_OR_RETURN(newest, DecodeCheckpointRecord(*checkpoint));
    core.journal->SetCheckpoint(newest);
  }
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> repair,
                          snapshot->Get(core.containers, kRepairKey));
  STRATA_ASSIGN_OR_RETURN(const std::optional<JournalPlace> known, ReadJournalPlace(core));
  JournalPlace applied = known.value_or(JournalPlace{});
  bool whole = !repair.has_value();
  if (!known.has_value()) {
    STRATA_ASSIGN_OR_RETURN(const bool anything, AnythingLogged(core));
    whole = whole && !anything;
  } else {
    whole = whole && HoldsAll(records, applied, newest.sequence, unsealed);
  }

  const std::vector<uint64_t> following =
      FollowingCommits(core, records, unsealed, applied.sequence);
  for (const uint64_t sequence : following) {
    const JournalRecords::Commit& commit = records.commits().at(sequence);
    applied = {sequence, commit.container_id};
    STRATA_RETURN_IF_ERROR(ApplyJournalRecord(core, applied, commit.operations));
  }
  if (!following.empty() || !known.has_value()) {
    kv::WriteBatch batch;
    batch.Put(core.containers, kJournalKey, EncodeJournalPlace(applied));
    STRATA_RETURN_IF_ERROR(core.options.kv->Write(batch, kv::Durability::kAsync));
    STRATA_RETURN_IF_ERROR(core.options.kv->Sync());
    if (!following.empty()) {
      Log(core.options.log, LogLevel::kInfo,
          absl::StrFormat("dedup: %d commits were in the journal and not in the kv store; they are "
                          "there now",
                          following.size()));
    }
  }
  if (!whole) STRATA_RETURN_IF_ERROR(core.journal->NoteNeedsRepair());
  // So is a checkpoint of what the kv store lost again.
  const auto& checkpoints = records.checkpoints();
  const bool some_are_void =
      (!records.commits().empty() && records.commits().rbegin()->first > applied.sequence) ||
      (!checkpoints.empty() && checkpoints.rbegin()->first > applied.sequence);
  return ReplayedJournal{applied, some_are_void};
}

}  // namespace strata::dedup
