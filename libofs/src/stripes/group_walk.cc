// SPDX-License-Identifier: Apache-2.0
#include "stripes/group_walk.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "disks/transfers.h"
#include "format/stripe_head.h"
#include "strata/base/status_macros.h"
#include "strata/block/buffer.h"

namespace strata::ofs {

// A unit may have an older stripe's head here, if the write of the newer one was lost. The columns
// of a group are written by one session after the other, and births grow: the newest one counts.
absl::StatusOr<std::optional<StripeName>> GroupWalk::FindHead(uint32_t column,
                                                              std::string* why) const {
  const size_t total = record_.units.size();
  const block::Buffer blocks(total * kBlockBytes);
  std::vector<Transfer> reads;
  std::vector<int> of_unit;
  for (size_t unit = 0; unit < total; ++unit) {
    std::shared_ptr<Disk> disk = disks_->Find(record_.units[unit].disk);
    if (disk == nullptr) {
      absl::StrAppend(why, "; disk ", record_.units[unit].disk, " is absent");
      continue;
    }
    const uint64_t offset = disk->SegmentOffset(record_.units[unit].segment);
    reads.push_back({.disk = std::move(disk),
                     .offset_bytes = offset + uint64_t{column} * kBlockBytes,
                     .memory = blocks.span().subspan(unit * kBlockBytes, kBlockBytes)});
    of_unit.push_back(static_cast<int>(unit));
  }
  RunTransfers(reads);
  std::optional<StripeName> newest;
  for (size_t i = 0; i < reads.size(); ++i) {
    if (!reads[i].status.ok()) {
      absl::StrAppend(why, "; ", reads[i].status.message());
      continue;
    }
    const absl::StatusOr<DecodedStripeHead> decoded = DecodeStripeHead(reads[i].memory);
    if (absl::IsUnimplemented(decoded.status())) return decoded.status();
    if (!decoded.ok()) {
      absl::StrAppend(why, "; unit ", of_unit[i], ": ", decoded.status().message());
      continue;
    }
    const StripeHead& head = decoded->head;
    const bool is_ours = head.filesystem == filesystem_ && head.group == group_ &&
                         head.column == column && decoded->unit == of_unit[i] &&
                         head.protection == record_.protection;
    const bool fits = column < taken_.size() && head.unit_blocks < taken_.size() - column &&
                      taken_.AllSet(column, 1 + head.unit_blocks);
    if (!is_ours || !fits) {
      absl::StrAppend(why, "; unit ", of_unit[i], ": it has another stripe's head");
      continue;
    }
    if (!newest.has_value() || head.birth > newest->birth) {
      newest = StripeName{group_, column, head.unit_blocks, head.birth};
    }
  }
  return newest;
}

absl::StatusOr<GroupWalk::Step> GroupWalk::Next() {
  Step step;
  cursor_ = taken_.FindSet(cursor_);
  step.begin = cursor_;
  for (; cursor_ < taken_.size() && taken_.Test(cursor_); ++cursor_) {
    std::string why;
    STRATA_ASSIGN_OR_RETURN(step.stripe, FindHead(cursor_, &why));
    if (step.stripe.has_value() && cursor_ > step.begin) {
      step.stripe.reset();  // First what was before it; the next call finds it again.
      break;
    }
    if (step.stripe.has_value()) {
      cursor_ += 1 + step.stripe->unit_blocks;
      break;
    }
    if (step.why.empty()) step.why = std::move(why);
  }
  step.end = cursor_;
  step.is_end = step.begin == taken_.size();
  return step;
}

}  // namespace strata::ofs
