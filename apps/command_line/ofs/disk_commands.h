// SPDX-License-Identifier: Apache-2.0
//
// What an operator can ask of the disks of an open filesystem, by name and with JSON arguments,
// answered in JSON. Whoever has the filesystem open runs them: a mount, for those who ask it
// through its socket, or a command itself.
//
//   name              arguments                         answer
//   ofs.status                                          total_bytes, used_bytes, free_bytes,
//                                                       groups_left, problems, absent_disks: [n],
//                                                       disks: [disk]
//   ofs.disk.list                                       disks: [disk]
//   ofs.disk.add      uri, class, domain, force         disk
//   ofs.disk.replace  disk, uri, class, domain, force   disk: the new one, replaced
//   ofs.disk.drain    disk, reason                      disk
//   ofs.disk.fail     disk, reason                      disk
//   ofs.disk.online   disk, reason                      disk
//   ofs.disk.remove   disk, reason                      disk
//   ofs.heal                                            groups_moved, units_repaired, bytes_written,
//                                                       stripes_lost, groups_left, problems,
//                                                       absent_disks: [n]
//   ofs.scrub                                           groups, groups_skipped, stripes, bytes_read,
//                                                       units_repaired, lost: [{inode, path, offset,
//                                                       bytes}], lost_ranges, problems
//
// absent_disks: numbers of disks that hold something, are absent or take no writes, and do not
// count as failed yet. What they hold is not healed.
//
// A disk: {number, uri, class, domain, state, reason, present, takes_writes, total_bytes,
// free_bytes, read_errors, write_errors, flush_errors, wrong_checksums, wrong_heads}.
//
// Thread-safe.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "appliance/json_fwd.h"
#include "strata/dedup/store.h"
#include "strata/ofs/file_system.h"

namespace strata::appliance {

// Ranges of files that cannot be read, as [{inode, path, offset, bytes}].
Json LostRangesJson(const std::vector<ofs::LostRange>& ranges);

// Whether it is one of these.
bool IsDiskCommand(std::string_view name);

// `progress` hears of healing and scrubbing and may cancel them; what was done stays done.
// InvalidArgument: an argument, named; otherwise what libofs says.
absl::StatusOr<Json> RunDiskCommand(ofs::FileSystem& filesystem, std::string_view name,
                                    const Json& arguments, const dedup::ProgressCallback& progress);

}  // namespace strata::appliance
