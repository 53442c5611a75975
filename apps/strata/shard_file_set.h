// SPDX-License-Identifier: Apache-2.0
//
// Shard files on disk (docs/formats/ec.md): what is there, which belong together, and their units,
// checked. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/ec/shard_file.h"

namespace strata::appliance {

// An open file.
class FileHandle final {
 public:
  // NotFound; Unavailable: the system's words.
  static absl::StatusOr<FileHandle> OpenToRead(const std::string& path);

  FileHandle() = default;
  FileHandle(FileHandle&& other) noexcept;
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();

  absl::StatusOr<uint64_t> SizeBytes() const;
  // DataLoss: the file ends before the span does.
  absl::Status ReadAt(uint64_t offset_bytes, ec::Bytes out) const;
  absl::Status WriteAt(uint64_t offset_bytes, ec::ConstBytes data) const;
  absl::Status Sync() const;

 private:
  friend class PartFile;
  FileHandle(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_ = -1;
  std::string path_;
};

// A file that gets its name when it is complete; until then it is NAME.part, which goes away when
// the object does.
class PartFile final {
 public:
  // AlreadyExists: unless it may `replace` what has the name.
  static absl::StatusOr<std::unique_ptr<PartFile>> Create(const std::string& path, bool replace);
  ~PartFile();

  const std::string& path() const { return path_; }
  FileHandle& file() { return file_; }

  // Makes it durable and gives it its name.
  absl::Status Commit();

 private:
  PartFile(std::string path, bool replace, FileHandle file)
      : path_(std::move(path)), replace_(replace), file_(std::move(file)) {}
  const std::string path_;
  const bool replace_;
  FileHandle file_;
  bool committed_ = false;
};

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

  const ec::ShardLayout& layout() const { return layout_; }
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
