// SPDX-License-Identifier: Apache-2.0
#include "command_line/ofs/disk_commands.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "appliance/arguments.h"
#include "appliance/json.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/maintenance.h"

namespace strata::appliance {
namespace {

constexpr uint64_t kStepBytes = 16u << 20;  // Between two looks at whether it is still wanted.
constexpr uint64_t kMostDisks = 4096;

using ofs::DiskState;

Json ToJson(const ofs::DiskStatus& disk) {
  return {{"number", disk.number},
          {"uri", disk.uri},
          {"class", ofs::DiskClassName(disk.disk_class)},
          {"domain", disk.domain},
          {"state", ofs::DiskStateName(disk.state)},
          {"reason", disk.reason},
          {"present", disk.is_present},
          {"takes_writes", disk.takes_writes},
          {"total_bytes", disk.segment_count * disk.segment_bytes},
          {"free_bytes", disk.free_segments * disk.segment_bytes},
          {"read_errors", disk.read_errors},
          {"write_errors", disk.write_errors},
          {"flush_errors", disk.flush_errors},
          {"wrong_checksums", disk.wrong_checksums},
          {"wrong_heads", disk.wrong_heads}};
}

Json DisksJson(ofs::Maintenance& maintenance) {
  Json disks = Json::array();
  for (const ofs::DiskStatus& disk : maintenance.Disks()) disks.push_back(ToJson(disk));
  return disks;
}

absl::StatusOr<ofs::DiskStatus> FindDisk(ofs::Maintenance& maintenance, uint64_t number) {
  for (ofs::DiskStatus& disk : maintenance.Disks()) {
    if (disk.number == number) return std::move(disk);
  }
  return absl::NotFoundError(absl::StrCat("there is no disk ", number));
}

// Numbers of disks that hold something, cannot be used, and do not count as failed yet.
Json AbsentDisks(ofs::Maintenance& maintenance) {
  Json numbers = Json::array();
  for (const ofs::DiskStatus& disk : maintenance.Disks()) {
    const bool is_watched = disk.state == DiskState::kOnline || disk.state == DiskState::kSuspect;
    const bool is_well = disk.is_present && disk.takes_writes;
    const bool is_empty = disk.free_segments == disk.segment_count;
    if (is_watched && !is_well && !is_empty) numbers.push_back(disk.number);
  }
  return numbers;
}

absl::StatusOr<Json> Status(ofs::FileSystem& filesystem, Arguments& arguments) {
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const ofs::SpaceUse use, filesystem.GetSpaceUse());
  ofs::HealReport report;
  STRATA_RETURN_IF_ERROR(filesystem.maintenance().Heal(0, &report));  // What is to be done.
  return Json{{"total_bytes", use.total_bytes},
              {"used_bytes", use.total_bytes - use.free_bytes},
              {"free_bytes", use.free_bytes},
              {"groups_left", report.groups_left},
              {"problems", report.problems},
              {"absent_disks", AbsentDisks(filesystem.maintenance())},
              {"disks", DisksJson(filesystem.maintenance())}};
}

absl::StatusOr<Json> List(ofs::FileSystem& filesystem, Arguments& arguments) {
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  return Json{{"disks", DisksJson(filesystem.maintenance())}};
}

// The disk to be that the arguments describe, like `model` where they say nothing.
absl::StatusOr<ofs::FormatDisk> TakeNewDisk(Arguments& arguments, const ofs::DiskStatus& model) {
  ofs::FormatDisk disk;
  STRATA_ASSIGN_OR_RETURN(disk.uri, arguments.RequiredText("uri"));
  const std::string name(ofs::DiskClassName(model.disk_class));
  STRATA_ASSIGN_OR_RETURN(disk.disk_class, ofs::ParseDiskClass(arguments.Text("class", name)));
  disk.domain = arguments.Text("domain", model.domain);
  return disk;
}

absl::StatusOr<Json> Add(ofs::FileSystem& filesystem, Arguments& arguments) {
  ofs::Maintenance& maintenance = filesystem.maintenance();
  STRATA_ASSIGN_OR_RETURN(const ofs::FormatDisk disk, TakeNewDisk(arguments, {}));
  const bool force = arguments.Flag("force", false);
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const uint32_t number, maintenance.AddDisk(disk, force));
  STRATA_ASSIGN_OR_RETURN(const ofs::DiskStatus added, FindDisk(maintenance, number));
  return Json{{"disk", ToJson(added)}};
}

// The new disk takes the old one's failure domain. What the old one holds is copied from it as long
// as it can be read.
absl::StatusOr<Json> Replace(ofs::FileSystem& filesystem, Arguments& arguments) {
  ofs::Maintenance& maintenance = filesystem.maintenance();
  const uint64_t number = arguments.Number("disk", kMostDisks, 0);
  STRATA_RETURN_IF_ERROR(arguments.status());
  STRATA_ASSIGN_OR_RETURN(const ofs::DiskStatus old, FindDisk(maintenance, number));
  STRATA_ASSIGN_OR_RETURN(const ofs::FormatDisk disk, TakeNewDisk(arguments, old));
  const bool force = arguments.Flag("force", false);
  const std::string reason = arguments.Text("reason", "replaced");
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const uint32_t added, maintenance.AddDisk(disk, force));
  const bool is_well = old.is_present && old.takes_writes && old.state != DiskState::kFailed;
  STRATA_RETURN_IF_ERROR(maintenance.SetDiskState(
      old.number, is_well ? DiskState::kDraining : DiskState::kFailed, reason));
  STRATA_ASSIGN_OR_RETURN(const ofs::DiskStatus fresh, FindDisk(maintenance, added));
  STRATA_ASSIGN_OR_RETURN(const ofs::DiskStatus replaced, FindDisk(maintenance, number));
  return Json{{"disk", ToJson(fresh)}, {"replaced", ToJson(replaced)}};
}

absl::StatusOr<Json> SetState(ofs::FileSystem& filesystem, Arguments& arguments, DiskState state) {
  ofs::Maintenance& maintenance = filesystem.maintenance();
  const uint64_t number = arguments.Number("disk", kMostDisks, 0);
  const std::string reason = arguments.Text("reason", "by an operator");
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_RETURN_IF_ERROR(maintenance.SetDiskState(static_cast<uint32_t>(number), state, reason));
  STRATA_ASSIGN_OR_RETURN(const ofs::DiskStatus disk, FindDisk(maintenance, number));
  return Json{{"disk", ToJson(disk)}};
}

absl::StatusOr<Json> Heal(ofs::FileSystem& filesystem, Arguments& arguments,
                          const dedup::ProgressCallback& progress) {
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  ofs::HealReport report;
  while (!report.is_done) {
    STRATA_RETURN_IF_ERROR(filesystem.maintenance().Heal(kStepBytes, &report));
    const uint64_t groups = report.groups_moved + report.groups_left;
    if (!progress({"groups moved", report.groups_moved, groups})) {
      return absl::CancelledError("healing was stopped; what was moved stays where it is now");
    }
  }
  return Json{{"groups_moved", report.groups_moved},
              {"units_repaired", report.units_repaired},
              {"bytes_written", report.bytes_written},
              {"stripes_lost", report.stripes_lost},
              {"groups_left", report.groups_left},
              {"problems", report.problems},
              {"absent_disks", AbsentDisks(filesystem.maintenance())}};
}

absl::StatusOr<Json> Scrub(ofs::FileSystem& filesystem, Arguments& arguments,
                           const dedup::ProgressCallback& progress) {
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  ofs::ScrubReport report;
  while (!report.is_done) {
    STRATA_RETURN_IF_ERROR(filesystem.maintenance().Scrub(kStepBytes, &report));
    if (!progress({"groups read", report.groups, 0})) {
      return absl::CancelledError("scrubbing was stopped; the next one goes on from here");
    }
  }
  return Json{{"groups", report.groups},
              {"groups_skipped", report.groups_skipped},
              {"stripes", report.stripes},
              {"bytes_read", report.bytes_read},
              {"units_repaired", report.units_repaired},
              {"lost", LostRangesJson(report.lost)},
              {"lost_ranges", report.lost_ranges},
              {"problems", report.problems}};
}

struct Command {
  std::string_view name;
  absl::StatusOr<Json> (*run)(ofs::FileSystem&, Arguments&, const dedup::ProgressCallback&);
};

template <absl::StatusOr<Json> (*kRun)(ofs::FileSystem&, Arguments&)>
absl::StatusOr<Json> Quick(ofs::FileSystem& filesystem, Arguments& arguments,
                           const dedup::ProgressCallback&) {
  return kRun(filesystem, arguments);
}

template <DiskState kState>
absl::StatusOr<Json> To(ofs::FileSystem& filesystem, Arguments& arguments,
                        const dedup::ProgressCallback&) {
  return SetState(filesystem, arguments, kState);
}

constexpr Command kCommands[] = {
    {"ofs.status", Quick<Status>},
    {"ofs.disk.list", Quick<List>},
    {"ofs.disk.add", Quick<Add>},
    {"ofs.disk.replace", Quick<Replace>},
    {"ofs.disk.drain", To<DiskState::kDraining>},
    {"ofs.disk.fail", To<DiskState::kFailed>},
    {"ofs.disk.online", To<DiskState::kOnline>},
    {"ofs.disk.remove", To<DiskState::kRemoved>},
    {"ofs.heal", Heal},
    {"ofs.scrub", Scrub},
};

const Command* Find(std::string_view name) {
  const auto* const it = std::find_if(std::begin(kCommands), std::end(kCommands),
                                      [&](const Command& command) { return command.name == name; });
  return it == std::end(kCommands) ? nullptr : it;
}

}  // namespace

Json LostRangesJson(const std::vector<ofs::LostRange>& ranges) {
  Json list = Json::array();
  for (const ofs::LostRange& range : ranges) {
    list.push_back({{"inode", range.inode},
                    {"path", range.path},
                    {"offset", range.offset},
                    {"bytes", range.bytes}});
  }
  return list;
}

bool IsDiskCommand(std::string_view name) { return Find(name) != nullptr; }

absl::StatusOr<Json> RunDiskCommand(ofs::FileSystem& filesystem, std::string_view name,
                                    const Json& arguments,
                                    const dedup::ProgressCallback& progress) {
  const Command* const command = Find(name);
  if (command == nullptr) {
    return absl::UnimplementedError(absl::StrCat("no command ", std::string(name)));
  }
  Arguments taken(arguments);
  return command->run(filesystem, taken, progress);
}

}  // namespace strata::appliance
