// SPDX-License-Identifier: Apache-2.0
//
// strata ec: files to shard files and back. Needs no store and no stratad. Used by one thread.
//
//   command    answer
//   ec.encode  {files: [{name, code, file_bytes, shard_bytes, shards}]}
//   ec.decode  {files: [{name, file_bytes, rebuilt_units, damaged: [...]}]}
//   ec.verify  {sets: [{name, code, file_bytes, shards, found, missing, damaged, recoverable}],
//               strays: [...], damaged: whether anything is not as it should be}
//   ec.repair  {files: [{name, file_bytes, written: [path]}], strays: [...]}
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "appliance/commands.h"
#include "strata/dedup/store.h"
#include "strata/ec/shard_file.h"

namespace strata::appliance {

struct ErasureRequest {
  std::vector<std::string> files;  // To encode; otherwise shard files, or what they are of.
  // encode: the folder for the shards [beside each file]. decode: the file to write [the shards'
  // name without ".ec.NNN"].
  std::string output;
  bool force = false;      // Replaces what is there.
  ec::ShardLayout layout;  // encode; file_bytes does not count.
};

// NotFound, AlreadyExists: files; InvalidArgument: the layout or the arguments; DataLoss: too few
// shards are whole (decode leaves no file then); Cancelled: by `progress`.
absl::StatusOr<Json> RunErasureCommand(const std::string& command, const ErasureRequest& request,
                                       const dedup::ProgressCallback& progress);

// The answer for people.
std::string FormatErasureAnswer(const std::string& command, const Json& answer);

}  // namespace strata::appliance
