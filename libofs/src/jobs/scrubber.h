// SPDX-License-Identifier: Apache-2.0
//
// Reads everything that is stored, group after group, repairs what is damaged, and says which bytes
// of which files are lost. How far it came is in a row, so that the next session goes on there.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "jobs/job_context.h"
#include "strata/ofs/maintenance.h"
#include "stripes/group_walk.h"
#include "stripes/unit_restorer.h"

namespace strata::ofs {

class Scrubber final {
 public:
  // What extents refer to of a stripe, with the paths of the files.
  using LiveRanges = std::function<absl::StatusOr<std::vector<LostRange>>(const StripeHead& head)>;

  Scrubber(JobContext context, LiveRanges live_ranges)
      : context_(std::move(context)), live_ranges_(std::move(live_ranges)) {}

  absl::Status Scrub(uint64_t max_bytes, ScrubReport* report);

  // Lets go of the group that it works on.
  absl::Status Stop();

 private:
  struct Work {
    ClaimedGroup claim;
    GroupWalk walk;
    UnitRestorer restorer;
  };

  absl::StatusOr<bool> Begin(ScrubReport* report);
  absl::Status Advance(ScrubReport* report);
  absl::Status End(ScrubReport* report);
  absl::Status NoteLost(const StripeName& stripe, const absl::Status& why, ScrubReport* report);
  absl::Status SaveCursor();

  const JobContext context_;
  const LiveRanges live_ranges_;
  std::optional<uint64_t> next_group_;  // nullopt: in its row.
  std::unique_ptr<Work> work_;
};

}  // namespace strata::ofs
