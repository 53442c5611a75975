// SPDX-License-Identifier: Apache-2.0
//
// What jobs need of the session.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "disks/disk.h"
#include "disks/disk_rows.h"
#include "groups/allocator.h"
#include "strata/base/clock.h"
#include "strata/base/log.h"
#include "stripes/damage.h"
#include "stripes/stripe_reader.h"

namespace strata::ofs {

struct JobContext {
  Metadata metadata{};
  Uuid filesystem{};
  const DiskSet* disks = nullptr;
  Allocator* allocator = nullptr;
  StripeReader* reader = nullptr;
  DamageSink on_damage{};
  const Clock* clock = nullptr;
  LogSink log{};
};

inline constexpr size_t kMaxProblems = 16;  // Of a report.

inline void AddProblem(std::string_view text, std::vector<std::string>* problems) {
  if (problems->size() < kMaxProblems) problems->emplace_back(text);
}

}  // namespace strata::ofs
