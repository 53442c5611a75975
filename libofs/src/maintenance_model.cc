// SPDX-License-Identifier: Apache-2.0
#include "maintenance_model.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "disks/format_disks.h"
#include "format/key_layout.h"
#include "format/layout.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {

MaintenanceModel::MaintenanceModel(MaintenanceOptions options)
    : options_(std::move(options)),
      healer_(options_.context, &repairs_, [this](uint32_t disk) { return Leaves(disk); }),
      scrubber_(options_.context, options_.live_ranges),
      rows_(options_.rows.disks) {
  for (const AbsentDisk& disk : options_.absent) absent_[disk.number] = disk.reason;
}

bool MaintenanceModel::Leaves(uint32_t disk) const {
  MutexLock lock(&mutex_);
  const auto row = rows_.find(disk);
  if (row == rows_.end()) return true;
  const DiskState state = row->second.state;
  return state == DiskState::kFailed || state == DiskState::kDraining ||
         state == DiskState::kRemoved;
}

std::vector<DiskStatus> MaintenanceModel::Disks() {
  std::map<uint32_t, DiskRecord> rows;
  std::map<uint32_t, std::string> absent;
  {
    MutexLock lock(&mutex_);
    rows = rows_;
    absent = absent_;
  }
  std::vector<DiskStatus> disks;
  for (const auto& [number, row] : rows) {
    DiskStatus& status = disks.emplace_back();
    status = {.number = number,
              .uri = row.uri,
              .disk_class = row.disk_class,
              .domain = row.domain,
              .state = row.state,
              .reason = row.reason,
              .segment_bytes = options_.rows.format.segment_bytes,
              .segment_count = row.segment_count,
              .free_segments = options_.context.allocator->space().free_segments(number)};
    const std::shared_ptr<Disk> disk = options_.disks->Find(number);
    if (disk == nullptr) {
      if (row.state != DiskState::kRemoved) status.reason = absent[number];
      continue;
    }
    status.is_present = true;
    status.takes_writes = disk->writable();
    status.read_errors = disk->fault_count(DiskFault::kRead);
    status.write_errors = disk->fault_count(DiskFault::kWrite);
    status.flush_errors = disk->fault_count(DiskFault::kFlush);
    status.wrong_checksums = disk->fault_count(DiskFault::kChecksum);
    status.wrong_heads = disk->fault_count(DiskFault::kHead);
  }
  return disks;
}

// New groups go by the row from here on, and healing makes a new plan.
void MaintenanceModel::TakeRow(uint32_t disk, const DiskRecord& record) {
  std::map<uint32_t, DiskRecord> rows;
  {
    MutexLock lock(&mutex_);
    rows_[disk] = record;
    must_replan_ = true;
    rows = rows_;
  }
  options_.context.allocator->SetDisks(std::move(rows));
}

absl::StatusOr<uint32_t> MaintenanceModel::AddDisk(const FormatDisk& disk, bool force) {
  MutexLock change_lock(&change_mutex_);
  const std::string uri = WithoutCreate(disk.uri);
  const block::Registry defaults = block::Registry::WithDefaults();
  const block::Registry& registry = options_.registry != nullptr ? *options_.registry : defaults;
  {
    // A disk that is open already would be formatted under the feet of its readers. What takes the
    // place of an absent one often has its name.
    MutexLock lock(&mutex_);
    for (const auto& [number, row] : rows_) {
      if (row.uri != uri || options_.disks->Find(number) == nullptr) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(disk.uri, " is disk ", number, " of this filesystem"));
    }
  }
  absl::StatusOr<std::unique_ptr<block::Device>> device = registry.Open(disk.uri);
  if (!device.ok()) return Annotate(device.status(), disk.uri);
  const JobContext& context = options_.context;
  STRATA_ASSIGN_OR_RETURN(const uint64_t number,
                          TakeNumbers(context.metadata, "disk", 1, kMaxDisks));
  std::vector<NewDisk> fresh;
  fresh.push_back({.device = *std::move(device),
                   .uri = uri,
                   .number = static_cast<uint32_t>(number),
                   .disk_class = disk.disk_class,
                   .domain = disk.domain});
  const auto now_ns = static_cast<uint64_t>(context.clock->WallNanos());
  STRATA_ASSIGN_OR_RETURN(
      const std::vector<std::shared_ptr<Disk>> made,
      FormatDisks(std::move(fresh), {.filesystem = context.filesystem,
                                     .segment_bytes = options_.rows.format.segment_bytes,
                                     .force = force,
                                     .now_ns = now_ns}));
  const Superblock& superblock = made[0]->superblock();
  const DiskRecord record = {.disk = superblock.disk,
                             .uri = uri,
                             .disk_class = superblock.disk_class,
                             .domain = superblock.domain,
                             .pool = kDefaultPool,
                             .segment_count = superblock.segment_count,
                             .changed_ns = now_ns};
  kv::WriteBatch batch;
  batch.Put(context.metadata.meta, DiskKey(made[0]->number()), Encode(record));
  STRATA_RETURN_IF_ERROR(context.metadata.store->Write(batch, kv::Durability::kSync));
  STRATA_RETURN_IF_ERROR(context.allocator->AddDisk(made[0]->number(), superblock.segment_count));
  options_.disks->Add(made[0]);
  TakeRow(made[0]->number(), record);
  return made[0]->number();
}

absl::Status MaintenanceModel::CheckHoldsNothing(uint32_t disk) const {
  const Metadata& metadata = options_.context.metadata;
  uint64_t groups = 0;
  STRATA_RETURN_IF_ERROR(
      kv::ForEach(*metadata.store->NewSnapshot(), metadata.meta, TableRange(Table::kGroup),
                  [&](const kv::KeyValue& row) -> absl::Status {
                    STRATA_ASSIGN_OR_RETURN(const GroupRecord record, DecodeGroup(row.value));
                    for (const SegmentPlace& place : record.units) {
                      if (place.disk == disk) ++groups;
                    }
                    return absl::OkStatus();
                  }));
  if (groups == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("disk ", disk, " still holds units of ", groups, " groups"));
}

absl::Status MaintenanceModel::SetDiskState(uint32_t disk, DiskState state,
                                            std::string_view reason) {
  MutexLock change_lock(&change_mutex_);
  DiskState before{};
  {
    MutexLock lock(&mutex_);
    const auto row = rows_.find(disk);
    if (row == rows_.end()) return absl::NotFoundError(absl::StrCat("there is no disk ", disk));
    before = row->second.state;
    silent_since_ns_.erase(disk);
  }
  if (before == DiskState::kRemoved && state != DiskState::kRemoved) {
    return absl::FailedPreconditionError(
        absl::StrCat("disk ", disk, " was removed; it can be added as a new one"));
  }
  if (state == DiskState::kRemoved && before != DiskState::kFailed &&
      before != DiskState::kDraining && before != DiskState::kRemoved) {
    return absl::FailedPreconditionError(
        absl::StrCat("disk ", disk, " is ", DiskStateName(before).data(),
                     "; what it holds is moved once it is draining or failed"));
  }
  if (state == DiskState::kRemoved) STRATA_RETURN_IF_ERROR(CheckHoldsNothing(disk));
  STRATA_ASSIGN_OR_RETURN(
      const DiskRecord record,
      ChangeDiskState(options_.context.metadata, disk, state, reason,
                      static_cast<uint64_t>(options_.context.clock->WallNanos())));
  TakeRow(disk, record);
  if (state == DiskState::kRemoved) options_.disks->Remove(disk);
  return absl::OkStatus();
}

// Disks that have been absent, or have taken no writes, for long enough.
absl::Status MaintenanceModel::FailSilentDisks() {
  const int64_t now_ns = options_.context.clock->MonotonicNanos();
  std::map<uint32_t, std::string> failed;
  {
    MutexLock lock(&mutex_);
    for (const auto& [number, row] : rows_) {
      const std::shared_ptr<Disk> disk = options_.disks->Find(number);
      const bool is_well = disk != nullptr && disk->writable();
      const bool is_watched = row.state == DiskState::kOnline || row.state == DiskState::kSuspect;
      if (is_well || !is_watched) {
        silent_since_ns_.erase(number);
        continue;
      }
      const int64_t since_ns = silent_since_ns_.try_emplace(number, now_ns).first->second;
      if (now_ns - since_ns < options_.fail_after_ms * 1'000'000) continue;
      failed[number] = disk == nullptr ? absent_[number] : "it takes no writes";
    }
  }
  for (const auto& [number, why] : failed) {
    Log(options_.context.log, LogLevel::kWarning,
        absl::StrCat("ofs: disk ", number, " is taken for failed: ", why));
    STRATA_RETURN_IF_ERROR(SetDiskState(number, DiskState::kFailed, why));
  }
  return absl::OkStatus();
}

absl::Status MaintenanceModel::Heal(uint64_t max_bytes, HealReport* report) {
  STRATA_RETURN_IF_ERROR(FailSilentDisks());
  MutexLock job_lock(&job_mutex_);
  {
    MutexLock lock(&mutex_);
    if (std::exchange(must_replan_, false)) healer_.Replan();
  }
  return healer_.Heal(max_bytes, report);
}

absl::Status MaintenanceModel::Scrub(uint64_t max_bytes, ScrubReport* report) {
  MutexLock job_lock(&job_mutex_);
  return scrubber_.Scrub(max_bytes, report);
}

void MaintenanceModel::NoteDamage(const Damage& damage) {
  const bool is_mendable = damage.fault == DiskFault::kRead ||
                           damage.fault == DiskFault::kChecksum || damage.fault == DiskFault::kHead;
  if (is_mendable) repairs_.Add(damage.stripe);
}

absl::Status MaintenanceModel::Stop() {
  MutexLock job_lock(&job_mutex_);
  const absl::Status healing = healer_.Stop();
  const absl::Status scrubbing = scrubber_.Stop();
  return healing.ok() ? scrubbing : healing;
}

}  // namespace strata::ofs
