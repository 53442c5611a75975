// SPDX-License-Identifier: Apache-2.0
//
// What the parts of a check share.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "check/findings.h"
#include "disks/disk.h"
#include "disks/disk_rows.h"
#include "strata/ofs/check.h"

namespace strata::ofs {

struct CheckContext {
  const CheckOptions& options;
  Metadata metadata{};
  CheckReport* report = nullptr;
  Findings* findings = nullptr;

  FilesystemRows rows{};
  uint64_t epoch = 0;
  std::map<std::string, uint64_t, std::less<>> counters{};  // The next numbers.
  std::set<std::string, std::less<>> damaged_counters{};
  std::set<uint32_t> damaged_disks{};  // Whose rows are malformed.
  DiskSet* disks = nullptr;            // Those that could be opened.

  // Rows of these tables are malformed: what only they could explain is no finding.
  bool has_damaged_pools = false;
  bool has_damaged_groups = false;
  bool has_damaged_extents = false;
  bool has_damaged_freed = false;

  void Add(FindingKind kind, std::string text) const { findings->Add(kind, std::move(text)); }
  // Cancelled: the caller does not want to go on.
  absl::Status Tell(std::string_view phase, uint64_t done, uint64_t total) const {
    if (!options.progress || options.progress({phase, done, total})) return absl::OkStatus();
    return absl::CancelledError("the check was stopped");
  }
  // Whether the counter has given this number out.
  bool IsGivenOut(std::string_view counter, uint64_t number) const {
    if (damaged_counters.contains(counter)) return true;
    const auto it = counters.find(counter);
    return number >= 1 && number < (it == counters.end() ? 1 : it->second);
  }
};

}  // namespace strata::ofs
