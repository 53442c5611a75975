// SPDX-License-Identifier: Apache-2.0
//
// How a group is taken in hand, to move some of its units or to look at all of them. Everything is
// in its allocation row: who has it, and which segments wait for its units. So a session that dies
// in the middle leaves nothing that another one could not put back.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "disks/session_rows.h"
#include "format/key_layout.h"
#include "groups/allocator.h"
#include "groups/group_rows.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {

std::vector<int> ClaimedGroup::moving_units() const {
  std::vector<int> units;
  for (size_t unit = 0; unit < places.size(); ++unit) {
    if (places[unit] != record.units[unit]) units.push_back(static_cast<int>(unit));
  }
  return units;
}

absl::Status Allocator::AddDisk(uint32_t disk, uint32_t segment_count) {
  return space_.AddDisk(disk, segment_count);
}

// The least full disk in a failure domain where the group has no unit but the one that leaves.
absl::StatusOr<uint32_t> Allocator::ChooseTarget(const GroupRecord& record,
                                                 const std::vector<SegmentPlace>& places,
                                                 int unit) const {
  std::set<std::string> used;
  {
    MutexLock lock(&mutex_);
    for (size_t other = 0; other < places.size(); ++other) {
      const auto row = disks_.find(places[other].disk);
      if (static_cast<int>(other) == unit || row == disks_.end()) continue;
      used.emplace(DomainOf(row->second.domain, options_.rows.format.domain_depth));
    }
  }
  const DiskSpace* best = nullptr;
  const std::vector<DiskSpace> candidates = Candidates(record.pool);
  for (const DiskSpace& disk : candidates) {
    if (disk.free_segments == 0 || used.contains(disk.domain)) continue;
    if (best == nullptr || uint64_t{disk.free_segments} * best->segment_count >
                               uint64_t{best->free_segments} * disk.segment_count) {
      best = &disk;
    }
  }
  if (best != nullptr) return best->disk;
  return absl::ResourceExhaustedError(
      absl::StrCat("unit ", unit,
                   " has nowhere to go: no disk with a free segment is in a failure "
                   "domain that the group does not use"));
}

absl::StatusOr<std::optional<ClaimedGroup>> Allocator::Claim(
    uint64_t group, const std::function<bool(uint32_t disk)>& leaves) {
  ClaimedGroup claim;
  bool is_claimed = false;
  const auto take = [&](kv::Transaction& txn) -> absl::Status {
    is_claimed = false;
    STRATA_RETURN_IF_ERROR(CheckSession(options_.metadata, txn, options_.session));
    absl::StatusOr<AllocationRecord> found = GetAllocation(options_.metadata, txn, group);
    if (absl::IsNotFound(found.status())) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(AllocationRecord allocation, std::move(found));
    if (allocation.state != AllocationState::kSealed || allocation.taken.set_count() == 0) {
      return absl::OkStatus();
    }
    STRATA_ASSIGN_OR_RETURN(GroupRecord record, GetGroup(options_.metadata, txn, group));
    std::vector<SegmentPlace> places = record.units;
    for (size_t unit = 0; unit < places.size(); ++unit) {
      if (!leaves(places[unit].disk)) continue;
      STRATA_ASSIGN_OR_RETURN(const uint32_t disk,
                              ChooseTarget(record, places, static_cast<int>(unit)));
      const absl::StatusOr<uint32_t> segment = space_.Take(txn, disk);
      // Another session took the last one: the next attempt sees that.
      if (absl::IsResourceExhausted(segment.status())) {
        return absl::AbortedError(segment.status().message());
      }
      STRATA_RETURN_IF_ERROR(segment.status());
      places[unit] = {disk, *segment};
    }
    claim = {.group = group, .record = record, .taken = allocation.taken, .places = places};
    allocation.state = AllocationState::kEvacuating;
    allocation.owner = options_.session;
    if (places != record.units) allocation.moving_to = std::move(places);
    is_claimed = true;
    return txn.Put(options_.metadata.meta, AllocationKey(group), Encode(allocation));
  };
  // Durably: what freed the segments must not come back when they are written to.
  const absl::Status status =
      kv::RunTransaction(*options_.metadata.store, kv::Durability::kSync, take);
  if (!status.ok()) return Annotate(status, GroupText(group));
  if (!is_claimed) return std::nullopt;
  ForgetSealed(group);
  for (const int unit : claim.moving_units()) {
    const SegmentPlace& place = claim.places[static_cast<size_t>(unit)];
    space_.Taken(place.disk, place.segment);
  }
  return claim;
}

absl::Status Allocator::Settle(const ClaimedGroup& claim) {
  GroupRecord record;
  AllocationRecord allocation;
  const auto settle = [&](kv::Transaction& txn) -> absl::Status {
    STRATA_RETURN_IF_ERROR(CheckSession(options_.metadata, txn, options_.session));
    STRATA_ASSIGN_OR_RETURN(allocation, GetAllocation(options_.metadata, txn, claim.group));
    STRATA_ASSIGN_OR_RETURN(record, GetGroup(options_.metadata, txn, claim.group));
    if (allocation.state != AllocationState::kEvacuating || allocation.owner != options_.session ||
        record != claim.record) {
      return absl::FailedPreconditionError("it was taken out of this session's hands");
    }
    for (const int unit : claim.moving_units()) {
      const SegmentPlace& old = record.units[static_cast<size_t>(unit)];
      STRATA_RETURN_IF_ERROR(space_.Free(txn, old.disk, old.segment));
    }
    record.units = claim.places;
    ++record.generation;
    allocation.state = AllocationState::kSealed;
    allocation.owner = 0;
    allocation.moving_to.clear();
    STRATA_RETURN_IF_ERROR(txn.Put(options_.metadata.meta, GroupKey(claim.group), Encode(record)));
    return txn.Put(options_.metadata.meta, AllocationKey(claim.group), Encode(allocation));
  };
  const absl::Status settled =
      kv::RunTransaction(*options_.metadata.store, kv::Durability::kSync, settle);
  if (!settled.ok()) return Annotate(settled, GroupText(claim.group));
  for (const int unit : claim.moving_units()) {
    const SegmentPlace& old = claim.record.units[static_cast<size_t>(unit)];
    space_.Freed(old.disk, old.segment);
  }
  const GroupKind kind = KindOf(record);
  options_.groups->Keep(claim.group, std::make_shared<const GroupRecord>(std::move(record)));
  const uint32_t free_columns = allocation.taken.clear_count();
  if (free_columns > 0) NoteSealed(claim.group, kind, free_columns);
  return absl::OkStatus();
}

absl::Status Allocator::Release(const ClaimedGroup& claim) {
  return EndClaim(claim.group, options_.session);
}

absl::Status Allocator::ReleaseOwnerless(uint64_t group, uint32_t dead_session) {
  return EndClaim(group, dead_session);
}

absl::Status Allocator::EndClaim(uint64_t group, uint32_t owner) {
  std::vector<SegmentPlace> freed;
  GroupRecord record;
  uint32_t free_columns = 0;
  const auto end = [&](kv::Transaction& txn) -> absl::Status {
    freed.clear();
    STRATA_RETURN_IF_ERROR(CheckSession(options_.metadata, txn, options_.session));
    STRATA_ASSIGN_OR_RETURN(AllocationRecord allocation,
                            GetAllocation(options_.metadata, txn, group));
    STRATA_ASSIGN_OR_RETURN(record, GetGroup(options_.metadata, txn, group));
    free_columns = allocation.taken.clear_count();
    if (allocation.state == AllocationState::kSealed) return absl::OkStatus();  // Done before.
    if (allocation.state != AllocationState::kEvacuating || allocation.owner != owner) {
      return absl::FailedPreconditionError(absl::StrCat("it is not session ", owner, "'s"));
    }
    for (size_t unit = 0; unit < allocation.moving_to.size(); ++unit) {
      const SegmentPlace& place = allocation.moving_to[unit];
      if (unit < record.units.size() && place == record.units[unit]) continue;
      STRATA_RETURN_IF_ERROR(space_.Free(txn, place.disk, place.segment));
      freed.push_back(place);
    }
    allocation.state = AllocationState::kSealed;
    allocation.owner = 0;
    allocation.moving_to.clear();
    return txn.Put(options_.metadata.meta, AllocationKey(group), Encode(allocation));
  };
  const absl::Status ended =
      kv::RunTransaction(*options_.metadata.store, kv::Durability::kAsync, end);
  if (!ended.ok()) return Annotate(ended, GroupText(group));
  for (const SegmentPlace& place : freed) space_.Freed(place.disk, place.segment);
  if (free_columns > 0) NoteSealed(group, KindOf(record), free_columns);
  return absl::OkStatus();
}

}  // namespace strata::ofs
