// SPDX-License-Identifier: Apache-2.0
//
// Verifies a filesystem that nobody has open: whether its rows, and with `read_data` its disks, are
// as docs/formats/ofs.md says they always are.
//
//   STRATA_ASSIGN_OR_RETURN(const CheckReport report, Check({.store = store, .read_data = true}));
//   for (const Finding& finding : report.findings) Print(FindingKindName(finding.kind), finding.text);
//   if (!report.is_clean()) ...
//
// It changes nothing. A filesystem that a crash left is checked as it is: groups that the dead
// session had open, its row and files without a name are legal. Of such a group the columns that
// the session took are in no row; they count where extents refer to them, and the others are free.
//
// Each table is read in order, page by page, a few times at most. Only three things are in memory:
// a bit for each segment; the directories that are known to be in the tree, at most 2^20 of them
// (64 MB); and what extents use of the stripes of some groups, 40 bytes for each piece of a file in
// a stripe, so 40 to 80 MB for a million. Check() takes as many groups at a time as fit into
// `memory_bytes`, and reads the extents once for each time. One group is always taken whole.
//
// Thread safety: any thread. REQUIRES: nobody changes the filesystem during the call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/block/registry.h"
#include "strata/kv/store.h"
#include "strata/ofs/maintenance.h"

namespace strata::ofs {

enum class FindingKind : uint8_t {
  // Rows.
  kRow,         // A row or its key is malformed, or a newer program wrote it.
  kUnknownRow,  // A row of a table that this program does not know.
  kCounter,     // A number is in use that its counter has not given out.
  kSession,     // A heartbeat has no session.
  // Disks.
  kPool,        // A disk names no pool, or two pools have one number.
  kDisk,        // A disk and its row contradict each other.
  kSuperblock,  // One of the two copies is damaged.
  kAbsentDisk,  // A disk cannot be opened, and its state does not say so.
  // Groups and segments.
  kGroup,          // One of the two rows of a group is missing, or they contradict each other.
  kPlace,          // A unit lies on no disk of the filesystem, or beyond the end of one.
  kSharedDomain,   // Two units of a group lie in one failure domain.
  kSharedSegment,  // A segment belongs to two groups, or to one twice.
  kLeakedSegment,  // A segment is taken, and no group names it.
  kFreeSegment,    // A group names a segment that is free.
  // Columns and stripes.
  kStripe,        // An extent names a stripe that cannot be.
  kSharedColumn,  // A column belongs to two stripes.
  kLeakedColumn,  // A column is taken, and nothing refers to it.
  kFreeColumn,    // A stripe that is in use lies in columns that are free.
  kSharedBytes,   // Two extents refer to the same bytes, or freed bytes are in use.
  kDeadBytes,     // The count of the dead bytes of a stripe is wrong.
  // Files.
  kExtent,             // An extent has no file, overlaps another, or lies beyond the file's end.
  kStoredBlocks,       // An inode counts other blocks than its extents have.
  kInode,              // Fields of an inode contradict each other.
  kRoot,               // There is no root.
  kEntry,              // A name leads to no inode, or to one of another type.
  kLink,               // A name and what its inode says of its names contradict each other.
  kLinkCount,          // An inode counts other names than it has.
  kSubdirectoryCount,  // A directory counts other directories than it has.
  kUnreachable,        // A directory cannot be reached from the root.
  kOrphan,             // An inode without a name is not listed, or one with a name is.
  kAttribute,          // An extended attribute has no inode, or breaks a limit.
  kTouch,              // A touch belongs to no directory.
  // What is on the disks, with `read_data`.
  kDamagedUnit,  // A unit of a stripe is not what was written. The others can give it back.
  kParity,       // The parity is not that of the data.
  kLostRange,    // Bytes of a file cannot be read.
  // Warnings.
  kBelowPolicy,  // A group has fewer units than its files were to have.
  kDegraded,     // Units of a group are on disks that failed.
};

// "row", "shared_column".
STRATA_EXPORT std::string_view FindingKindName(FindingKind kind);
// Whether it is a state that the filesystem may be in, and that somebody should know of.
STRATA_EXPORT bool IsWarning(FindingKind kind);

struct Finding {
  FindingKind kind = FindingKind::kRow;
  std::string text{};  // Names the row, and what is wrong with it.
};

struct CheckProgress {
  std::string_view phase;  // "inodes"
  uint64_t done = 0;
  uint64_t total = 0;  // About; 0: not known.
};

struct CheckOptions {
  kv::Store* store = nullptr;
  const block::Registry* registry = nullptr;  // Null: the schemes of libblock alone.
  // Reads each stripe that is in use, and verifies heads, checksums and parity.
  bool read_data = false;
  uint64_t memory_bytes = 256u << 20;  // 1 MiB to 1 TiB.
  LogSink log{};
  // Called now and then; false ends the check.
  std::function<bool(const CheckProgress&)> progress{};
};

struct CheckReport {
  std::vector<Finding> findings{};           // At most 100 of a kind.
  std::map<FindingKind, uint64_t> counts{};  // All of them.
  std::vector<LostRange> lost{};             // At most 4,096.

  uint64_t inodes = 0;
  uint64_t names = 0;
  uint64_t extents = 0;
  uint64_t groups = 0;
  uint64_t stripes = 0;  // In use.
  uint64_t bytes_read = 0;
  // What a session left that did not end; the next session puts it in order.
  uint64_t unended_sessions = 0;
  uint64_t unsealed_groups = 0;

  // Nothing was found but warnings.
  STRATA_EXPORT bool is_clean() const;
};

// NotFound: the store holds no filesystem. InvalidArgument: an option. Cancelled: `progress` said
// so. Other errors are those of the store; what is wrong with the filesystem is in the report.
STRATA_EXPORT absl::StatusOr<CheckReport> Check(const CheckOptions& options);

}  // namespace strata::ofs
