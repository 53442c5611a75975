// SPDX-License-Identifier: Apache-2.0
//
// What jobs need of the session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
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

// Claims a group whose units stay where they are. What this session has open of it is sealed first.
// nullopt: stripes of it are under way, nothing is in it, or it is not there any more.
inline absl::StatusOr<std::optional<ClaimedGroup>> ClaimInPlace(const JobContext& context,
                                                                uint64_t group) {
  context.allocator->Retire(group);
  const absl::Status sealed = context.allocator->SealRetired();
  if (!sealed.ok()) return sealed;
  return context.allocator->Claim(group, [](uint32_t) { return false; });
}

inline constexpr size_t kMaxProblems = 16;  // Of a report.

inline void AddProblem(std::string_view text, std::vector<std::string>* problems) {
  if (problems->size() < kMaxProblems) problems->emplace_back(text);
}

}  // namespace strata::ofs
