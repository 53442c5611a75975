// SPDX-License-Identifier: Apache-2.0
//
// Moves what groups have on failed and draining disks to other disks, and repairs single units that
// readers found damaged.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "jobs/job_context.h"
#include "jobs/repair_queue.h"
#include "strata/ofs/maintenance.h"
#include "stripes/group_walk.h"
#include "stripes/unit_restorer.h"

namespace strata::ofs {

class Healer final {
 public:
  // `leaves` says whether a disk is to hold nothing.
  Healer(JobContext context, RepairQueue* repairs, std::function<bool(uint32_t disk)> leaves)
      : context_(std::move(context)), repairs_(repairs), leaves_(std::move(leaves)) {}

  // The states of disks have changed: what is to be done is found out again.
  void Replan() { is_planned_ = false; }

  absl::Status Heal(uint64_t max_bytes, HealReport* report);

  // Leaves the group that it works on where it was.
  absl::Status Stop();

 private:
  struct Work {
    ClaimedGroup claim;
    std::vector<int> moving;
    GroupWalk walk;
    UnitRestorer restorer;
    uint64_t counted_bytes = 0;
  };
  struct Waiting {
    int spare_units = 0;  // That may still be lost.
    uint64_t group = 0;
    friend auto operator<=>(const Waiting&, const Waiting&) = default;
  };

  absl::Status Plan();
  absl::Status Begin();
  absl::Status Advance(HealReport* report);
  absl::Status GiveUp(const absl::Status& why);
  absl::Status RepairQueued(HealReport* report);
  absl::StatusOr<bool> Repair(const StripeName& stripe, HealReport* report);
  void NoteLost(const StripeName& stripe, const absl::Status& why, HealReport* report);

  const JobContext context_;
  RepairQueue* const repairs_;
  const std::function<bool(uint32_t disk)> leaves_;
  std::set<Waiting> waiting_;
  std::map<uint64_t, std::string> postponed_;  // Until the next plan: groups, and why.
  bool is_planned_ = false;
  int64_t planned_ns_ = 0;
  std::unique_ptr<Work> work_;
};

}  // namespace strata::ofs
