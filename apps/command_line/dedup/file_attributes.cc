// SPDX-License-Identifier: Apache-2.0
#include "command_line/dedup/file_attributes.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace strata::appliance {
namespace {

using dedup::CatalogueEntry;
using dedup::EntryKind;

constexpr size_t kMaxXattrBytes = 256u << 10;  // Of one file, all together.
constexpr mode_t kPermissions = 07777;
constexpr mode_t kSetIds = S_ISUID | S_ISGID;

dedup::Timestamp TimeOf(const timespec& time) {
  return {time.tv_sec, static_cast<uint32_t>(time.tv_nsec)};
}

timespec TimeOf(const std::optional<dedup::Timestamp>& time) {
  if (!time) return {.tv_sec = 0, .tv_nsec = UTIME_OMIT};
  return {.tv_sec = time->seconds, .tv_nsec = static_cast<long>(time->nanoseconds)};
}

// Labels of security modules and trusted.* belong to the system that the file was on.
bool Keeps(std::string_view xattr) {
  return xattr.starts_with("user.") || xattr.starts_with("system.posix_acl_") ||
         xattr == "security.capability";
}

std::string Words(std::string_view what, int error) {
  return absl::StrCat(absl::string_view(what.data(), what.size()), " (", std::strerror(error), ")");
}

// Whether the owner is right afterwards.
bool GiveOwner(int fd, const char* name, int flags, const CatalogueEntry& entry,
               std::vector<std::string>* not_kept) {
  struct stat info {};
  if (!entry.owner || fstatat(fd, name, &info, flags) != 0) return false;
  if (info.st_uid == entry.owner->user && info.st_gid == entry.owner->group) return true;
  if (fchownat(fd, name, entry.owner->user, entry.owner->group, flags) == 0) return true;
  const int error = errno;
  // One of one's own groups may still be given.
  (void)!fchownat(fd, name, static_cast<uid_t>(-1), entry.owner->group, flags);
  not_kept->push_back(
      Words(absl::StrCat("owner ", entry.owner->user, ":", entry.owner->group), error));
  return false;
}

// Nobody gets a program that runs as another user than it did.
mode_t ModeOf(const CatalogueEntry& entry, bool owned, std::vector<std::string>* not_kept) {
  mode_t mode = *entry.mode;
  if (!owned && (mode & kSetIds) != 0 && entry.kind != EntryKind::kFolder) {
    mode &= ~kSetIds;
    not_kept->push_back("set-user-id and set-group-id, without the owner");
  }
  return mode;
}

}  // namespace

bool TakeAttributes(const struct stat& info, CatalogueEntry* entry) {
  switch (info.st_mode & S_IFMT) {
    case S_IFREG:
      entry->kind = EntryKind::kFile;
      break;
    case S_IFDIR:
      entry->kind = EntryKind::kFolder;
      break;
    case S_IFLNK:
      entry->kind = EntryKind::kSymlink;
      break;
    case S_IFIFO:
      entry->kind = EntryKind::kFifo;
      break;
    case S_IFCHR:
    case S_IFBLK:
      entry->kind = S_ISCHR(info.st_mode) ? EntryKind::kCharacterDevice : EntryKind::kBlockDevice;
      entry->device = {major(info.st_rdev), minor(info.st_rdev)};
      break;
    default:
      return false;
  }
  if (entry->kind != EntryKind::kSymlink) entry->mode = info.st_mode & kPermissions;
  entry->owner = dedup::Owner{info.st_uid, info.st_gid};
  entry->modified = TimeOf(info.st_mtim);
  entry->accessed = TimeOf(info.st_atim);
  return true;
}

void TakeXattrs(int fd, CatalogueEntry* entry, std::vector<std::string>* not_kept) {
  const ssize_t size = flistxattr(fd, nullptr, 0);
  if (size < 0 && errno != ENOTSUP) not_kept->push_back(Words("extended attributes", errno));
  if (size <= 0) return;
  std::string names(static_cast<size_t>(size), '\0');
  const ssize_t listed = flistxattr(fd, names.data(), names.size());
  if (listed < 0) {
    not_kept->push_back(Words("extended attributes", errno));
    return;
  }
  names.resize(static_cast<size_t>(listed));
  size_t total_bytes = 0;
  for (size_t at = 0; at < names.size();) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    if (name.empty() || !Keeps(name)) continue;
    std::string value(64u << 10, '\0');  // The most that Linux takes.
    const ssize_t bytes = fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (bytes < 0) {
      if (errno != ENODATA) not_kept->push_back(Words(name, errno));
      continue;
    }
    total_bytes += name.size() + static_cast<size_t>(bytes);
    if (total_bytes > kMaxXattrBytes) {
      not_kept->push_back(absl::StrCat(name, " (more than 256 KiB of extended attributes)"));
      continue;
    }
    value.resize(static_cast<size_t>(bytes));
    entry->xattrs[name] = std::move(value);
  }
}

void GiveAttributes(int fd, const CatalogueEntry& entry, std::vector<std::string>* not_kept) {
  const bool owned = GiveOwner(fd, "", AT_EMPTY_PATH, entry, not_kept);
  if (entry.mode && fchmod(fd, ModeOf(entry, owned, not_kept)) != 0) {
    not_kept->push_back(Words("mode", errno));
  }
  for (const auto& [name, value] : entry.xattrs) {  // An ACL after the mode, which it refines.
    if (fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0) {
      not_kept->push_back(Words(name, errno));
    }
  }
  const timespec times[] = {TimeOf(entry.accessed), TimeOf(entry.modified)};
  if (futimens(fd, times) != 0) not_kept->push_back(Words("times", errno));
}

void GiveAttributesAt(int folder_fd, const char* name, const CatalogueEntry& entry,
                      std::vector<std::string>* not_kept) {
  const bool owned = GiveOwner(folder_fd, name, AT_SYMLINK_NOFOLLOW, entry, not_kept);
  if (entry.mode) {
    // By a descriptor of the very file: chmod by name would follow a link put in its place.
    const int fd = openat(folder_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat info {};
    const bool ours = fd >= 0 && fstat(fd, &info) == 0 && !S_ISLNK(info.st_mode);
    const mode_t mode = ModeOf(entry, owned, not_kept);
    if (!ours || chmod(absl::StrCat("/proc/self/fd/", fd).c_str(), mode) != 0) {
      not_kept->push_back(Words("mode", errno));
    }
    if (fd >= 0) close(fd);
  }
  const timespec times[] = {TimeOf(entry.accessed), TimeOf(entry.modified)};
  if (utimensat(folder_fd, name, times, AT_SYMLINK_NOFOLLOW) != 0) {
    not_kept->push_back(Words("times", errno));
  }
}

}  // namespace strata::appliance
