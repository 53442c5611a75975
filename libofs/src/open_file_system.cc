// SPDX-License-Identifier: Apache-2.0
//
// How a session begins, also after a crash of the one before, and how it ends.
#include <unistd.h>

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "disks/open_disks.h"
#include "disks/session_rows.h"
#include "file_system_model.h"
#include "format/key_layout.h"
#include "namespace/paths.h"
#include "strata/base/errno_status.h"
#include "strata/base/range_check.h"
#include "strata/base/status_macros.h"
#include "stripes/ownerless_groups.h"

namespace strata::ofs {

absl::StatusOr<std::unique_ptr<FileSystem>> FileSystem::Open(const FileSystemOptions& options) {
  if (options.store == nullptr) return absl::InvalidArgumentError("no store");
  STRATA_RETURN_IF_ERROR(
      CheckRange("max_dirty_bytes", options.max_dirty_bytes, 1u << 20, uint64_t{64} << 30));
  STRATA_RETURN_IF_ERROR(
      CheckRange("fail_after_ms", options.fail_after_ms, 0, int64_t{366} * 24 * 3'600'000));
  STRATA_RETURN_IF_ERROR(CheckRange("flush_interval_ms", options.flush_interval_ms, 0, 3'600'000));
  auto model = std::make_unique<FileSystemModel>(options);
  STRATA_RETURN_IF_ERROR(model->Start());
  return model;
}

FileSystemModel::FileSystemModel(const FileSystemOptions& options)
    : options_(options), clock_(options.clock != nullptr ? *options.clock : SystemClock()) {
  context_.clock = &clock_;
}

absl::Status FileSystemModel::Start() {
  STRATA_ASSIGN_OR_RETURN(context_.metadata, OpenMetadata(options_.store));
  STRATA_ASSIGN_OR_RETURN(rows_, ReadFilesystemRows(context_.metadata));
  context_.format = rows_.format;
  STRATA_ASSIGN_OR_RETURN(std::vector<AbsentDisk> absent, OpenDisksOfRows());
  STRATA_RETURN_IF_ERROR(EndOtherSessions());
  STRATA_ASSIGN_OR_RETURN(
      context_.session,
      StartSession(context_.metadata, {.host = options_.host,
                                       .process = static_cast<uint64_t>(getpid()),
                                       .started_ns = static_cast<uint64_t>(clock_.WallNanos())}));
  groups_ = std::make_unique<GroupTable>(context_.metadata);
  STRATA_ASSIGN_OR_RETURN(allocator_, Allocator::Open({.metadata = context_.metadata,
                                                       .rows = rows_,
                                                       .disks = disks_.get(),
                                                       .groups = groups_.get(),
                                                       .session = context_.session}));
  const DamageSink note = [this](const Damage& damage) {
    Log(options_.log, LogLevel::kWarning, absl::StrCat("ofs: ", damage.status.message()));
    if (maintenance_ != nullptr) maintenance_->NoteDamage(damage);
  };
  const Uuid& uuid = rows_.format.filesystem;
  reader_ = std::make_unique<StripeReader>(
      StripeReaderOptions{uuid, disks_.get(), groups_.get(), &codes_, note});
  writer_ = std::make_unique<StripeWriter>(
      StripeWriterOptions{uuid, disks_.get(), allocator_.get(), &codes_, note});
  names_ = std::make_unique<Namespace>(NamespaceOptions{.metadata = context_.metadata,
                                                        .session = context_.session,
                                                        .name_key = rows_.format.name_key,
                                                        .clock = &clock_});
  context_.allocator = allocator_.get();
  context_.reader = reader_.get();
  context_.writer = writer_.get();
  flusher_ = std::make_unique<Flusher>(&context_);
  data_ = std::make_unique<FileData>(&context_, flusher_.get());
  STRATA_RETURN_IF_ERROR(SealOwnerlessGroups());
  maintenance_ = std::make_unique<MaintenanceModel>(MaintenanceOptions{
      .context = {.metadata = context_.metadata,
                  .filesystem = uuid,
                  .disks = disks_.get(),
                  .allocator = allocator_.get(),
                  .reader = reader_.get(),
                  .on_damage = note,
                  .clock = &clock_,
                  .log = options_.log},
      .disks = disks_.get(),
      .rows = rows_,
      .absent = std::move(absent),
      .registry = options_.registry,
      .fail_after_ms = options_.fail_after_ms,
      .live_ranges = {
          .of_stripe =
              [this](const StripeHead& head) { return WithPaths(data_->LiveRanges(head)); },
          .of_columns =
              [this](uint64_t group, const Bitmap& columns) {
                return WithPaths(data_->LiveRanges(group, columns));
              }}});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Scrubber::LiveRange>> FileSystemModel::WithPaths(
    const absl::StatusOr<std::vector<FileRange>>& live) {
  STRATA_RETURN_IF_ERROR(live.status());
  const auto snapshot = context_.metadata.store->NewSnapshot();
  std::vector<Scrubber::LiveRange> ranges;
  for (const FileRange& range : *live) {
    STRATA_ASSIGN_OR_RETURN(std::string path, PathOf(*snapshot, context_.metadata, range.inode));
    ranges.push_back({.range = {range.inode, std::move(path), range.offset, range.bytes},
                      .stripe = range.stripe,
                      .payload_offset = range.payload_offset});
  }
  return ranges;
}

absl::StatusOr<std::vector<AbsentDisk>> FileSystemModel::OpenDisksOfRows() {
  const block::Registry defaults = block::Registry::WithDefaults();
  // A disk that is gone and the one in its place may have one URI. The superblock tells which it
  // is.
  std::set<std::string> unique;
  for (const auto& [number, disk] : rows_.disks) {
    if (disk.state != DiskState::kRemoved) unique.insert(disk.uri);
  }
  const std::vector<std::string> uris(unique.begin(), unique.end());
  STRATA_ASSIGN_OR_RETURN(
      FoundDisks found,
      OpenDisks(OpenSources(options_.registry != nullptr ? *options_.registry : defaults, uris),
                rows_.format.filesystem, rows_.disks, {.log = options_.log}));
  disks_ = std::make_unique<DiskSet>(std::move(found.disks));
  STRATA_RETURN_IF_ERROR(CheckLosses(found.absent));
  return std::move(found.absent);
}

// Without some of its disks the filesystem is opened as long as every group can be read.
absl::Status FileSystemModel::CheckLosses(const std::vector<AbsentDisk>& absent) {
  if (absent.empty()) return absl::OkStatus();
  std::vector<std::string> reasons;
  for (const AbsentDisk& disk : absent) {
    reasons.push_back(disk.reason);
    Log(options_.log, LogLevel::kWarning, absl::StrCat("ofs: absent: ", disk.reason));
  }
  const auto refusal = [&](std::string_view what) {
    return absl::UnavailableError(
        absl::StrCat(std::string(what), ": ", absl::StrJoin(reasons, "; ")));
  };
  if (disks_->All().empty()) return refusal("no disk is there");
  const auto snapshot = context_.metadata.store->NewSnapshot();
  return kv::ForEach(*snapshot, context_.metadata.meta, TableRange(Table::kGroup),
                     [&](const kv::KeyValue& row) -> absl::Status {
                       STRATA_ASSIGN_OR_RETURN(const uint64_t group,
                                               GroupOf(Table::kGroup, row.key));
                       STRATA_ASSIGN_OR_RETURN(const GroupRecord record, DecodeGroup(row.value));
                       int lost = 0;
                       for (const SegmentPlace& place : record.units) {
                         if (disks_->Find(place.disk) == nullptr) ++lost;
                       }
                       if (lost <= record.protection.tolerated_losses()) return absl::OkStatus();
                       return refusal(absl::StrCat("group ", group, " lost ", lost, " of its ",
                                                   record.units.size(), " units"));
                     });
}

absl::Status FileSystemModel::EndOtherSessions() {
  STRATA_ASSIGN_OR_RETURN(const std::vector<uint32_t> others, ListSessions(context_.metadata));
  for (const uint32_t session : others) {
    Log(options_.log, LogLevel::kInfo, absl::StrCat("ofs: session ", session, " did not end"));
    STRATA_RETURN_IF_ERROR(EndSession(context_.metadata, session));
  }
  return absl::OkStatus();
}

absl::Status FileSystemModel::SealOwnerlessGroups() {
  STRATA_ASSIGN_OR_RETURN(const std::vector<OwnerlessGroup> groups,
                          ListOwnerlessGroups(context_.metadata));
  for (const OwnerlessGroup& group : groups) {
    const absl::Status sealed = SealOwnerless(
        {.metadata = context_.metadata,
         .filesystem = rows_.format.filesystem,
         .disks = disks_.get(),
         .allocator = allocator_.get(),
         .live_bytes = [this](const StripeHead& head) { return data_->LiveBytes(head); }},
        group);
    // Its free columns wait for a session that can read its heads.
    if (absl::IsUnavailable(sealed)) {
      Log(options_.log, LogLevel::kWarning, absl::StrCat("ofs: ", sealed.message()));
      continue;
    }
    STRATA_RETURN_IF_ERROR(sealed);
  }
  return absl::OkStatus();
}

absl::Status FileSystemModel::Close() {
  STRATA_RETURN_IF_ERROR(SyncAll());
  STRATA_RETURN_IF_ERROR(ReclaimOrphans());
  STRATA_RETURN_IF_ERROR(maintenance_->Stop());
  STRATA_RETURN_IF_ERROR(allocator_->Close());
  STRATA_RETURN_IF_ERROR(MakeSpace());
  return EndSession(context_.metadata, context_.session);
}

}  // namespace strata::ofs
