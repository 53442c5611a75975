// SPDX-License-Identifier: Apache-2.0
#include "jobs/healer.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "format/key_layout.h"
#include "groups/group_rows.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr size_t kMaxPlanned = 65'536;
// What could not be done is tried again after so long: space may have come back.
constexpr int64_t kReplanNanos = 10'000'000'000;

std::string_view View(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace

// The groups that have units on disks that are to hold nothing, those in the greatest danger first.
absl::Status Healer::Plan() {
  waiting_.clear();
  postponed_.clear();
  std::vector<uint64_t> affected;
  const auto snapshot = context_.metadata.store->NewSnapshot();
  STRATA_RETURN_IF_ERROR(
      kv::ForEach(*snapshot, context_.metadata.meta, TableRange(Table::kGroup),
                  [&](const kv::KeyValue& row) -> absl::Status {
                    STRATA_ASSIGN_OR_RETURN(const uint64_t group, GroupOf(Table::kGroup, row.key));
                    const absl::StatusOr<GroupRecord> record = DecodeGroup(row.value);
                    if (!record.ok()) return Annotate(record.status(), GroupText(group));
                    int lost = 0;
                    int leaving = 0;
                    for (const SegmentPlace& place : record->units) {
                      if (context_.disks->Find(place.disk) == nullptr) ++lost;
                      if (leaves_(place.disk)) ++leaving;
                    }
                    if (leaving == 0) return absl::OkStatus();
                    waiting_.insert({record->protection.tolerated_losses() - lost, group});
                    if (waiting_.size() > kMaxPlanned) waiting_.erase(std::prev(waiting_.end()));
                    return absl::OkStatus();
                  }));
  // What this session has open gives out no more columns and is sealed.
  for (const Waiting& waiting : waiting_) context_.allocator->Retire(waiting.group);
  is_planned_ = true;
  planned_ns_ = context_.clock->MonotonicNanos();
  return context_.allocator->SealRetired();
}

absl::Status Healer::Heal(uint64_t max_bytes, HealReport* report) {
  report->problems.clear();
  report->is_done = false;
  STRATA_RETURN_IF_ERROR(RepairQueued(report));
  if (is_planned_ && !postponed_.empty() && waiting_.empty() && work_ == nullptr &&
      context_.clock->MonotonicNanos() - planned_ns_ >= kReplanNanos) {
    is_planned_ = false;
  }
  if (!is_planned_ && work_ == nullptr) STRATA_RETURN_IF_ERROR(Plan());
  const uint64_t begin_bytes = report->bytes_written;
  while (report->bytes_written - begin_bytes < max_bytes) {
    if (work_ == nullptr) {
      if (waiting_.empty()) {
        report->is_done = true;
        break;
      }
      STRATA_RETURN_IF_ERROR(Begin());
      continue;
    }
    STRATA_RETURN_IF_ERROR(Advance(report));
  }
  if (report->is_done) {
    for (const auto& [group, why] : postponed_) AddProblem(why, &report->problems);
  }
  report->groups_left = waiting_.size() + postponed_.size() + (work_ != nullptr ? 1 : 0);
  return absl::OkStatus();
}

absl::Status Healer::Begin() {
  const Waiting next = *waiting_.begin();
  waiting_.erase(waiting_.begin());
  absl::StatusOr<std::optional<ClaimedGroup>> claim =
      context_.allocator->Claim(next.group, leaves_);
  if (absl::IsResourceExhausted(claim.status())) {
    postponed_[next.group] = View(claim.status());
    return absl::OkStatus();
  }
  STRATA_RETURN_IF_ERROR(claim.status());
  if (!claim->has_value()) {
    // It is empty, or gone, or stripes of it are under way.
    STRATA_ASSIGN_OR_RETURN(const bool is_gone, context_.allocator->FreeIfEmpty(next.group));
    if (is_gone) return absl::OkStatus();
    const auto snapshot = context_.metadata.store->NewSnapshot();
    const absl::Status found = GetGroup(context_.metadata, *snapshot, next.group).status();
    if (absl::IsNotFound(found)) return absl::OkStatus();
    STRATA_RETURN_IF_ERROR(found);
    postponed_[next.group] = absl::StrCat(GroupText(next.group), " is in use and comes later");
    return absl::OkStatus();
  }
  const std::vector<int> moving = (*claim)->moving_units();
  if (moving.empty()) return context_.allocator->Release(**claim);
  GroupWalk walk(context_.filesystem, context_.disks, next.group, (*claim)->record,
                 (*claim)->taken);
  work_ = std::make_unique<Work>(
      Work{.claim = **std::move(claim),
           .moving = moving,
           .walk = std::move(walk),
           .restorer = UnitRestorer(context_.reader, context_.disks, context_.on_damage)});
  return absl::OkStatus();
}

// One stripe, or the end of the group.
absl::Status Healer::Advance(HealReport* report) {
  absl::StatusOr<GroupWalk::Step> step = work_->walk.Next();
  if (!step.ok()) return GiveUp(step.status());
  if (step->is_end) {
    const absl::Status flushed = work_->restorer.Flush();
    if (!flushed.ok()) return GiveUp(flushed);
    const std::unique_ptr<Work> done = std::move(work_);
    STRATA_RETURN_IF_ERROR(context_.allocator->Settle(done->claim));
    ++report->groups_moved;
    return absl::OkStatus();
  }
  if (!step->stripe.has_value()) {
    ++report->stripes_lost;
    AddProblem(absl::StrCat(GroupText(work_->claim.group), ", columns ", step->begin, " to ",
                            step->end, ": no unit has a head", step->why),
               &report->problems);
    return absl::OkStatus();
  }
  for (const int unit : work_->moving) {
    const absl::Status restored = work_->restorer.Restore(
        *step->stripe, unit, work_->claim.places[static_cast<size_t>(unit)]);
    if (absl::IsDataLoss(restored)) {
      NoteLost(*step->stripe, restored, report);
      break;
    }
    if (!restored.ok()) return GiveUp(restored);
  }
  report->bytes_written += work_->restorer.written_bytes() - work_->counted_bytes;
  work_->counted_bytes = work_->restorer.written_bytes();
  return absl::OkStatus();
}

// The group stays where it was, and is tried again.
absl::Status Healer::GiveUp(const absl::Status& why) {
  const std::unique_ptr<Work> work = std::move(work_);
  postponed_[work->claim.group] = absl::StrCat(GroupText(work->claim.group), ": ", why.message());
  return context_.allocator->Release(work->claim);
}

void Healer::NoteLost(const StripeName& stripe, const absl::Status& why, HealReport* report) {
  ++report->stripes_lost;
  AddProblem(View(why), &report->problems);
  Log(context_.log, LogLevel::kError,
      absl::StrCat("ofs: lost: group ", stripe.group, ", column ", stripe.column, ": ",
                   why.message()));
}

absl::Status Healer::Stop() {
  if (work_ == nullptr) return absl::OkStatus();
  const std::unique_ptr<Work> work = std::move(work_);
  return context_.allocator->Release(work->claim);
}

// ---- Repair in place

absl::Status Healer::RepairQueued(HealReport* report) {
  absl::Status first_error;
  for (const StripeName& stripe : repairs_->TakeAll()) {
    const absl::StatusOr<bool> repaired =
        first_error.ok() ? Repair(stripe, report) : absl::StatusOr<bool>(false);
    if (!repaired.ok()) first_error = repaired.status();
    if (!repaired.ok() || !*repaired) repairs_->Add(stripe);
  }
  return first_error;
}

// False: the group is in use, and the stripe waits.
absl::StatusOr<bool> Healer::Repair(const StripeName& stripe, HealReport* report) {
  // The group that is moved at the moment is whole when that has ended.
  if (work_ != nullptr && work_->claim.group == stripe.group) return true;
  STRATA_ASSIGN_OR_RETURN(const std::optional<ClaimedGroup> claim,
                          ClaimInPlace(context_, stripe.group));
  if (!claim.has_value()) {
    const auto snapshot = context_.metadata.store->NewSnapshot();
    const absl::StatusOr<AllocationRecord> row =
        GetAllocation(context_.metadata, *snapshot, stripe.group);
    if (absl::IsNotFound(row.status())) return true;
    STRATA_RETURN_IF_ERROR(row.status());
    return row->state == AllocationState::kSealed;  // And empty.
  }
  UnitRestorer restorer(context_.reader, context_.disks, context_.on_damage);
  absl::Status wrong;
  uint64_t units = 0;
  // Its columns may have been freed since it was found, and be another stripe's.
  const GroupWalk walk(context_.filesystem, context_.disks, stripe.group, claim->record,
                       claim->taken);
  std::string why;
  const absl::StatusOr<std::optional<StripeName>> there = walk.FindHead(stripe.column, &why);
  if (!there.ok()) wrong = there.status();
  if (there.ok() && *there == stripe) {
    const absl::StatusOr<std::vector<int>> damaged = context_.reader->FindDamage(stripe);
    wrong = damaged.status();
    for (size_t i = 0; wrong.ok() && i < damaged->size(); ++i) {
      const int unit = (*damaged)[i];
      const SegmentPlace& place = claim->record.units[static_cast<size_t>(unit)];
      wrong = restorer.Restore(stripe, unit, place);
      if (wrong.ok()) ++units;
    }
    const absl::Status flushed = restorer.Flush();
    if (wrong.ok()) wrong = flushed;
  }
  if (absl::IsDataLoss(wrong)) NoteLost(stripe, wrong, report);
  if (wrong.ok()) report->units_repaired += units;
  if (!wrong.ok()) AddProblem(View(wrong), &report->problems);
  report->bytes_written += restorer.written_bytes();
  STRATA_RETURN_IF_ERROR(context_.allocator->Release(*claim));
  return true;
}

}  // namespace strata::ofs
