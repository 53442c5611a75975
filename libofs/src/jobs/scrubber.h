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
#include "format/bitmap.h"
#include "jobs/job_context.h"
#include "strata/ofs/maintenance.h"
#include "stripes/group_walk.h"
#include "stripes/unit_restorer.h"

namespace strata::ofs {

class Scrubber final {
 public:
  // Bytes of a file, and where they begin in the payload of their stripe.
  struct LiveRange {
    LostRange range;
    StripeName stripe{};
    uint64_t payload_offset = 0;
  };
  // What extents refer to, with the paths of the files.
  struct LiveRanges {
    std::function<absl::StatusOr<std::vector<LiveRange>>(const StripeHead& head)> of_stripe;
    // Of the stripes of a group whose heads belong into these columns.
    std::function<absl::StatusOr<std::vector<LiveRange>>(uint64_t group, const Bitmap& columns)>
        of_columns;
  };

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
    Bitmap headless;  // Taken columns in which no unit has a head, for the end of the group.
  };

  absl::StatusOr<bool> Begin(ScrubReport* report);
  absl::Status Advance(ScrubReport* report);
  absl::Status End(ScrubReport* report);
  absl::Status NoteLost(const StripeName& stripe, const absl::Status& why, ScrubReport* report);
  absl::Status ReportUnreadable(const std::vector<LiveRange>& live, std::string_view why,
                                ScrubReport* report);
  absl::Status AppendUnreadable(const LiveRange& live, std::vector<LostRange>* lost);
  absl::Status SaveCursor();

  const JobContext context_;
  const LiveRanges live_ranges_;
  std::optional<uint64_t> next_group_;  // nullopt: in its row.
  std::unique_ptr<Work> work_;
};

}  // namespace strata::ofs
