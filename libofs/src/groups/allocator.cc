// SPDX-License-Identifier: Apache-2.0
#include "groups/allocator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "disks/session_rows.h"
#include "format/key_layout.h"
#include "groups/freed_pieces.h"
#include "groups/group_rows.h"
#include "strata/base/check.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr uint64_t kGroupsAtOnce = 65'536;
constexpr size_t kMaxSealedKept = 65'536;

// A sealed group is worth opening again before a new one is made if so much of it is free.
constexpr uint32_t FreeEnough(uint32_t columns) { return columns / 4; }

uint32_t UnitBlocks(const Protection& protection, uint32_t payload_bytes) {
  return static_cast<uint32_t>(
      DivideUp(payload_bytes, uint64_t{protection.data_units} * kBlockBytes));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Allocator>> Allocator::Open(AllocatorOptions options) {
  std::unique_ptr<Allocator> allocator(new Allocator(std::move(options)));
  STRATA_RETURN_IF_ERROR(allocator->ReadRows());
  return allocator;
}

Allocator::Allocator(AllocatorOptions options)
    : options_(std::move(options)), space_(options_.metadata), disks_(options_.rows.disks) {}

absl::Status Allocator::ReadRows() {
  for (const auto& [number, disk] : options_.rows.disks) {
    STRATA_RETURN_IF_ERROR(space_.AddDisk(number, disk.segment_count));
  }
  const std::unique_ptr<kv::Snapshot> snapshot = options_.metadata.store->NewSnapshot();
  return kv::ForEach(
      *snapshot, options_.metadata.meta, TableRange(Table::kAllocation),
      [&](const kv::KeyValue& row) -> absl::Status {
        STRATA_ASSIGN_OR_RETURN(const uint64_t group, GroupOf(Table::kAllocation, row.key));
        const absl::StatusOr<AllocationRecord> allocation = DecodeAllocation(row.value);
        if (!allocation.ok()) return Annotate(allocation.status(), GroupText(group));
        if (allocation->taken.size() != segment_columns()) {
          return absl::DataLossError(absl::StrCat(GroupText(group), ": it has ",
                                                  allocation->taken.size(), " columns instead of ",
                                                  segment_columns()));
        }
        if (allocation->state != AllocationState::kSealed) return absl::OkStatus();
        if (allocation->taken.clear_count() == 0) return absl::OkStatus();
        STRATA_ASSIGN_OR_RETURN(const GroupRecord record,
                                GetGroup(options_.metadata, *snapshot, group));
        NoteSealed(group, KindOf(record), allocation->taken.clear_count());
        return absl::OkStatus();
      });
}

void Allocator::SetDisks(std::map<uint32_t, DiskRecord> disks) {
  MutexLock lock(&mutex_);
  disks_ = std::move(disks);
}

size_t Allocator::open_group_count() const {
  MutexLock lock(&mutex_);
  return open_.size();
}

uint64_t Allocator::NextBirth() {
  MutexLock lock(&mutex_);
  ++sequence_;
  STRATA_CHECK(sequence_ >> kBirthSequenceBits == 0, "a session has written 2^40 stripes");
  return uint64_t{options_.session} << kBirthSequenceBits | sequence_;
}

// New stripes go to disks that are online, here, and take writes.
bool Allocator::IsUsable(const GroupRecord& record) const {
  for (const SegmentPlace& place : record.units) {
    const auto row = disks_.find(place.disk);
    if (row == disks_.end() || row->second.state != DiskState::kOnline) return false;
    const std::shared_ptr<Disk> disk = options_.disks->Find(place.disk);
    if (disk == nullptr || !disk->writable()) return false;
  }
  return true;
}

std::vector<DiskSpace> Allocator::Candidates(uint32_t pool) const {
  std::map<uint32_t, DiskRecord> disks;
  {
    MutexLock lock(&mutex_);
    disks = disks_;
  }
  std::vector<DiskSpace> candidates;
  for (const auto& [number, record] : disks) {
    if (record.pool != pool || record.state != DiskState::kOnline) continue;
    const std::shared_ptr<Disk> disk = options_.disks->Find(number);
    if (disk == nullptr || !disk->writable()) continue;
    candidates.push_back(
        {.disk = number,
         .domain = std::string(DomainOf(record.domain, options_.rows.format.domain_depth)),
         .free_segments = space_.free_segments(number),
         .segment_count = record.segment_count});
  }
  return candidates;
}

absl::Status Allocator::CheckPlacement(const GroupKind& kind) const {
  return Place(kind.wanted, Candidates(kind.pool), /*group=*/0).status();
}

Allocator::OnlineSegments Allocator::online_segments() const {
  OnlineSegments segments;
  MutexLock lock(&mutex_);
  for (const auto& [number, record] : disks_) {
    if (record.state != DiskState::kOnline) continue;
    const std::shared_ptr<Disk> disk = options_.disks->Find(number);
    if (disk == nullptr) continue;
    segments.total += record.segment_count;
    if (disk->writable()) segments.free += space_.free_segments(number);
  }
  return segments;
}

uint64_t Allocator::FreePayloadBytes() const {
  uint64_t columns = 0;  // Of one data unit.
  MutexLock lock(&mutex_);
  for (const auto& [number, group] : open_) {
    columns += uint64_t{group->taken.clear_count()} * group->record->protection.data_units;
  }
  columns += sealed_free_;
  return WithoutHeads(columns * kBlockBytes);
}

// ---- Columns

bool Allocator::TakeFromOpen(const GroupKind& kind, uint32_t payload_bytes, Columns* columns,
                             uint32_t* most_bytes) {
  for (auto& [number, group] : open_) {
    if (group->kind != kind || group->retired) continue;
    if (!IsUsable(*group->record)) {
      group->retired = true;
      continue;
    }
    const Protection& protection = group->record->protection;
    const uint32_t unit_blocks = UnitBlocks(protection, payload_bytes);
    if (unit_blocks > kMaxUnitBlocks) {
      *most_bytes = std::max(*most_bytes, MostPayloadBytes(protection));
      continue;
    }
    const uint32_t count = 1 + unit_blocks;
    std::optional<uint32_t> column = group->taken.FindClear(group->cursor, count);
    if (!column.has_value()) column = group->taken.FindClear(0, count);
    if (!column.has_value()) continue;
    group->taken.Set(*column, count);
    group->cursor = *column + count;
    ++group->under_way;
    *columns = {number, *column, unit_blocks, 0, group->record};
    return true;
  }
  return false;
}

// Of too many open groups, the one with the least space gives out no more.
void Allocator::RetireWorst(const GroupKind& kind) {
  OpenGroup* worst = nullptr;
  size_t count = 0;
  for (auto& [number, group] : open_) {
    if (group->kind != kind || group->retired) continue;
    ++count;
    if (worst == nullptr || group->taken.clear_count() < worst->taken.clear_count()) {
      worst = group.get();
    }
  }
  if (count >= options_.max_open_per_kind) worst->retired = true;
}

absl::StatusOr<Columns> Allocator::Take(const GroupKind& kind, uint32_t payload_bytes) {
  STRATA_RETURN_IF_ERROR(CheckProtection(kind.wanted));
  if (payload_bytes == 0 || payload_bytes > MostPayloadBytes(kind.wanted)) {
    return absl::InvalidArgumentError(absl::StrCat("a stripe of ", ProtectionName(kind.wanted),
                                                   " has 1 to ", MostPayloadBytes(kind.wanted),
                                                   " bytes, not ", payload_bytes));
  }
  Columns columns;
  while (true) {
    {
      MutexLock lock(&mutex_);
      uint32_t most_bytes = 0;
      if (TakeFromOpen(kind, payload_bytes, &columns, &most_bytes)) break;
      if (most_bytes > 0) {
        return absl::OutOfRangeError(
            absl::StrCat("with the failure domains that there are, a stripe of ",
                         ProtectionName(kind.wanted), " has at most ", most_bytes, " bytes"));
      }
      if (opening_.contains(kind)) {
        opened_.Wait(&mutex_);
        continue;
      }
      opening_.insert(kind);
      RetireWorst(kind);
    }
    absl::StatusOr<std::unique_ptr<OpenGroup>> opened = OpenOne(kind, payload_bytes);
    MutexLock lock(&mutex_);
    opening_.erase(kind);
    opened_.NotifyAll();
    if (!opened.ok()) return opened.status();
    const uint64_t number = (*opened)->group;
    open_[number] = *std::move(opened);
  }
  columns.birth = NextBirth();
  return columns;
}

void Allocator::Keep(const Columns& columns) {
  MutexLock lock(&mutex_);
  const auto it = open_.find(columns.group);
  STRATA_CHECK(it != open_.end() && it->second->under_way > 0, "a stripe that is not under way");
  --it->second->under_way;
}

void Allocator::Drop(const Columns& columns) {
  MutexLock lock(&mutex_);
  const auto it = open_.find(columns.group);
  STRATA_CHECK(it != open_.end() && it->second->under_way > 0, "a stripe that is not under way");
  it->second->taken.Clear(columns.column, 1 + columns.unit_blocks);
  --it->second->under_way;
}

void Allocator::Retire(uint64_t group) {
  MutexLock lock(&mutex_);
  const auto it = open_.find(group);
  if (it != open_.end()) it->second->retired = true;
}

void Allocator::Abandon(uint64_t group) {
  MutexLock lock(&mutex_);
  const auto it = open_.find(group);
  if (it != open_.end()) it->second->retired = it->second->sealing = true;
}

// ---- Opening

absl::StatusOr<uint64_t> Allocator::NextGroup() {
  {
    MutexLock lock(&mutex_);
    if (next_group_ < groups_end_) return next_group_++;
  }
  STRATA_ASSIGN_OR_RETURN(
      const uint64_t first,
      TakeNumbers(options_.metadata, "group", kGroupsAtOnce, ~uint64_t{0} - kGroupsAtOnce));
  MutexLock lock(&mutex_);
  next_group_ = first + 1;
  groups_end_ = first + kGroupsAtOnce;
  return first;
}

absl::StatusOr<std::unique_ptr<Allocator::OpenGroup>> Allocator::OpenOne(const GroupKind& kind,
                                                                         uint32_t payload_bytes) {
  // What can be sealed is sealed here, where a transaction is waited for anyway.
  STRATA_RETURN_IF_ERROR(SealRetired());
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<OpenGroup> again,
                          OpenAgain(kind, FreeEnough(segment_columns()), payload_bytes));
  if (again != nullptr) return again;
  absl::StatusOr<std::unique_ptr<OpenGroup>> fresh = OpenNew(kind);
  if (!absl::IsResourceExhausted(fresh.status())) return fresh;
  STRATA_ASSIGN_OR_RETURN(again, OpenAgain(kind, 1, payload_bytes));
  if (again != nullptr) return again;
  return fresh.status();
}

// The row is written durably: the columns of the group may have been freed by transactions that a
// power cut could still take back, and must not be overwritten before it no longer can.
absl::StatusOr<std::unique_ptr<Allocator::OpenGroup>> Allocator::OpenAgain(const GroupKind& kind,
                                                                           uint32_t least_free,
                                                                           uint32_t payload_bytes) {
  while (true) {
    uint64_t group = 0;
    {
      MutexLock lock(&mutex_);
      const auto it = sealed_.find(kind);
      if (it == sealed_.end() || it->second.empty()) return nullptr;
      const auto [free_columns, best] = *it->second.begin();
      if (free_columns < least_free) return nullptr;
      group = best;
    }
    ForgetSealed(group);
    auto open = std::make_unique<OpenGroup>(OpenGroup{.group = group, .kind = kind});
    bool will_do = false;
    const auto reopen = [&](kv::Transaction& txn) -> absl::Status {
      will_do = false;
      STRATA_RETURN_IF_ERROR(CheckSession(options_.metadata, txn, options_.session));
      absl::StatusOr<AllocationRecord> allocation = GetAllocation(options_.metadata, txn, group);
      if (absl::IsNotFound(allocation.status())) return absl::OkStatus();
      STRATA_RETURN_IF_ERROR(allocation.status());
      STRATA_ASSIGN_OR_RETURN(GroupRecord record, GetGroup(options_.metadata, txn, group));
      const uint32_t unit_blocks = UnitBlocks(record.protection, payload_bytes);
      will_do = allocation->state == AllocationState::kSealed && unit_blocks <= kMaxUnitBlocks &&
                allocation->taken.FindClear(0, 1 + unit_blocks).has_value();
      if (will_do) {
        MutexLock lock(&mutex_);
        will_do = IsUsable(record);
      }
      if (!will_do) return absl::OkStatus();
      open->record = std::make_shared<const GroupRecord>(std::move(record));
      open->taken = allocation->taken;
      open->partly_dead = allocation->partly_dead;
      allocation->state = AllocationState::kOpen;
      allocation->owner = options_.session;
      return txn.Put(options_.metadata.meta, AllocationKey(group), Encode(*allocation));
    };
    STRATA_RETURN_IF_ERROR(
        kv::RunTransaction(*options_.metadata.store, kv::Durability::kSync, reopen));
    if (!will_do) continue;
    options_.groups->Keep(group, open->record);
    return open;
  }
}

absl::StatusOr<std::unique_ptr<Allocator::OpenGroup>> Allocator::OpenNew(const GroupKind& kind) {
  STRATA_ASSIGN_OR_RETURN(const uint64_t group, NextGroup());
  GroupRecord record;
  const auto open = [&](kv::Transaction& txn) -> absl::Status {
    STRATA_RETURN_IF_ERROR(CheckSession(options_.metadata, txn, options_.session));
    absl::StatusOr<Placement> placement = Place(kind.wanted, Candidates(kind.pool), group);
    if (!placement.ok()) {
      return Annotate(placement.status(), absl::StrCat("pool ", options_.rows.PoolName(kind.pool)));
    }
    record = {.protection = placement->protection, .pool = kind.pool};
    if (record.protection != kind.wanted) record.wanted = kind.wanted;
    for (const uint32_t disk : placement->disks) {
      const absl::StatusOr<uint32_t> segment = space_.Take(txn, disk);
      // Another session took the last one: the next attempt sees that.
      if (absl::IsResourceExhausted(segment.status())) {
        return absl::AbortedError(segment.status().message());
      }
      STRATA_RETURN_IF_ERROR(segment.status());
      record.units.push_back({disk, *segment});
    }
    STRATA_RETURN_IF_ERROR(txn.Put(options_.metadata.meta, GroupKey(group), Encode(record)));
    return txn.Put(options_.metadata.meta, AllocationKey(group),
                   Encode(AllocationRecord{.state = AllocationState::kOpen,
                                           .owner = options_.session,
                                           .taken = Bitmap(segment_columns())}));
  };
  STRATA_RETURN_IF_ERROR(kv::RunTransaction(*options_.metadata.store, kv::Durability::kSync, open));
  for (const SegmentPlace& place : record.units) space_.Taken(place.disk, place.segment);
  auto opened = std::make_unique<OpenGroup>(
      OpenGroup{.group = group,
                .kind = kind,
                .record = std::make_shared<const GroupRecord>(std::move(record)),
                .taken = Bitmap(segment_columns())});
  options_.groups->Keep(group, opened->record);
  return opened;
}

// ---- Sealing

absl::Status Allocator::Seal(OpenGroup& group) {
  const auto seal = [&](kv::Transaction& txn) -> absl::Status {
    STRATA_RETURN_IF_ERROR(CheckSession(options_.metadata, txn, options_.session));
    absl::StatusOr<AllocationRecord> found = GetAllocation(options_.metadata, txn, group.group);
    // An earlier attempt failed and was applied all the same; the group may even be gone since.
    if (absl::IsNotFound(found.status())) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(AllocationRecord record, std::move(found));
    if (record.state == AllocationState::kSealed) return absl::OkStatus();
    if (record.state != AllocationState::kOpen || record.owner != options_.session) {
      return absl::FailedPreconditionError(
          absl::StrCat(GroupText(group.group), " is not session ", options_.session, "'s"));
    }
    record = {
        .state = AllocationState::kSealed, .taken = group.taken, .partly_dead = group.partly_dead};
    return txn.Put(options_.metadata.meta, AllocationKey(group.group), Encode(record));
  };
  return kv::RunTransaction(*options_.metadata.store, kv::Durability::kAsync, seal);
}

absl::Status Allocator::SealWhere(const std::function<bool(const OpenGroup&)>& wanted) {
  while (true) {
    OpenGroup* group = nullptr;
    {
      MutexLock lock(&mutex_);
      for (auto& [number, open] : open_) {
        if (open->under_way > 0 || open->sealing || !wanted(*open)) continue;
        // Nothing is taken from it from here on, so that it stands still while it is sealed.
        open->retired = open->sealing = true;
        group = open.get();
        break;
      }
    }
    if (group == nullptr) return absl::OkStatus();
    const absl::Status sealed = Seal(*group);
    const uint64_t number = group->group;
    if (!sealed.ok()) {
      MutexLock lock(&mutex_);
      group->sealing = false;
      return Annotate(sealed, GroupText(number));
    }
    const GroupKind kind = group->kind;
    const uint32_t free_columns = group->taken.clear_count();
    {
      MutexLock lock(&mutex_);
      open_.erase(number);
    }
    if (free_columns == segment_columns()) {
      STRATA_RETURN_IF_ERROR(FreeIfEmpty(number).status());
    } else if (free_columns > 0) {
      NoteSealed(number, kind, free_columns);
    }
  }
}

absl::Status Allocator::SealRetired() {
  return SealWhere([](const OpenGroup& group) { return group.retired; });
}

absl::Status Allocator::Close() {
  return SealWhere([](const OpenGroup&) { return true; });
}

absl::Status Allocator::SealOwnerless(uint64_t group, uint32_t dead_session, Bitmap taken,
                                      std::vector<PartlyDead> partly_dead) {
  const uint32_t free_columns = taken.clear_count();
  GroupRecord record;
  const auto seal = [&](kv::Transaction& txn) -> absl::Status {
    STRATA_RETURN_IF_ERROR(CheckSession(options_.metadata, txn, options_.session));
    STRATA_ASSIGN_OR_RETURN(const AllocationRecord allocation,
                            GetAllocation(options_.metadata, txn, group));
    STRATA_ASSIGN_OR_RETURN(record, GetGroup(options_.metadata, txn, group));
    if (allocation.state != AllocationState::kOpen || allocation.owner != dead_session) {
      return absl::FailedPreconditionError(
          absl::StrCat(GroupText(group), " is not session ", dead_session, "'s any more"));
    }
    return txn.Put(
        options_.metadata.meta, AllocationKey(group),
        Encode(AllocationRecord{
            .state = AllocationState::kSealed, .taken = taken, .partly_dead = partly_dead}));
  };
  STRATA_RETURN_IF_ERROR(kv::RunTransaction(*options_.metadata.store, kv::Durability::kSync, seal));
  if (free_columns > 0) NoteSealed(group, KindOf(record), free_columns);
  return absl::OkStatus();
}

void Allocator::NoteSealed(uint64_t group, const GroupKind& kind, uint32_t free_columns) {
  ForgetSealed(group);
  MutexLock lock(&mutex_);
  if (sealed_by_group_.size() >= kMaxSealedKept) return;
  sealed_[kind].insert({free_columns, group});
  sealed_by_group_[group] = {kind, free_columns};
  sealed_free_ += uint64_t{free_columns} * kind.wanted.data_units;
}

void Allocator::ForgetSealed(uint64_t group) {
  MutexLock lock(&mutex_);
  const auto it = sealed_by_group_.find(group);
  if (it == sealed_by_group_.end()) return;
  sealed_[it->second.first].erase({it->second.second, group});
  sealed_free_ -= uint64_t{it->second.second} * it->second.first.wanted.data_units;
  sealed_by_group_.erase(it);
}

// ---- Freeing

absl::Status Allocator::Free(kv::Transaction& txn, std::span<const FreedPiece> pieces) {
  for (const FreedRecord& row : CutIntoRows(pieces)) {
    uint64_t sequence;
    {
      MutexLock lock(&mutex_);
      sequence = ++freed_sequence_;
    }
    STRATA_RETURN_IF_ERROR(
        txn.Put(options_.metadata.meta, FreedKey(options_.session, sequence), Encode(row)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Allocator::Folded> Allocator::FoldFreed(size_t max_rows) {
  kv::Range range = TableRange(Table::kFreed);
  {
    MutexLock lock(&mutex_);
    if (!fold_from_.empty()) range.begin = fold_from_;
  }
  STRATA_ASSIGN_OR_RETURN(const kv::Page page,
                          options_.metadata.store->NewSnapshot()->List(
                              options_.metadata.meta, range, {.max_items = max_rows}));
  Folded folded{.is_end = !page.more};
  {
    MutexLock lock(&mutex_);
    fold_from_ = page.more ? page.items.back().key + '\0' : "";
  }
  absl::Status first_error;
  for (const kv::KeyValue& row : page.items) {
    const absl::StatusOr<FreedRecord> record = DecodeFreed(row.value);
    if (record.ok() && IsOpenForAll(*record)) {
      folded.pieces_left += record->pieces.size();
      continue;
    }
    const absl::StatusOr<FoldedRow> result = FoldRow(options_.metadata, options_.session, row.key);
    if (!result.ok()) {
      if (absl::IsFailedPrecondition(result.status())) return result.status();
      if (first_error.ok()) first_error = result.status();
      continue;
    }
    folded.rows += result->groups.empty() ? 0 : 1;
    folded.pieces_left += result->left;
    for (const uint64_t group : result->groups) {
      STRATA_ASSIGN_OR_RETURN(const bool freed, FreeIfEmpty(group));
      folded.groups_freed += freed ? 1 : 0;
    }
  }
  if (folded.is_end) {
    MutexLock lock(&mutex_);
    RetireMostlyDead();
  }
  if (!first_error.ok()) return first_error;
  return folded;
}

// No transaction is spent on what has to wait.
bool Allocator::IsOpenForAll(const FreedRecord& record) {
  bool are_all = true;
  MutexLock lock(&mutex_);
  for (const FreedPiece& piece : record.pieces) {
    if (open_.contains(piece.group)) {
      dead_in_open_[piece.group] += piece.freed_bytes;
    } else {
      are_all = false;
    }
  }
  return are_all;
}

// What is dead in a group comes back once it is sealed. With little to write, that would be never.
void Allocator::RetireMostlyDead() {
  for (const auto& [number, bytes] : std::exchange(dead_in_open_, {})) {
    const auto it = open_.find(number);
    if (it == open_.end()) continue;
    const uint64_t columns = bytes / kBlockBytes / it->second->record->protection.data_units;
    if (columns >= FreeEnough(segment_columns())) it->second->retired = true;
  }
}

// Otherwise notes how much of it is free.
absl::StatusOr<bool> Allocator::FreeIfEmpty(uint64_t group) {
  bool is_freed = false;
  uint32_t free_columns = 0;
  GroupRecord record;
  const auto free = [&](kv::Transaction& txn) -> absl::Status {
    is_freed = false;
    free_columns = 0;
    STRATA_RETURN_IF_ERROR(CheckSession(options_.metadata, txn, options_.session));
    const absl::StatusOr<AllocationRecord> allocation =
        GetAllocation(options_.metadata, txn, group);
    if (absl::IsNotFound(allocation.status())) return absl::OkStatus();
    STRATA_RETURN_IF_ERROR(allocation.status());
    if (allocation->state != AllocationState::kSealed) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(record, GetGroup(options_.metadata, txn, group));
    free_columns = allocation->taken.clear_count();
    if (allocation->taken.set_count() > 0) return absl::OkStatus();
    for (const SegmentPlace& place : record.units) {
      STRATA_RETURN_IF_ERROR(
          Annotate(space_.Free(txn, place.disk, place.segment), GroupText(group)));
    }
    STRATA_RETURN_IF_ERROR(txn.Delete(options_.metadata.meta, AllocationKey(group)));
    STRATA_RETURN_IF_ERROR(txn.Delete(options_.metadata.meta, GroupKey(group)));
    is_freed = true;
    return absl::OkStatus();
  };
  STRATA_RETURN_IF_ERROR(
      kv::RunTransaction(*options_.metadata.store, kv::Durability::kAsync, free));
  if (!is_freed) {
    if (free_columns > 0) NoteSealed(group, KindOf(record), free_columns);
    return false;
  }
  for (const SegmentPlace& place : record.units) space_.Freed(place.disk, place.segment);
  ForgetSealed(group);
  options_.groups->Forget(group);
  return true;
}

}  // namespace strata::ofs
