// SPDX-License-Identifier: Apache-2.0
//
// Writes units of stripes again: where they belong, or where they will lie.
//
// Thread safety: one thread. REQUIRES: the group is claimed.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "disks/disk.h"
#include "format/records.h"
#include "stripes/damage.h"
#include "stripes/stripe_reader.h"

namespace strata::ofs {

class UnitRestorer final {
 public:
  UnitRestorer(StripeReader* reader, const DiskSet* disks, DamageSink on_damage)
      : reader_(reader), disks_(disks), on_damage_(std::move(on_damage)) {}

  // DataLoss: the stripe cannot be read, and nothing was written. Unavailable: the disk is not
  // there or takes no writes.
  absl::Status Restore(const StripeName& stripe, int unit, const SegmentPlace& place);

  // Flushes what was written since the last time. The status names the disks that failed.
  absl::Status Flush();

  uint64_t written_bytes() const { return written_bytes_; }

 private:
  StripeReader* const reader_;
  const DiskSet* const disks_;
  const DamageSink on_damage_;
  std::vector<std::shared_ptr<Disk>> written_;  // Not flushed yet.
  uint64_t written_bytes_ = 0;
};

}  // namespace strata::ofs
