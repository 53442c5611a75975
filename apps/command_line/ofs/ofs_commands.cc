// SPDX-License-Identifier: Apache-2.0
#include "command_line/ofs/ofs_commands.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "appliance/storage_devices.h"
#include "command_line/ofs/metadata_folder.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/file_system.h"
#include "strata/ofs/types.h"
#include "strata/ofs_fuse/mount.h"

namespace strata::appliance {
namespace {

constexpr int64_t kProgressMs = 200;

void LogToStderr(LogLevel level, std::string_view line) {
  if (level < LogLevel::kWarning) return;
  std::fprintf(stderr, "strata: %.*s\n", static_cast<int>(line.size()), line.data());
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
  STRATA_ASSIGN_OR_RETURN(const ofs::DiskClass disk_class, ofs::ParseDiskClass(request.disk_class));
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

absl::StatusOr<Json> Mount(const OfsRequest& request,
                           const std::function<void(const Json&)>& mounted,
                           const dedup::ProgressCallback& progress) {
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
  STRATA_RETURN_IF_ERROR((*mount)->Stop());
  STRATA_RETURN_IF_ERROR(opened.folder->SayClosing());
  STRATA_RETURN_IF_ERROR(opened.filesystem->Close());
  Json answer = names;
  answer["unmounted_by"] = is_wanted ? "user" : "signal";
  return answer;
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

}  // namespace

absl::StatusOr<Json> RunOfsCommand(const std::string& command, const OfsRequest& request,
                                   const std::function<void(const Json&)>& mounted,
                                   const dedup::ProgressCallback& progress) {
  if (command == "ofs.format") return Format(request);
  if (command == "ofs.mount") return Mount(request, mounted, progress);
  if (command == "ofs.df") return ShowSpace(request);
  return absl::UnimplementedError(absl::StrCat("no command ", command));
}

}  // namespace strata::appliance
