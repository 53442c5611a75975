// SPDX-License-Identifier: Apache-2.0
//
// Shard files on disk (docs/formats/ec.md): what is there, which belong together, and their units,
// checked. Used by one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "command_line/part_file.h"
#include "strata/ec/shard_file.h"

namespace strata::appliance {

// The shard files of one encoding.
class ShardFileSet final {
 public:
  struct Shard {
    std::string path;
    FileHandle file;
    ec::ShardTrailer trailer;
    std::string damage;          // Not empty: the whole shard is of no use.
    uint64_t damaged_units = 0;  // So far.
    uint64_t first_damaged = 0;  // Its stripe.
    bool is_there = false;
  };

  // Opens the files and sorts them into sets, in the order of first appearance. Files whose headers
  // tell nothing are left out and described in *strays.
  static absl::StatusOr<std::vector<ShardFileSet>> Open(const std::vector<std::string>& paths,
                                                        std::vector<std::string>* strays);

  // A path that is no shard's and is no shard file by its name stands for the shards beside it:
  // FILE.ec.000, FILE.ec.001, ...
  static std::vector<std::string> Expand(const std::vector<std::string>& paths);

  const ec::ShardLayout& layout() const { return layout_; }
  const std::array<std::byte, 16>& set_id() const { return set_id_; }
  const ec::Code& code() const { return *code_; }
  const std::vector<Shard>& shards() const { return shards_; }  // By number.

  // The file's name as the shards' names have it: without ".ec.NNN". Empty: they have none.
  std::string FileName() const;

  // Whether a shard has its length and its checksums, so that the layout is more than a claim.
  bool HasWholeShard() const;

  // CRC-32C of the file. DataLoss: no shard tells it, or they disagree.
  absl::StatusOr<uint32_t> FileCrc() const;

  // Reads the stripe's units `wanted` into `units` (by shard number; sized for the stripe) and
  // returns those that are there and fit their checksums. Counts those that do not.
  ec::ShardSet ReadUnits(uint64_t stripe, const ec::ShardSet& wanted,
                         const std::vector<ec::Bytes>& units);

 private:
  ec::ShardLayout layout_;
  std::array<std::byte, 16> set_id_{};
  std::unique_ptr<ec::Code> code_;
  std::vector<Shard> shards_;
};

}  // namespace strata::appliance
