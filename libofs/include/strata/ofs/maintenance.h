// SPDX-License-Identifier: Apache-2.0
//
// The disks of a filesystem that is open: which there are, what became of them, and the work that
// brings full redundancy back.
//
//   Maintenance& maintenance = fs->maintenance();
//   STRATA_ASSIGN_OR_RETURN(uint32_t fresh, maintenance.AddDisk({.uri = "file:/disk7"}, false));
//   STRATA_RETURN_IF_ERROR(maintenance.SetDiskState(2, DiskState::kFailed, "it clicks"));
//   HealReport report;
//   while (!report.is_done) {  // 64 MiB at a time, so that the caller sets the pace.
//     STRATA_RETURN_IF_ERROR(maintenance.Heal(64 << 20, &report));
//   }
//
// Healing goes group by group, the one with the least redundancy left first. What a group has on a
// failed or draining disk is written to free space on another disk, in a failure domain that the
// group does not use; there is no hot spare. The old copy is given up in the transaction that says
// where the new one is. A crash in the middle leaves the group where it was.
//
// Thread safety: any thread. Of Heal() and Scrub() one at a time works and others wait; other calls
// of the filesystem go on meanwhile.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/ofs/types.h"

namespace strata::ofs {

// A disk to be.
struct FormatDisk {
  // Opened with the registry of the options, and, without its option `create`, at every Open().
  std::string uri{};
  DiskClass disk_class = DiskClass::kSsd;
  std::string domain{};  // "rack1/node2/disk3"; empty: a failure domain of its own.
};

struct DiskStatus {
  uint32_t number = 0;
  std::string uri{};
  DiskClass disk_class = DiskClass::kSsd;
  std::string domain{};
  DiskState state = DiskState::kOnline;
  std::string reason{};  // For its state; for a disk that is absent, why it is.
  bool is_present = false;
  bool takes_writes = false;  // A disk that failed to write takes none until it is opened again.
  uint64_t segment_bytes = 0;
  uint64_t segment_count = 0;
  uint64_t free_segments = 0;
  // Since it was opened: refused reads, writes and flushes; wrong bytes; wrong or missing heads.
  uint64_t read_errors = 0;
  uint64_t write_errors = 0;
  uint64_t flush_errors = 0;
  uint64_t wrong_checksums = 0;
  uint64_t wrong_heads = 0;
};

// What several calls did in sum, but for what is left.
struct HealReport {
  uint64_t groups_moved = 0;
  uint64_t units_repaired = 0;  // In place: what readers or a scrub had found damaged.
  uint64_t bytes_written = 0;
  uint64_t stripes_lost = 0;  // More of their units are gone than may be.
  uint64_t groups_left = 0;
  bool is_done = false;  // Nothing is left, or nothing that could be done now: see `problems`.
  std::vector<std::string> problems{};  // Of the last call, at most 16.
};

// Bytes of a file that cannot be read any more.
struct LostRange {
  uint64_t inode = 0;
  std::string path{};  // "/a/b", by the first name of the file; empty: it has none.
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

struct ScrubReport {
  uint64_t groups = 0;
  uint64_t stripes = 0;
  uint64_t bytes_read = 0;
  uint64_t units_repaired = 0;
  uint64_t groups_skipped = 0;          // Somebody writes to them.
  std::vector<LostRange> lost{};        // At most 4,096.
  uint64_t lost_ranges = 0;             // All of them.
  bool is_done = false;                 // It came to the last group; the next call begins again.
  std::vector<std::string> problems{};  // At most 16.
};

class STRATA_EXPORT Maintenance {
 public:
  virtual ~Maintenance() = default;

  virtual std::vector<DiskStatus> Disks() = 0;

  // Makes a disk of the device and takes it in; returns its number. With `force` it overwrites what
  // the device carries. InvalidArgument and FailedPrecondition name the device and what speaks
  // against it.
  virtual absl::StatusOr<uint32_t> AddDisk(const FormatDisk& disk, bool force) = 0;

  // The reason is for people. NotFound. FailedPrecondition: kRemoved while a group names the disk;
  // any other state of a removed one.
  virtual absl::Status SetDiskState(uint32_t disk, DiskState state, std::string_view reason) = 0;

  // Goes on with healing, until about so many bytes were written. A disk that has been absent, or
  // takes no writes, for FileSystemOptions::fail_after_ms is taken for failed. Errors are those of
  // the metadata; those of disks are in the report.
  virtual absl::Status Heal(uint64_t max_bytes, HealReport* report) = 0;

  // Goes on with reading everything there is, until about so many bytes were read, and repairs what
  // is damaged.
  virtual absl::Status Scrub(uint64_t max_bytes, ScrubReport* report) = 0;
};

}  // namespace strata::ofs
