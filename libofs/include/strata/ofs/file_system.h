// SPDX-License-Identifier: Apache-2.0
//
// A filesystem over many disks: calls in the shape of POSIX, on inodes. The FUSE mount is one
// client of it.
//
//   STRATA_RETURN_IF_ERROR(Format({.store = store, .disks = {{.uri = "file:/disk1?size=4G"}, ...}}));
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<FileSystem> fs, FileSystem::Open({.store = store}));
//   STRATA_ASSIGN_OR_RETURN(Attributes file, fs->Make(kRootInode, "notes", {.mode = 0644}));
//   STRATA_RETURN_IF_ERROR(fs->Write(file.inode, 0, bytes));
//   STRATA_RETURN_IF_ERROR(fs->Sync(file.inode));  // fsync(): all of it survives a power cut.
//   STRATA_RETURN_IF_ERROR(fs->Close());
//
// Errors carry the number that POSIX gives the call (posix_error.h: ErrnoOf()). Who may do what is
// the caller's to check, as Linux does for a mount with default_permissions; what follows from
// rights is done here: a set-group-ID directory hands down its group, default ACLs are inherited,
// chown clears set-user-ID.
//
// Written data is in memory until Sync(), SyncAll(), Upkeep() after `flush_interval_ms`, or until
// there is much of it. Changes of names and attributes are visible at once, and durable with the
// next of these; a power cut takes back the newest ones, never an older one without them.
//
// Thread safety: any thread, many at once, but Close(). The calls block. The library starts no
// threads: the application calls Upkeep() every second or so.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/clock.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/block/registry.h"
#include "strata/kv/store.h"
#include "strata/ofs/maintenance.h"
#include "strata/ofs/nodes.h"
#include "strata/ofs/types.h"

namespace strata::ofs {

struct FormatOptions {
  kv::Store* store = nullptr;
  const block::Registry* registry = nullptr;  // Null: the schemes of libblock alone.
  std::vector<FormatDisk> disks{};
  Protection protection = {Protection::Kind::kReedSolomon, 4, 2};  // Of what names none.
  uint32_t segment_bytes = 0;  // A power of two, 1 MiB to 1 GiB; 0: chosen by the smallest disk.
  uint32_t domain_depth = 0;   // Components of a domain that make a failure domain; 0: all.
  bool force = false;          // Overwrites what a device carries.
  uint32_t root_mode = 0755;
  uint32_t root_uid = 0;
  uint32_t root_gid = 0;
};

// Makes a filesystem. AlreadyExists: the store holds one. InvalidArgument and FailedPrecondition
// name the disk and what speaks against it; nothing is written then. ResourceExhausted: the
// protection needs more failure domains.
STRATA_EXPORT absl::Status Format(const FormatOptions& options);

struct FileSystemOptions {
  kv::Store* store = nullptr;                 // Lives longer than the filesystem.
  const block::Registry* registry = nullptr;  // Null: the schemes of libblock alone.
  const Clock* clock = nullptr;               // Null: the machine's.
  LogSink log{};
  std::string host{};  // Names the session, for people.
  // Written data that is in memory; who writes more waits. 1 MiB to 64 GiB.
  uint64_t max_dirty_bytes = 256u << 20;
  // How old it gets there, when nobody asks for it to be durable. 0 to 1 hour.
  int64_t flush_interval_ms = 5000;
  // How long a disk may be absent, or take no writes, before healing takes it for failed. 0 to 1
  // year.
  int64_t fail_after_ms = 15 * 60'000;
};

// What statvfs() shows. Bytes are those of file contents: protection is taken off already.
struct SpaceUse {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;
};

enum class SeekWhence : uint8_t { kData, kHole };

class STRATA_EXPORT FileSystem {
 public:
  // A store has one filesystem open at a time: a session that did not end is taken for one that
  // crashed, and its calls fail from then on. NotFound: no filesystem was made in this store.
  // FailedPrecondition: a device in place of a disk holds something else, named. Unavailable: more
  // disks are absent than may be, with their list.
  static absl::StatusOr<std::unique_ptr<FileSystem>> Open(const FileSystemOptions& options);

  // Without Close() it is left as by a crash: what was not durable is lost.
  virtual ~FileSystem() = default;
  // Makes everything durable and ends the session. The last call.
  virtual absl::Status Close() = 0;

  // ---- Names

  // "." and ".." too. ENOENT, ENOTDIR, ENAMETOOLONG.
  virtual absl::StatusOr<Attributes> Lookup(uint64_t parent, std::string_view name) = 0;
  // EEXIST, ENOTDIR, ENOENT (the directory was removed), EMLINK, ENAMETOOLONG, EINVAL.
  virtual absl::StatusOr<Attributes> Make(uint64_t parent, std::string_view name,
                                          const NewNode& node) = 0;
  // A file without a name (O_TMPFILE). It is open (see Hold()) once.
  virtual absl::StatusOr<Attributes> MakeUnnamed(uint64_t parent, const NewNode& node) = 0;
  // EPERM: a directory; ENOENT: it has no link left, unless `may_be_unnamed`; EMLINK.
  virtual absl::StatusOr<Attributes> Link(uint64_t inode, uint64_t parent, std::string_view name,
                                          bool may_be_unnamed) = 0;
  // EISDIR: a directory. ENOENT.
  virtual absl::Status Unlink(uint64_t parent, std::string_view name) = 0;
  // ENOTEMPTY, ENOTDIR, EINVAL (".").
  virtual absl::Status RemoveDirectory(uint64_t parent, std::string_view name) = 0;
  // EINVAL: a directory into itself; ENOTEMPTY, EISDIR, ENOTDIR, EEXIST, EBUSY ("." and ".."). Data
  // of a file that takes another's name is durable before the name is.
  virtual absl::Status Rename(uint64_t parent, std::string_view name, uint64_t new_parent,
                              std::string_view new_name, RenameMode mode) = 0;
  // EINVAL: no symlink.
  virtual absl::StatusOr<std::string> ReadLink(uint64_t inode) = 0;
  // Up to about `max_entries` names after the cookie (0: from the beginning). Names of one hash are
  // never split, so a page may hold a few more. ENOTDIR.
  virtual absl::StatusOr<DirectoryPage> ReadDirectory(uint64_t directory, uint64_t cookie,
                                                      size_t max_entries) = 0;

  // ---- Attributes

  // ENOENT: no such inode.
  virtual absl::StatusOr<Attributes> GetAttributes(uint64_t inode) = 0;
  // Of the size: EISDIR, EINVAL (not a regular file), EFBIG.
  virtual absl::StatusOr<Attributes> SetAttributes(uint64_t inode,
                                                   const AttributeChanges& changes) = 0;
  // Extended attributes. ENODATA, EEXIST, ERANGE (the name), E2BIG (the value), ENOSPC (all of
  // them). Those of ACLs are checked, and change the mode; EINVAL.
  virtual absl::StatusOr<std::string> GetExtendedAttribute(uint64_t inode,
                                                           std::string_view name) = 0;
  virtual absl::Status SetExtendedAttribute(uint64_t inode, std::string_view name,
                                            std::string_view value, AttributeMode mode) = 0;
  virtual absl::Status RemoveExtendedAttribute(uint64_t inode, std::string_view name) = 0;
  virtual absl::StatusOr<std::vector<std::string>> ListExtendedAttributes(uint64_t inode) = 0;
  // How the data of a file is protected, or of the files that will be made in a directory. EINVAL:
  // a file with data; a protection that has no place on these disks.
  virtual absl::Status SetProtection(uint64_t inode, const Protection& protection) = 0;

  // ---- Data of regular files

  // An inode of any type that is held lives on without a name, until Release() was called as often.
  // ENOENT.
  virtual absl::Status Hold(uint64_t inode) = 0;
  virtual void Release(uint64_t inode) = 0;

  // Returns how many bytes were read: less than asked for at the end of the file alone. Holes are
  // zeroes. EISDIR, EINVAL; EIO: more disks are lost than may be, for exactly this range.
  virtual absl::StatusOr<size_t> Read(uint64_t inode, uint64_t offset,
                                      std::span<std::byte> out) = 0;
  // All or nothing. With `keeps_times` the caller sets the times, as the kernel does for what it
  // writes back. EFBIG, ENOSPC.
  virtual absl::Status Write(uint64_t inode, uint64_t offset, std::span<const std::byte> data,
                             bool keeps_times = false) = 0;
  // fallocate(): makes room from `offset` on; with `keep_size` the file does not grow.
  virtual absl::Status Allocate(uint64_t inode, uint64_t offset, uint64_t length,
                                bool keep_size) = 0;
  // FALLOC_FL_PUNCH_HOLE: the range reads as zeroes, and its space is free.
  virtual absl::Status PunchHole(uint64_t inode, uint64_t offset, uint64_t length) = 0;
  // lseek(): where data, or a hole, begins from `offset` on. ENXIO: at or after the end; no data.
  virtual absl::StatusOr<uint64_t> Seek(uint64_t inode, uint64_t offset, SeekWhence whence) = 0;

  // fsync(): data and attributes of a file, the names of a directory. Of the root: everything.
  // EIO: some of what was written since the last call could not be kept; said once.
  virtual absl::Status Sync(uint64_t inode) = 0;
  virtual absl::Status SyncAll() = 0;

  // ---- The whole

  virtual absl::StatusOr<SpaceUse> GetSpaceUse() = 0;
  // The disks, and what brings redundancy back. It lives as long as the filesystem is open.
  virtual Maintenance& maintenance() = 0;
  // Flushes what is old enough, frees what was deleted, seals groups. Errors are those of
  // background work; the next call tries again.
  virtual absl::Status Upkeep() = 0;
};

}  // namespace strata::ofs
