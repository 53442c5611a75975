// SPDX-License-Identifier: Apache-2.0
#include "command_line/ofs/ofs_commands.h"

#include <poll.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/admin_client.h"
#include "appliance/admin_server.h"
#include "appliance/json.h"
#include "appliance/local_socket.h"
#include "appliance/storage_devices.h"
#include "command_line/ofs/background_healing.h"
#include "command_line/ofs/disk_commands.h"
#include "command_line/ofs/metadata_folder.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/block/registry.h"
#include "strata/ofs/check.h"
#include "strata/ofs/file_system.h"
#include "strata/ofs/types.h"
#include "strata/ofs_fuse/mount.h"

namespace strata::appliance {
namespace {

constexpr int64_t kProgressMs = 200;

// A mount must not wait for somebody who does not read what it says: a line for which there is no
// room is dropped. poll() promises room for PIPE_BUF bytes in a pipe.
void LogToStderr(LogLevel level, std::string_view line) {
  if (level < LogLevel::kWarning) return;
  constexpr size_t kMostBytes = PIPE_BUF - 16;
  pollfd stderr_state{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  flockfile(stderr);  // So that the room is still there for this line.
  if (poll(&stderr_state, 1, 0) == 1) {
    const auto size = static_cast<int>(std::min(line.size(), kMostBytes));
    std::fprintf(stderr, "strata: %.*s\n", size, line.data());
  }
  funlockfile(stderr);
}

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.string();
}

// The filesystem is opened from other folders too.
std::string AbsoluteUri(const std::string& uri) {
  constexpr std::string_view kFile = "file:";
  if (!uri.starts_with(kFile)) return uri;
  const size_t end = std::min(uri.find('?'), uri.size());
  const std::string path = uri.substr(kFile.size(), end - kFile.size());
  if (path.empty()) return uri;
  return absl::StrCat(std::string(kFile), AbsolutePath(path), uri.substr(end));
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

// A filesystem with what it lives on. Close() ends its session.
struct OpenedFilesystem {
  std::unique_ptr<MetadataFolder> folder;
  std::unique_ptr<block::Registry> devices;
  std::unique_ptr<ofs::FileSystem> filesystem;
};

absl::StatusOr<OpenedFilesystem> OpenFilesystem(const std::string& directory) {
  OpenedFilesystem opened;
  STRATA_ASSIGN_OR_RETURN(
      opened.folder, MetadataFolder::Open(directory, MetadataFolder::Access::kUse, LogToStderr));
  opened.devices = std::make_unique<block::Registry>(StorageDevices(LogToStderr));
  absl::StatusOr<std::unique_ptr<ofs::FileSystem>> filesystem =
      ofs::FileSystem::Open({.store = &opened.folder->store(),
                             .registry = opened.devices.get(),
                             .log = LogToStderr,
                             .host = HostName()});
  if (!filesystem.ok()) return Annotate(filesystem.status(), directory);
  opened.filesystem = *std::move(filesystem);
  return opened;
}

absl::StatusOr<Json> Format(const OfsRequest& request) {
  STRATA_ASSIGN_OR_RETURN(const ofs::Protection protection,
                          ofs::ParseProtection(request.protection));
  STRATA_ASSIGN_OR_RETURN(
      const ofs::DiskClass disk_class,
      ofs::ParseDiskClass(request.disk_class.empty() ? "ssd" : request.disk_class));
  STRATA_ASSIGN_OR_RETURN(
      std::unique_ptr<MetadataFolder> folder,
      MetadataFolder::Open(request.directory, MetadataFolder::Access::kCreate, LogToStderr));
  const block::Registry devices = StorageDevices(LogToStderr);
  ofs::FormatOptions options{.store = &folder->store(),
                             .registry = &devices,
                             .protection = protection,
                             .force = request.force};
  for (const std::string& uri : request.uris) {
    options.disks.push_back({.uri = AbsoluteUri(uri), .disk_class = disk_class});
  }
  STRATA_RETURN_IF_ERROR(Annotate(ofs::Format(options), request.directory));
  folder.reset();
  STRATA_ASSIGN_OR_RETURN(const OpenedFilesystem opened, OpenFilesystem(request.directory));
  STRATA_ASSIGN_OR_RETURN(const ofs::SpaceUse use, opened.filesystem->GetSpaceUse());
  STRATA_RETURN_IF_ERROR(opened.filesystem->Close());
  Json disks = Json::array();
  for (const ofs::FormatDisk& disk : options.disks) disks.push_back(disk.uri);
  return Json{{"directory", request.directory},
              {"protection", ofs::ProtectionName(protection)},
              {"disks", disks},
              {"total_bytes", use.total_bytes}};
}

absl::StatusOr<uint64_t> HealRate(const OfsRequest& request) {
  const absl::StatusOr<uint64_t> rate = block::ParseSizeBytes(request.heal_rate);
  if (rate.ok()) return rate;
  return absl::InvalidArgumentError(absl::StrCat("--heal-rate: not a size: ", request.heal_rate));
}

absl::StatusOr<Json> Mount(const OfsRequest& request,
                           const std::function<void(const Json&)>& mounted,
                           const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const uint64_t heal_rate, HealRate(request));
  STRATA_ASSIGN_OR_RETURN(OpenedFilesystem opened, OpenFilesystem(request.directory));
  const std::string mount_point = AbsolutePath(request.mount_point);
  absl::StatusOr<std::unique_ptr<ofs::Mount>> mount =
      ofs::Mount::Start(*opened.filesystem, {.mount_point = request.mount_point,
                                             .source = request.directory,
                                             .threads = request.threads,
                                             .read_only = request.read_only,
                                             .allow_other = request.allow_other,
                                             .allow_set_id = request.allow_set_id,
                                             .allow_devices = request.allow_devices,
                                             .write_back_cache = !request.write_through,
                                             .log = LogToStderr});
  if (!mount.ok()) {
    STRATA_RETURN_IF_ERROR(opened.filesystem->Close());
    return mount.status();
  }
  ofs::FileSystem& filesystem = *opened.filesystem;
  const auto run = [&filesystem](const std::string& name, const Json& arguments,
                                 const dedup::ProgressCallback& on_progress) {
    return RunDiskCommand(filesystem, name, arguments, on_progress);
  };
  absl::StatusOr<std::unique_ptr<HttpServer>> server = StartCommandServer(request.directory, run);
  if (!server.ok()) {
    STRATA_RETURN_IF_ERROR((*mount)->Stop());
    STRATA_RETURN_IF_ERROR(filesystem.Close());
    return server.status();
  }
  BackgroundHealing healing(&filesystem.maintenance(),
                            {.bytes_per_second = heal_rate, .log = LogToStderr});
  STRATA_RETURN_IF_ERROR(opened.folder->SayMounted(mount_point));
  const Json names = {{"directory", request.directory}, {"mount_point", mount_point}};
  Json ready = names;
  ready["process"] = getpid();
  mounted(ready);
  bool is_wanted = true;
  uint64_t waits = 0;
  while (is_wanted && !(*mount)->WaitUntilUnmounted(kProgressMs)) {
    is_wanted = progress({"seconds mounted", ++waits * kProgressMs / 1000, 0});
  }
  healing.Stop();
  server->reset();
  RemoveLocal(request.directory, kAdminSocket);
  STRATA_RETURN_IF_ERROR((*mount)->Stop());
  STRATA_RETURN_IF_ERROR(opened.folder->SayClosing());
  STRATA_RETURN_IF_ERROR(opened.filesystem->Close());
  Json answer = names;
  answer["unmounted_by"] = is_wanted ? "user" : "signal";
  return answer;
}

absl::StatusOr<Json> Check(const OfsRequest& request, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(
      const std::unique_ptr<MetadataFolder> folder,
      MetadataFolder::Open(request.directory, MetadataFolder::Access::kUse, LogToStderr));
  const block::Registry devices = StorageDevices(LogToStderr);
  const absl::StatusOr<ofs::CheckReport> checked =
      ofs::Check({.store = &folder->store(),
                  .registry = &devices,
                  .read_data = request.data,
                  .progress = [&](const ofs::CheckProgress& done) {
                    return progress({done.phase, done.done, done.total});
                  }});
  if (!checked.ok()) return Annotate(checked.status(), request.directory);
  const ofs::CheckReport& report = *checked;
  Json findings = Json::array();
  for (const ofs::Finding& finding : report.findings) {
    findings.push_back({{"kind", ofs::FindingKindName(finding.kind)},
                        {"text", finding.text},
                        {"warning", ofs::IsWarning(finding.kind)}});
  }
  Json counts = Json::object();
  for (const auto& [kind, count] : report.counts) {
    counts[std::string(ofs::FindingKindName(kind))] = count;
  }
  return Json{{"directory", request.directory},
              {"findings", std::move(findings)},
              {"counts", std::move(counts)},
              {"lost", LostRangesJson(report.lost)},
              {"inodes", report.inodes},
              {"names", report.names},
              {"extents", report.extents},
              {"groups", report.groups},
              {"stripes", report.stripes},
              {"bytes_read", report.bytes_read},
              {"unended_sessions", report.unended_sessions},
              {"unsealed_groups", report.unsealed_groups},
              {"damaged", !report.is_clean()}};
}

absl::StatusOr<ofs::SpaceUse> SpaceOfMount(const std::string& mount_point) {
  struct statvfs status {};
  if (statvfs(mount_point.c_str(), &status) != 0) return ErrnoStatus(errno, mount_point);
  return ofs::SpaceUse{.total_bytes = status.f_blocks * status.f_frsize,
                       .free_bytes = status.f_bfree * status.f_frsize};
}

absl::StatusOr<Json> ShowSpace(const OfsRequest& request) {
  Json answer = {{"directory", request.directory}};
  ofs::SpaceUse use;
  const absl::StatusOr<FolderHolder> holder = MetadataFolder::Holder(request.directory);
  if (holder.ok() && !holder->mount_point.empty()) {
    answer["mount_point"] = holder->mount_point;
    STRATA_ASSIGN_OR_RETURN(use, SpaceOfMount(holder->mount_point));
  } else {
    STRATA_ASSIGN_OR_RETURN(const OpenedFilesystem opened, OpenFilesystem(request.directory));
    STRATA_ASSIGN_OR_RETURN(use, opened.filesystem->GetSpaceUse());
    STRATA_RETURN_IF_ERROR(opened.filesystem->Close());
  }
  answer["total_bytes"] = use.total_bytes;
  answer["used_bytes"] = use.total_bytes - use.free_bytes;
  answer["free_bytes"] = use.free_bytes;
  return answer;
}

// What the command line says of disks, as arguments of a command.
Json ArgumentsOf(const std::string& command, const OfsRequest& request) {
  Json arguments = Json::object();
  if (!command.starts_with("ofs.disk.") || command == "ofs.disk.list") return arguments;
  if (command != "ofs.disk.add") arguments["disk"] = request.disk;
  if (command == "ofs.disk.add" || command == "ofs.disk.replace") {
    arguments["uri"] = AbsoluteUri(request.uri);
    arguments["force"] = request.force;
    if (!request.disk_class.empty()) arguments["class"] = request.disk_class;
    if (!request.domain.empty()) arguments["domain"] = request.domain;
  }
  if (!request.reason.empty()) arguments["reason"] = request.reason;
  return arguments;
}

absl::StatusOr<Json> RunOnDisks(const std::string& command, const OfsRequest& request,
                                const dedup::ProgressCallback& progress) {
  const Json arguments = ArgumentsOf(command, request);
  const bool is_mounted = DaemonListens(request.directory);
  // A mount heals by itself: who does not wait hears what is left.
  const bool asks_only = command == "ofs.heal" && is_mounted && !request.wait;
  Json answer;
  if (is_mounted) {
    const std::string name = asks_only ? "ofs.status" : command;
    STRATA_ASSIGN_OR_RETURN(answer, SendCommand(request.directory, name, arguments, progress));
  } else {
    STRATA_ASSIGN_OR_RETURN(const OpenedFilesystem opened, OpenFilesystem(request.directory));
    absl::StatusOr<Json> here = RunDiskCommand(*opened.filesystem, command, arguments, progress);
    const absl::Status closed = opened.filesystem->Close();
    if (!here.ok()) return here.status();
    STRATA_RETURN_IF_ERROR(closed);
    answer = *std::move(here);
  }
  if (asks_only) {
    answer = {{"groups_left", answer.value("groups_left", uint64_t{0})},
              {"problems", answer.value("problems", Json::array())},
              {"absent_disks", answer.value("absent_disks", Json::array())}};
  }
  answer["directory"] = request.directory;
  answer["mounted"] = is_mounted;
  if (command == "ofs.heal") {
    const bool is_undone = answer.value("groups_left", uint64_t{0}) > 0 ||
                           !answer.value("absent_disks", Json::array()).empty();
    answer["damaged"] = (is_undone && !asks_only) || answer.value("stripes_lost", uint64_t{0}) > 0;
  }
  if (command == "ofs.scrub") {
    answer["damaged"] = answer.value("lost_ranges", uint64_t{0}) > 0 ||
                        !answer.value("problems", Json::array()).empty();
  }
  return answer;
}

}  // namespace

absl::StatusOr<Json> RunOfsCommand(const std::string& command, const OfsRequest& request,
                                   const std::function<void(const Json&)>& mounted,
                                   const dedup::ProgressCallback& progress) {
  if (command == "ofs.format") return Format(request);
  if (command == "ofs.mount") return Mount(request, mounted, progress);
  if (command == "ofs.check") return Check(request, progress);
  if (command == "ofs.df") return ShowSpace(request);
  if (IsDiskCommand(command)) return RunOnDisks(command, request, progress);
  return absl::UnimplementedError(absl::StrCat("no command ", command));
}

}  // namespace strata::appliance
