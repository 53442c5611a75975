// SPDX-License-Identifier: Apache-2.0
//
// What everything that moves file data needs of the session.
#pragma once

#include <atomic>
#include <cstdint>

#include "disks/disk_rows.h"
#include "format/records.h"
#include "groups/allocator.h"
#include "strata/base/clock.h"
#include "stripes/stripe_reader.h"
#include "stripes/stripe_writer.h"

namespace strata::ofs {

struct DataContext {
  Metadata metadata{};
  FormatRecord format{};
  uint32_t session = 0;
  const Clock* clock = nullptr;
  Allocator* allocator = nullptr;
  StripeWriter* writer = nullptr;
  StripeReader* reader = nullptr;
  std::atomic<uint64_t> dirty_bytes{0};  // Of all files, those under way to the disks included.
  // Grows when rows have changed and what they hold is still dirty in memory.
  std::atomic<uint64_t> publications{0};
  // What a stripe was found to hold where disks are absent. Upkeep tries the whole again.
  std::atomic<uint64_t> most_stripe_bytes{UINT64_MAX};
};

// How the data of a file is to be protected, and in which pool.
GroupKind KindOf(const FormatRecord& format, const LayoutRecord& layout);

}  // namespace strata::ofs
