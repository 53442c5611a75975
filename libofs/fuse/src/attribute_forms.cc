// SPDX-License-Identifier: Apache-2.0
#include "attribute_forms.h"

#include "fuse_api.h"

namespace strata::ofs {
namespace {

constexpr uint64_t kStatUnitBytes = 512;  // Of st_blocks.
constexpr uint64_t kBlockBytes = 4096;
constexpr int64_t kNanos = 1'000'000'000;

timespec ToTimespec(int64_t ns) {
  int64_t seconds = ns / kNanos;
  if (ns % kNanos < 0) --seconds;
  return {.tv_sec = seconds, .tv_nsec = ns - seconds * kNanos};
}

int64_t ToNanos(const timespec& time) {
  int64_t ns = 0;
  // Beyond the years 1677 to 2262 a time is the nearest one that there is.
  if (__builtin_mul_overflow(int64_t{time.tv_sec}, kNanos, &ns) ||
      __builtin_add_overflow(ns, int64_t{time.tv_nsec}, &ns)) {
    return time.tv_sec < 0 ? INT64_MIN : INT64_MAX;
  }
  return ns;
}

}  // namespace

mode_t TypeBits(FileType type) {
  switch (type) {
    case FileType::kRegular:
      return S_IFREG;
    case FileType::kDirectory:
      return S_IFDIR;
    case FileType::kSymlink:
      return S_IFLNK;
    case FileType::kFifo:
      return S_IFIFO;
    case FileType::kSocket:
      return S_IFSOCK;
    case FileType::kCharacterDevice:
      return S_IFCHR;
    case FileType::kBlockDevice:
      return S_IFBLK;
  }
  return 0;
}

bool ToFileType(mode_t mode, FileType* type) {
  for (const FileType one :
       {FileType::kRegular, FileType::kDirectory, FileType::kSymlink, FileType::kFifo,
        FileType::kSocket, FileType::kCharacterDevice, FileType::kBlockDevice}) {
    if ((mode & S_IFMT) != TypeBits(one)) continue;
    *type = one;
    return true;
  }
  return false;
}

struct stat ToStat(const Attributes& attributes, bool may_have_more) {
  struct stat to {};
  to.st_ino = attributes.inode;
  to.st_mode = TypeBits(attributes.type) | attributes.mode;
  to.st_nlink = attributes.link_count;
  to.st_uid = attributes.uid;
  to.st_gid = attributes.gid;
  to.st_rdev = attributes.device;
  to.st_size = static_cast<off_t>(attributes.size_bytes);
  to.st_blksize = kBlockBytes;
  uint64_t blocks = attributes.stored_bytes / kStatUnitBytes;
  if (attributes.type == FileType::kRegular && blocks == 0) {
    // The content of a small file is in its inode.
    const bool may_be_inline = attributes.size_bytes > 0 && attributes.size_bytes <= kBlockBytes;
    if (may_be_inline || may_have_more) blocks = 1;
  }
  to.st_blocks = static_cast<blkcnt_t>(blocks);
  to.st_atim = ToTimespec(attributes.atime_ns);
  to.st_mtim = ToTimespec(attributes.mtime_ns);
  to.st_ctim = ToTimespec(attributes.ctime_ns);
  return to;
}

AttributeChanges ToChanges(const struct stat& wanted, int valid, int64_t now_ns) {
  AttributeChanges changes;
  if ((valid & FUSE_SET_ATTR_MODE) != 0) changes.mode = wanted.st_mode & 07777;
  if ((valid & FUSE_SET_ATTR_UID) != 0) changes.uid = wanted.st_uid;
  if ((valid & FUSE_SET_ATTR_GID) != 0) changes.gid = wanted.st_gid;
  if ((valid & FUSE_SET_ATTR_SIZE) != 0) changes.size_bytes = static_cast<uint64_t>(wanted.st_size);
  if ((valid & FUSE_SET_ATTR_ATIME) != 0) changes.atime_ns = ToNanos(wanted.st_atim);
  if ((valid & FUSE_SET_ATTR_MTIME) != 0) changes.mtime_ns = ToNanos(wanted.st_mtim);
  if ((valid & FUSE_SET_ATTR_ATIME_NOW) != 0) changes.atime_ns = now_ns;
  if ((valid & FUSE_SET_ATTR_MTIME_NOW) != 0) changes.mtime_ns = now_ns;
  if ((valid & FUSE_SET_ATTR_CTIME) != 0) changes.ctime_ns = ToNanos(wanted.st_ctim);
  return changes;
}

struct statvfs ToStatVfs(const SpaceUse& use) {
  struct statvfs to {};
  to.f_bsize = kBlockBytes;
  to.f_frsize = kBlockBytes;
  to.f_blocks = use.total_bytes / kBlockBytes;
  to.f_bfree = use.free_bytes / kBlockBytes;
  to.f_bavail = to.f_bfree;
  to.f_namemax = kMaxNameBytes;
  return to;
}

}  // namespace strata::ofs
