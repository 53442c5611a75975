// SPDX-License-Identifier: Apache-2.0
//
// The disks of a session, and the jobs that work on them.
//
// Thread safety: any thread, but Stop().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "disks/disk_rows.h"
#include "disks/open_disks.h"
#include "jobs/healer.h"
#include "jobs/job_context.h"
#include "jobs/repair_queue.h"
#include "jobs/scrubber.h"
#include "strata/base/mutex.h"
#include "strata/block/registry.h"
#include "strata/ofs/maintenance.h"

namespace strata::ofs {

struct MaintenanceOptions {
  JobContext context{};
  DiskSet* disks = nullptr;
  FilesystemRows rows{};
  std::vector<AbsentDisk> absent{};
  const block::Registry* registry = nullptr;  // Null: the schemes of libblock alone.
  int64_t fail_after_ms = 0;
  Scrubber::LiveRanges live_ranges{};
};

class MaintenanceModel final : public Maintenance {
 public:
  explicit MaintenanceModel(MaintenanceOptions options);

  std::vector<DiskStatus> Disks() override;
  absl::StatusOr<uint32_t> AddDisk(const FormatDisk& disk, bool force) override;
  absl::Status SetDiskState(uint32_t disk, DiskState state, std::string_view reason) override;
  absl::Status Heal(uint64_t max_bytes, HealReport* report) override;
  absl::Status Scrub(uint64_t max_bytes, ScrubReport* report) override;

  // Damage was found: what a repair in place may mend is queued.
  void NoteDamage(const Damage& damage);
  // Lets go of what jobs have in hand.
  absl::Status Stop();

 private:
  bool Leaves(uint32_t disk) const;
  absl::Status CheckHoldsNothing(uint32_t disk) const;
  absl::Status FailSilentDisks();
  void TakeRow(uint32_t disk, const DiskRecord& record);

  const MaintenanceOptions options_;
  RepairQueue repairs_;
  Mutex job_mutex_;  // Held while a job works: Heal() and Scrub() wait for each other.
  Healer healer_ ABSL_GUARDED_BY(job_mutex_);
  Scrubber scrubber_ ABSL_GUARDED_BY(job_mutex_);
  Mutex change_mutex_;  // Held while disks are added or change their state.
  mutable Mutex mutex_;
  std::map<uint32_t, DiskRecord> rows_ ABSL_GUARDED_BY(mutex_);
  std::map<uint32_t, std::string> absent_ ABSL_GUARDED_BY(mutex_);  // And why.
  std::map<uint32_t, int64_t> silent_since_ns_ ABSL_GUARDED_BY(mutex_);
  bool must_replan_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace strata::ofs
