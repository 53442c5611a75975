// SPDX-License-Identifier: Apache-2.0
//
// strata dedup: files into a deduplicating store of one's own (a dedup::Directory with a catalogue
// of names), and what deduplication would save. Needs no stratad; only streams that the catalogue
// names are ever deleted. Used by one thread.
//
//   command        answer
//   dedup.scan     {files, algorithms: [{algorithm, logical_bytes, unique_bytes, chunks, ratio,
//                   savings, versions: [{name, logical_bytes, new_bytes}]}]}
//   dedup.ingest   {streams: [ENTRY + {chunks, new_bytes, stored_bytes}], logical_bytes, new_bytes,
//                   stored_bytes, changed: [path], not_kept: [{path, what}]}
//   dedup.restore  {files: [{name, kind, path, size_bytes}], not_kept}
//   dedup.list     {streams: [ENTRY + {chunks, new_bytes, stored_bytes, created_ns, missing}]}
//   dedup.delete   {deleted: [name]}
//   dedup.gc       the collection's report
//   dedup.verify   the report, damaged: whether any; streams with their names
//   dedup.stat     sizes, counts, ratios; disk_bytes, chunker, compression, encrypted
//
// ENTRY: {name, kind, id, size_bytes, mode, user, group, modified, link_target, hole_bytes}, as far
// as the kind has them. Names are exact: bytes that are no UTF-8 are U+0000 and two hexadecimal
// digits. A file that failed does not end the others: {failed: [{name, code, message}]} is in the
// answer of every command that has a list of names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "appliance/commands.h"
#include "strata/dedup/directory.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

struct DedupRequest {
  dedup::DirectoryOptions directory;
  std::string key_file;               // Of an encrypted store; empty: none.
  std::vector<std::string> operands;  // scan, ingest: paths; restore, delete: names.
  std::string name;                   // ingest: instead of the path.
  std::string output;  // restore: a file or, of several, a folder [the name]; "-": stdout.
  bool force = false;  // ingest: replace streams of that name; restore: replace files.
  // ingest: what the command line chose for a new store; an existing one must have been made so.
  struct {
    std::optional<dedup::ChunkAlgorithm> algorithm;
    std::optional<uint32_t> min_bytes;
    std::optional<uint32_t> avg_bytes;
    std::optional<uint32_t> max_bytes;
  } chosen;
  std::vector<std::string> algorithms;             // scan [all].
  dedup::ChunkerOptions sizes;                     // scan: all but the algorithm.
  std::optional<double> rewrite_below_live_ratio;  // gc [what dedup::Store takes].
  uint64_t max_bytes_per_second = 0;               // gc.
  bool compression_chosen = false;  // gc: copies are compressed as directory.store says.
  std::optional<int> recompress;    // gc: level of zstd; 0: not [kRecompressLevel].
  bool fold = false;                // gc: equal chunks that were stored apart, too.
  bool quick = false;               // verify: structures only.
};

// NotFound, AlreadyExists: a name or a file; Unavailable: the system's words; Cancelled: by
// `progress`; otherwise what ReadKeyFile(), dedup::Directory and dedup::Store say.
absl::StatusOr<Json> RunDedupCommand(const std::string& command, const DedupRequest& request,
                                     const dedup::ProgressCallback& progress);

// The answer for people, with bars of what was saved.
std::string FormatDedupAnswer(const std::string& command, const Json& answer);

}  // namespace strata::appliance
