// SPDX-License-Identifier: Apache-2.0
//
// Reads bytes of a stripe, whatever became of some of its disks. All bytes are checked against the
// checksums in the stripe's head, and the head against the birth that the caller knows. What cannot
// be read, or is not what was written, is reconstructed from the other units, for the range that
// was asked for alone.
//
// Thread safety: any thread, many at once. No lock is held across a device or kv call.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "disks/disk.h"
#include "format/stripe_head.h"
#include "groups/group_table.h"
#include "strata/base/mutex.h"
#include "stripes/codes.h"
#include "stripes/damage.h"

namespace strata::ofs {

struct StripeReaderOptions {
  Uuid filesystem{};
  const DiskSet* disks = nullptr;
  GroupTable* groups = nullptr;
  Codes* codes = nullptr;
  DamageSink on_damage{};
};

using HeadPointer = std::shared_ptr<const StripeHead>;

class StripeReader final {
 public:
  static constexpr size_t kMaxHeadsKept = 8192;  // About 1 KiB each.

  explicit StripeReader(StripeReaderOptions options) : options_(std::move(options)) {}

  // Reads payload bytes [offset, offset + out.size()). DataLoss: too many units are lost; names
  // the stripe and what is wrong with each. NotFound: there is no such group (any more): read the
  // extent again. InvalidArgument: beyond the payload.
  absl::Status Read(const StripeName& stripe, uint64_t offset, std::span<std::byte> out);

  // Read() in one try: a unit in which anything of the range is wrong counts as lost for all of it.
  // What is found wrong is not reported.
  absl::Status Probe(const StripeName& stripe, uint64_t offset, std::span<std::byte> out);

  // Unit `unit` as it lies on a disk, its head and then its blocks: as it is there, or as the other
  // units tell, where it is lost or not what it should be. Errors as above.
  absl::Status ReadUnit(const StripeName& stripe, int unit, std::span<std::byte> out);

  // Reads everything there is of a stripe, and reports what is damaged as Read() does. Returns the
  // units that are not what they should be, on disks that are here. Errors as above.
  absl::StatusOr<std::vector<int>> FindDamage(const StripeName& stripe);

  // The head of a stripe, from whichever unit still has it.
  absl::StatusOr<HeadPointer> ReadHead(const StripeName& stripe);

 private:
  class Attempt;

  HeadPointer FindHead(const StripeName& stripe);
  void KeepHead(const StripeName& stripe, HeadPointer head);

  enum class Reports : bool { kNo, kYes };
  template <typename Body>
  absl::Status WithNewestPlaces(const StripeName& stripe, Body body,
                                Reports reports = Reports::kYes);

  const StripeReaderOptions options_;
  Mutex mutex_;
  std::map<std::pair<uint64_t, uint32_t>, HeadPointer> heads_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<uint64_t, uint32_t>> order_ ABSL_GUARDED_BY(mutex_);  // Oldest first.
};

}  // namespace strata::ofs
