// SPDX-License-Identifier: Apache-2.0
#include "command_line/ofs/metadata_folder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "strata/base/errno_status.h"
#include "strata/base/file_lock.h"
#include "strata/base/status_macros.h"
#include "strata/kv/engines.h"

namespace strata::appliance {
namespace {

constexpr int kWaitMs = 100;
constexpr int kMostWaits = 600;  // A minute.
constexpr size_t kMaxLockBytes = 16384;

std::string LockPath(const std::string& folder) { return folder + "/lock"; }

FolderHolder ReadHolder(int fd) {
  std::string text(kMaxLockBytes, '\0');
  const ssize_t bytes = pread(fd, text.data(), text.size(), 0);
  text.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
  const std::optional<Json> json = ParseJson(text);
  if (!json.has_value() || !json->is_object()) return {};
  const auto value = [&](const char* name, const auto& otherwise) {
    const auto it = json->find(name);
    using Value = std::decay_t<decltype(otherwise)>;
    const bool fits =
        it != json->end() && Json(otherwise).type_name() == std::string_view(it->type_name());
    return fits ? it->template get<Value>() : otherwise;
  };
  return {.process = value("process", int64_t{0}),
          .mount_point = value("mount_point", std::string()),
          .is_closing = value("closing", false)};
}

// Whether nothing is mounted there any more: then the process that mounted it is about to end.
bool IsUnmounted(const std::string& mount_point) {
  struct stat here;
  struct stat above;
  return !mount_point.empty() && stat(mount_point.c_str(), &here) == 0 &&
         stat((mount_point + "/..").c_str(), &above) == 0 && here.st_dev == above.st_dev;
}

absl::Status InUse(const std::string& folder, const FolderHolder& holder) {
  std::string text = absl::StrCat("the filesystem ", folder, " is in use");
  if (holder.process != 0) absl::StrAppend(&text, " by process ", holder.process);
  if (!holder.mount_point.empty()) absl::StrAppend(&text, ", mounted on ", holder.mount_point);
  return absl::FailedPreconditionError(text);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetadataFolder>> MetadataFolder::Open(const std::string& path,
                                                                     Access access,
                                                                     const LogSink& log) {
  std::unique_ptr<MetadataFolder> folder(new MetadataFolder());
  folder->path_ = path;
  const std::string meta = path + "/meta";
  if (access == Access::kCreate) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      return ErrnoStatus(errno, absl::StrCat("cannot make ", path));
    }
  } else if (::access((meta + "/CURRENT").c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(path, " holds no filesystem"));
  }
  STRATA_RETURN_IF_ERROR(folder->Lock());
  kv::RocksDbOptions options;
  options.directory = meta;
  options.create_if_missing = access == Access::kCreate;
  options.log = log;
  STRATA_ASSIGN_OR_RETURN(folder->store_, kv::OpenRocksDbStore(options));
  return folder;
}

absl::Status MetadataFolder::Lock() {
  const std::string path = LockPath(path_);
  lock_ = FileDescriptor(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_.is_open()) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  for (int waits = 0;; ++waits) {
    const absl::Status locked = LockFile(lock_.get());
    if (locked.ok()) return Say({.process = getpid()});
    if (!absl::IsFailedPrecondition(locked)) return Annotate(locked, path);
    const FolderHolder holder = ReadHolder(lock_.get());
    const bool is_ending = holder.is_closing || IsUnmounted(holder.mount_point);
    if (!is_ending || waits >= kMostWaits) return InUse(path_, holder);
    poll(nullptr, 0, kWaitMs);
  }
}

absl::StatusOr<FolderHolder> MetadataFolder::Holder(const std::string& path) {
  const FileDescriptor lock(open(LockPath(path).c_str(), O_RDONLY | O_CLOEXEC));
  if (!lock.is_open()) return ErrnoStatus(errno, LockPath(path));
  STRATA_ASSIGN_OR_RETURN(const bool is_locked, IsFileLocked(lock.get()));
  if (!is_locked) return absl::NotFoundError(absl::StrCat("nobody uses ", path));
  return ReadHolder(lock.get());
}

absl::Status MetadataFolder::SayMounted(const std::string& mount_point) {
  return Say({.process = getpid(), .mount_point = mount_point});
}

absl::Status MetadataFolder::SayClosing() { return Say({.process = getpid(), .is_closing = true}); }

absl::Status MetadataFolder::Say(const FolderHolder& holder) {
  const std::string text = ShowJson({{"process", holder.process},
                                     {"mount_point", holder.mount_point},
                                     {"closing", holder.is_closing}});
  // What is read in between is no JSON, and then nothing is known.
  if (ftruncate(lock_.get(), 0) != 0 || pwrite(lock_.get(), text.data(), text.size(), 0) < 0) {
    return ErrnoStatus(errno, LockPath(path_));
  }
  return absl::OkStatus();
}

}  // namespace strata::appliance
