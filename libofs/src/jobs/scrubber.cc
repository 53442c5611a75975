// SPDX-License-Identifier: Apache-2.0
#include "jobs/scrubber.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "format/key_layout.h"
#include "groups/group_rows.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr std::string_view kJobName = "scrub";
constexpr size_t kMaxLost = 4096;  // Ranges in a report.

}  // namespace

absl::Status Scrubber::Scrub(uint64_t max_bytes, ScrubReport* report) {
  report->is_done = false;
  if (!next_group_.has_value()) {
    STRATA_ASSIGN_OR_RETURN(
        const std::optional<std::string> row,
        context_.metadata.store->NewSnapshot()->Get(context_.metadata.meta, JobKey(kJobName)));
    JobRecord job;
    if (row.has_value()) {
      STRATA_ASSIGN_OR_RETURN(job, DecodeJob(*row));
    }
    next_group_ = job.next_group;
  }
  const uint64_t begin_bytes = report->bytes_read;
  while (report->bytes_read - begin_bytes < max_bytes) {
    if (work_ == nullptr) {
      STRATA_ASSIGN_OR_RETURN(const bool is_more, Begin(report));
      if (is_more) continue;
      report->is_done = true;
      return absl::OkStatus();
    }
    STRATA_RETURN_IF_ERROR(Advance(report));
  }
  return absl::OkStatus();
}

// Takes the next group in hand. False: there is none; the next call begins with the first.
absl::StatusOr<bool> Scrubber::Begin(ScrubReport* report) {
  const std::string from = GroupKey(*next_group_);
  STRATA_ASSIGN_OR_RETURN(
      const kv::Page page,
      context_.metadata.store->NewSnapshot()->List(
          context_.metadata.meta, {from, TableRange(Table::kGroup).end}, {.max_items = 1}));
  if (page.items.empty()) {
    next_group_ = 0;
    STRATA_RETURN_IF_ERROR(SaveCursor());
    return false;
  }
  STRATA_ASSIGN_OR_RETURN(const uint64_t group, GroupOf(Table::kGroup, page.items[0].key));
  next_group_ = group + 1;
  STRATA_ASSIGN_OR_RETURN(std::optional<ClaimedGroup> claim, ClaimInPlace(context_, group));
  if (!claim.has_value()) {
    STRATA_ASSIGN_OR_RETURN(const bool is_gone, context_.allocator->FreeIfEmpty(group));
    if (!is_gone) ++report->groups_skipped;
    return true;
  }
  GroupWalk walk(context_.filesystem, context_.disks, group, claim->record, claim->taken);
  const uint32_t columns = claim->taken.size();
  work_ = std::make_unique<Work>(
      Work{.claim = *std::move(claim),
           .walk = std::move(walk),
           .restorer = UnitRestorer(context_.reader, context_.disks, context_.on_damage),
           .headless = Bitmap(columns)});
  return true;
}

// One stripe, or the end of the group.
absl::Status Scrubber::Advance(ScrubReport* report) {
  absl::StatusOr<GroupWalk::Step> step = work_->walk.Next();
  if (!step.ok() || step->is_end) {
    if (!step.ok()) AddProblem(step.status().ToString(), &report->problems);
    return End(report);
  }
  if (!step->stripe.has_value()) {
    AddProblem(absl::StrCat(GroupText(work_->claim.group), ", columns ", step->begin, " to ",
                            step->end, ": no unit has a head", step->why),
               &report->problems);
    work_->headless.Set(step->begin, step->end - step->begin);
    return absl::OkStatus();
  }
  const StripeName& stripe = *step->stripe;
  const GroupRecord& record = work_->claim.record;
  ++report->stripes;
  report->bytes_read += uint64_t{1 + stripe.unit_blocks} * kBlockBytes * record.units.size();
  const absl::StatusOr<std::vector<int>> damaged = context_.reader->FindDamage(stripe);
  if (absl::IsDataLoss(damaged.status())) return NoteLost(stripe, damaged.status(), report);
  if (!damaged.ok()) {
    AddProblem(damaged.status().ToString(), &report->problems);
    return absl::OkStatus();
  }
  for (const int unit : *damaged) {
    const absl::Status restored =
        work_->restorer.Restore(stripe, unit, record.units[static_cast<size_t>(unit)]);
    if (absl::IsDataLoss(restored)) return NoteLost(stripe, restored, report);
    if (restored.ok()) {
      ++report->units_repaired;
    } else {
      AddProblem(restored.ToString(), &report->problems);
    }
  }
  return absl::OkStatus();
}

absl::Status Scrubber::End(ScrubReport* report) {
  const absl::Status flushed = work_->restorer.Flush();
  if (!flushed.ok()) AddProblem(flushed.ToString(), &report->problems);
  if (work_->headless.set_count() > 0) {
    STRATA_ASSIGN_OR_RETURN(const std::vector<LiveRange> live,
                            live_ranges_.of_columns(work_->claim.group, work_->headless));
    STRATA_RETURN_IF_ERROR(ReportUnreadable(live, "no unit has a head", report));
  }
  STRATA_RETURN_IF_ERROR(Stop());
  ++report->groups;
  return SaveCursor();
}

absl::Status Scrubber::NoteLost(const StripeName& stripe, const absl::Status& why,
                                ScrubReport* report) {
  const absl::StatusOr<HeadPointer> head = context_.reader->ReadHead(stripe);
  if (!head.ok()) {
    AddProblem(why.ToString(), &report->problems);
    return absl::OkStatus();
  }
  STRATA_ASSIGN_OR_RETURN(const std::vector<LiveRange> live, live_ranges_.of_stripe(**head));
  return ReportUnreadable(live, {why.message().data(), why.message().size()}, report);
}

absl::Status Scrubber::ReportUnreadable(const std::vector<LiveRange>& live, std::string_view why,
                                        ScrubReport* report) {
  std::vector<LostRange> lost;
  for (const LiveRange& range : live) STRATA_RETURN_IF_ERROR(AppendUnreadable(range, &lost));
  // What nobody refers to, or what can be read though a unit could not be repaired.
  if (lost.empty()) AddProblem(why, &report->problems);
  for (LostRange& range : lost) {
    Log(context_.log, LogLevel::kError,
        absl::StrCat("ofs: lost: bytes ", range.offset, " to ", range.offset + range.bytes,
                     " of inode ", range.inode, " (", range.path, "): ", std::string(why)));
    ++report->lost_ranges;
    if (report->lost.size() < kMaxLost) report->lost.push_back(std::move(range));
  }
  return absl::OkStatus();
}

// Of a stripe that is lost, some blocks may still be read. What cannot be read is halved until it
// is exact to a block.
absl::Status Scrubber::AppendUnreadable(const LiveRange& live, std::vector<LostRange>* lost) {
  std::vector<std::byte> buffer(live.range.bytes);
  const absl::Status read = context_.reader->Probe(live.stripe, live.payload_offset, buffer);
  if (!absl::IsDataLoss(read)) return read;
  const uint64_t end = live.payload_offset + live.range.bytes;
  const uint64_t first_block = live.payload_offset / kBlockBytes;
  const uint64_t blocks = DivideUp(end, kBlockBytes) - first_block;
  if (blocks > 1) {
    const uint64_t middle = (first_block + blocks / 2) * kBlockBytes;
    LiveRange front = live;
    front.range.bytes = middle - live.payload_offset;
    LiveRange back = live;
    back.range.offset += front.range.bytes;
    back.range.bytes = end - middle;
    back.payload_offset = middle;
    STRATA_RETURN_IF_ERROR(AppendUnreadable(front, lost));
    return AppendUnreadable(back, lost);
  }
  const bool continues = !lost->empty() && lost->back().inode == live.range.inode &&
                         lost->back().offset + lost->back().bytes == live.range.offset;
  if (continues) {
    lost->back().bytes += live.range.bytes;
  } else {
    lost->push_back(live.range);
  }
  return absl::OkStatus();
}

absl::Status Scrubber::SaveCursor() {
  kv::WriteBatch batch;
  batch.Put(context_.metadata.meta, JobKey(kJobName), Encode(JobRecord{*next_group_}));
  return context_.metadata.store->Write(batch, kv::Durability::kAsync);
}

absl::Status Scrubber::Stop() {
  if (work_ == nullptr) return absl::OkStatus();
  const std::unique_ptr<Work> work = std::move(work_);
  return context_.allocator->Release(work->claim);
}

}  // namespace strata::ofs
