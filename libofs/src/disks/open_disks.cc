// SPDX-License-Identifier: Apache-2.0
#include "disks/open_disks.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "disks/format_disks.h"
#include "strata/base/errno_status.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"

namespace strata::ofs {
namespace {

std::string UuidText(const Uuid& uuid) {
  return ToHex({reinterpret_cast<const char*>(uuid.data()), uuid.size()});
}

std::string NameOf(const DiskSource& source) {
  return source.uri.empty() && source.device.ok() ? (*source.device)->name() : source.uri;
}

std::string DiskText(uint32_t number, const DiskRecord& record) {
  return record.uri.empty() ? absl::StrCat("disk ", number)
                            : absl::StrCat("disk ", number, " (", record.uri, ")");
}

struct ReadSuperblock {
  Superblock superblock;
  bool needs_repair = false;  // One copy is damaged, or older.
};

// The better of both copies. NotFound: there is none.
absl::StatusOr<ReadSuperblock> Read(block::Device& device) {
  const block::Geometry& geometry = device.geometry();
  const uint64_t size_bytes =
      geometry.block_count * geometry.block_size_bytes / kBlockBytes * kBlockBytes;
  if (geometry.block_size_bytes > kBlockBytes || size_bytes < kBlockBytes) {
    return absl::NotFoundError("no superblock of libofs");
  }
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<block::Channel> channel, device.OpenChannel({}));
  const block::Buffer block(kBlockBytes,
                            std::max<size_t>(geometry.buffer_alignment_bytes, kBlockBytes));
  const auto read = [&](int copy, uint64_t of_bytes) -> absl::StatusOr<Superblock> {
    const uint64_t at = SuperblockOffset(copy, of_bytes) / geometry.block_size_bytes;
    STRATA_RETURN_IF_ERROR(block::ReadBlocking(*channel, block::Lba{at}, block.span()));
    return DecodeSuperblock(block.span(), copy);
  };
  const absl::StatusOr<Superblock> first = read(0, size_bytes);
  if (absl::IsUnimplemented(first.status())) return first.status();
  // The first copy says where the second is; without it, the end of the device is tried.
  const uint64_t second_of = first.ok() ? first->size_bytes : size_bytes;
  absl::StatusOr<Superblock> second = absl::NotFoundError("beyond the end of the device");
  if (second_of <= size_bytes) second = read(1, second_of);
  if (absl::IsUnimplemented(second.status())) return second.status();
  if (!first.ok() && !second.ok()) {
    return absl::IsNotFound(first.status()) ? second.status() : first.status();
  }
  const bool take_first = first.ok() && (!second.ok() || first->generation >= second->generation);
  return ReadSuperblock{.superblock = take_first ? *first : *second,
                        .needs_repair = !first.ok() || !second.ok() || *first != *second};
}

// Takes the devices one by one.
class Finder final {
 public:
  Finder(const Uuid& filesystem, const std::map<uint32_t, DiskRecord>& expected,
         const OpenDisksOptions& options)
      : filesystem_(filesystem), expected_(expected), options_(options) {}

  absl::Status Take(DiskSource source) {
    if (!source.device.ok()) return NoteUnusable(source, source.device.status());
    const absl::StatusOr<ReadSuperblock> read = Read(**source.device);
    if (absl::IsUnimplemented(read.status())) return Annotate(read.status(), NameOf(source));
    if (!read.ok()) return NoteUnusable(source, read.status());
    const Superblock& superblock = read->superblock;
    STRATA_RETURN_IF_ERROR(CheckBelongs(source, superblock));
    seen_[superblock.disk_number] = NameOf(source);
    const block::Geometry& geometry = (*source.device)->geometry();
    const uint64_t device_bytes = geometry.block_count * geometry.block_size_bytes;
    if (device_bytes < superblock.size_bytes) {
      reasons_[superblock.disk_number] =
          absl::StrCat(NameOf(source), ": the device has shrunk to ", device_bytes, " bytes of ",
                       superblock.size_bytes);
      return absl::OkStatus();
    }
    bool takes_writes = true;
    if (read->needs_repair) {
      found_.damaged_superblocks.push_back(superblock.disk_number);
      takes_writes = Repair(source, superblock);
    }
    found_.disks.push_back(
        std::make_shared<Disk>(*std::move(source.device), source.uri, superblock));
    if (!takes_writes) found_.disks.back()->StopWriting();
    return absl::OkStatus();
  }

  FoundDisks Finish() {
    for (const auto& [number, record] : expected_) {
      const bool is_found =
          std::any_of(found_.disks.begin(), found_.disks.end(),
                      [n = number](const auto& disk) { return disk->number() == n; });
      if (is_found || record.state == DiskState::kRemoved) continue;
      const auto reason = reasons_.find(number);
      found_.absent.push_back(
          {number, absl::StrCat(DiskText(number, record), " is absent: ",
                                reason != reasons_.end() ? reason->second
                                                         : "no device in the list holds it")});
    }
    return std::move(found_);
  }

 private:
  // What was a disk's device and holds no disk any more stands for an absent disk; another device
  // was never one of ours.
  absl::Status NoteUnusable(const DiskSource& source, const absl::Status& why) {
    for (const auto& [number, record] : expected_) {
      if (record.uri.empty() || record.uri != source.uri) continue;
      reasons_[number] = absl::StrCat(NameOf(source), ": ", why.message());
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(
        absl::StrCat(NameOf(source), ": this is no disk of the filesystem: ", why.message()));
  }

  absl::Status CheckBelongs(const DiskSource& source, const Superblock& superblock) {
    const auto refuse = [&](const std::string& why) {
      return absl::FailedPreconditionError(absl::StrCat(NameOf(source), ": ", why));
    };
    if (superblock.filesystem != filesystem_) {
      return refuse(absl::StrCat("a disk of another filesystem, ", UuidText(superblock.filesystem),
                                 " instead of ", UuidText(filesystem_)));
    }
    const auto row = expected_.find(superblock.disk_number);
    if (row == expected_.end() || row->second.disk != superblock.disk) {
      return refuse(absl::StrCat("disk ", superblock.disk_number, " with uuid ",
                                 UuidText(superblock.disk), " is none of the filesystem's disks"));
    }
    if (row->second.state == DiskState::kRemoved) {
      return refuse(
          absl::StrCat("disk ", superblock.disk_number, " was removed from the filesystem"));
    }
    if (row->second.segment_count > superblock.segment_count) {
      return refuse(absl::StrCat("disk ", superblock.disk_number, " has ", superblock.segment_count,
                                 " segments instead of ", row->second.segment_count));
    }
    if (const auto twin = seen_.find(superblock.disk_number); twin != seen_.end()) {
      return refuse(absl::StrCat("disk ", superblock.disk_number, " with uuid ",
                                 UuidText(superblock.disk), " is in the list twice; ", twin->second,
                                 " is the same disk, or a copy of it"));
    }
    return absl::OkStatus();
  }

  // False: the disk takes no writes. What it holds can be read all the same.
  bool Repair(const DiskSource& source, const Superblock& superblock) {
    Log(options_.log, LogLevel::kWarning,
        absl::StrCat("ofs: ", NameOf(source), ": one copy of the superblock is damaged",
                     options_.read_only ? "" : "; it is written again"));
    if (options_.read_only) return true;
    const absl::Status written = WriteSuperblock(**source.device, superblock);
    if (!written.ok()) {
      Log(options_.log, LogLevel::kWarning,
          absl::StrCat("ofs: ", NameOf(source), ": it could not be: ", written.message()));
    }
    return written.ok();
  }

  const Uuid filesystem_;
  const std::map<uint32_t, DiskRecord>& expected_;
  const OpenDisksOptions& options_;
  std::map<uint32_t, std::string> seen_;  // By disk: its device's name.
  std::map<uint32_t, std::string> reasons_;
  FoundDisks found_;
};

}  // namespace

std::vector<DiskSource> OpenSources(const block::Registry& registry,
                                    const std::vector<std::string>& uris) {
  std::vector<DiskSource> sources;
  for (const std::string& uri : uris) sources.push_back({uri, registry.Open(uri)});
  return sources;
}

absl::StatusOr<FoundDisks> OpenDisks(std::vector<DiskSource> sources, const Uuid& filesystem,
                                     const std::map<uint32_t, DiskRecord>& expected,
                                     const OpenDisksOptions& options) {
  Finder finder(filesystem, expected, options);
  for (DiskSource& source : sources) STRATA_RETURN_IF_ERROR(finder.Take(std::move(source)));
  return finder.Finish();
}

}  // namespace strata::ofs
