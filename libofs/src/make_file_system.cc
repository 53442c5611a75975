// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "disks/disk_rows.h"
#include "disks/format_disks.h"
#include "groups/placement.h"
#include "namespace/namespace.h"
#include "strata/base/clock.h"
#include "strata/base/errno_status.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/file_system.h"

namespace strata::ofs {
namespace {

absl::Status CheckIsUnused(const Metadata& metadata) {
  const absl::Status found = ReadFilesystemRows(metadata).status();
  if (found.ok()) return absl::AlreadyExistsError("the store holds a filesystem");
  return absl::IsNotFound(found) ? absl::OkStatus() : found;
}

absl::Status CheckDomains(const FormatOptions& options) {
  std::set<std::string> domains;
  for (size_t i = 0; i < options.disks.size(); ++i) {
    const std::string& path = options.disks[i].domain;
    domains.insert(path.empty() ? absl::StrCat("#", i)
                                : std::string(DomainOf(path, options.domain_depth)));
  }
  const auto wanted = static_cast<size_t>(options.protection.total_units());
  if (domains.size() >= wanted) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(ProtectionName(options.protection), " takes ",
                                                   wanted, " failure domains, and there are ",
                                                   domains.size()));
}

}  // namespace

absl::Status Format(const FormatOptions& options) {
  if (options.store == nullptr) return absl::InvalidArgumentError("no store");
  STRATA_RETURN_IF_ERROR(CheckProtection(options.protection));
  STRATA_RETURN_IF_ERROR(CheckDomains(options));
  STRATA_ASSIGN_OR_RETURN(const Metadata metadata, OpenMetadata(options.store));
  STRATA_RETURN_IF_ERROR(CheckIsUnused(metadata));

  const block::Registry defaults = block::Registry::WithDefaults();
  const block::Registry& registry = options.registry != nullptr ? *options.registry : defaults;
  std::vector<NewDisk> fresh;
  for (const FormatDisk& disk : options.disks) {
    absl::StatusOr<std::unique_ptr<block::Device>> device = registry.Open(disk.uri);
    if (!device.ok()) return Annotate(device.status(), disk.uri);
    fresh.push_back({.device = *std::move(device),
                     .uri = WithoutCreate(disk.uri),
                     .number = static_cast<uint32_t>(fresh.size() + 1),
                     .disk_class = disk.disk_class,
                     .domain = disk.domain});
  }

  FilesystemRows rows;
  STRATA_RETURN_IF_ERROR(SecureRandomBytes(rows.format.filesystem));
  STRATA_RETURN_IF_ERROR(SecureRandomBytes(rows.format.name_key));
  const int64_t now_ns = SystemClock().WallNanos();
  rows.format.created_ns = static_cast<uint64_t>(now_ns);
  rows.format.domain_depth = options.domain_depth;
  rows.format.default_protection = options.protection;
  rows.pools["default"] = {.number = kDefaultPool};
  STRATA_ASSIGN_OR_RETURN(const std::vector<std::shared_ptr<Disk>> disks,
                          FormatDisks(std::move(fresh), {.filesystem = rows.format.filesystem,
                                                         .segment_bytes = options.segment_bytes,
                                                         .force = options.force,
                                                         .now_ns = rows.format.created_ns}));
  for (const std::shared_ptr<Disk>& disk : disks) {
    const Superblock& superblock = disk->superblock();
    rows.format.segment_bytes = superblock.segment_bytes;
    rows.disks[disk->number()] = {.disk = superblock.disk,
                                  .uri = disk->uri(),
                                  .disk_class = superblock.disk_class,
                                  .domain = superblock.domain,
                                  .pool = kDefaultPool,
                                  .segment_count = superblock.segment_count,
                                  .changed_ns = rows.format.created_ns};
  }
  // What an attempt left that was interrupted before the last of its rows.
  STRATA_RETURN_IF_ERROR(options.store->ClearSpace(metadata.meta));
  STRATA_RETURN_IF_ERROR(options.store->ClearSpace(metadata.extents));
  STRATA_RETURN_IF_ERROR(
      Namespace::MakeRoot(metadata, options.root_mode, options.root_uid, options.root_gid, now_ns));
  return WriteFilesystemRows(metadata, rows);
}

}  // namespace strata::ofs
