// SPDX-License-Identifier: Apache-2.0
#include "check/findings.h"

#include <algorithm>
#include <utility>

namespace strata::ofs {

std::string_view FindingKindName(FindingKind kind) {
  switch (kind) {
    case FindingKind::kRow:
      return "row";
    case FindingKind::kUnknownRow:
      return "unknown_row";
    case FindingKind::kCounter:
      return "counter";
    case FindingKind::kSession:
      return "session";
    case FindingKind::kPool:
      return "pool";
    case FindingKind::kDisk:
      return "disk";
    case FindingKind::kSuperblock:
      return "superblock";
    case FindingKind::kAbsentDisk:
      return "absent_disk";
    case FindingKind::kGroup:
      return "group";
    case FindingKind::kPlace:
      return "place";
    case FindingKind::kSharedDomain:
      return "shared_domain";
    case FindingKind::kSharedSegment:
      return "shared_segment";
    case FindingKind::kLeakedSegment:
      return "leaked_segment";
    case FindingKind::kFreeSegment:
      return "free_segment";
    case FindingKind::kStripe:
      return "stripe";
    case FindingKind::kSharedColumn:
      return "shared_column";
    case FindingKind::kLeakedColumn:
      return "leaked_column";
    case FindingKind::kFreeColumn:
      return "free_column";
    case FindingKind::kSharedBytes:
      return "shared_bytes";
    case FindingKind::kDeadBytes:
      return "dead_bytes";
    case FindingKind::kExtent:
      return "extent";
    case FindingKind::kStoredBlocks:
      return "stored_blocks";
    case FindingKind::kInode:
      return "inode";
    case FindingKind::kRoot:
      return "root";
    case FindingKind::kEntry:
      return "entry";
    case FindingKind::kLink:
      return "link";
    case FindingKind::kLinkCount:
      return "link_count";
    case FindingKind::kSubdirectoryCount:
      return "subdirectory_count";
    case FindingKind::kUnreachable:
      return "unreachable";
    case FindingKind::kOrphan:
      return "orphan";
    case FindingKind::kAttribute:
      return "attribute";
    case FindingKind::kTouch:
      return "touch";
    case FindingKind::kDamagedUnit:
      return "damaged_unit";
    case FindingKind::kParity:
      return "parity";
    case FindingKind::kLostRange:
      return "lost_range";
    case FindingKind::kBelowPolicy:
      return "below_policy";
    case FindingKind::kDegraded:
      return "degraded";
  }
  return "unknown";
}

bool IsWarning(FindingKind kind) {
  return kind == FindingKind::kBelowPolicy || kind == FindingKind::kDegraded;
}

bool CheckReport::is_clean() const {
  return std::all_of(counts.begin(), counts.end(),
                     [](const auto& count) { return IsWarning(count.first); });
}

void Findings::Add(FindingKind kind, std::string text) {
  if (++report_.counts[kind] <= kMaxOfKind) report_.findings.push_back({kind, std::move(text)});
}

}  // namespace strata::ofs
