// SPDX-License-Identifier: Apache-2.0
#include "stripes/unit_restorer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "disks/transfers.h"
#include "strata/base/status_macros.h"
#include "strata/block/buffer.h"

namespace strata::ofs {

absl::Status UnitRestorer::Restore(const StripeName& stripe, int unit, const SegmentPlace& place) {
  std::shared_ptr<Disk> disk = disks_->Find(place.disk);
  if (disk == nullptr || !disk->writable()) {
    return absl::UnavailableError(absl::StrCat("disk ", place.disk, " takes no writes"));
  }
  const block::Buffer memory =
      block::Buffer::ForOverwrite(size_t{1 + stripe.unit_blocks} * kBlockBytes);
  STRATA_RETURN_IF_ERROR(reader_->ReadUnit(stripe, unit, memory.span()));
  Transfer write{
      .disk = disk,
      .op = block::Op::kWrite,
      .offset_bytes = disk->SegmentOffset(place.segment) + uint64_t{stripe.column} * kBlockBytes,
      .memory = memory.span()};
  RunTransfers({&write, 1});
  if (!write.status.ok()) {
    if (!absl::IsResourceExhausted(write.status)) disk->StopWriting();
    const std::string_view what(write.status.message().data(), write.status.message().size());
    if (on_damage_) on_damage_(DescribeDamage(DiskFault::kWrite, *disk, stripe, unit, what));
    return absl::UnavailableError(write.status.message());
  }
  written_bytes_ += memory.size();
  if (std::find(written_.begin(), written_.end(), disk) == written_.end()) {
    written_.push_back(std::move(disk));
  }
  return absl::OkStatus();
}

absl::Status UnitRestorer::Flush() {
  const std::vector<std::shared_ptr<Disk>> disks = std::exchange(written_, {});
  return FlushDisks(disks);
}

}  // namespace strata::ofs
