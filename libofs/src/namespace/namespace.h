// SPDX-License-Identifier: Apache-2.0
//
// The tree of names and the attributes of what it holds: each call that changes something is one
// bounded transaction, whatever the size of a directory or the depth of the tree. Data are another
// room's.
//
//   Namespace tree({metadata, session, format.name_key, &clock});
//   STRATA_ASSIGN_OR_RETURN(Found made, tree.Make(kRootInode, "notes", {.mode = 0644}));
//
// Errors are PosixError(), named after the call in POSIX or Linux. Who may do what is the caller's
// to check, as Linux does for a mount with default_permissions; what follows from rights is done
// here: a set-group-ID directory hands down its group, default ACLs are inherited, chown clears
// set-user-ID.
//
// What a directory's entries change of the directory is one blind row ("touch"), so that two
// sessions that make files in it do not conflict. A file whose last link goes is an orphan until
// Reclaim().
//
// Thread safety: any thread. No lock is held across a call of the store.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "disks/disk_rows.h"
#include "format/records.h"
#include "strata/base/clock.h"
#include "strata/base/mutex.h"
#include "strata/kv/store.h"
#include "strata/ofs/nodes.h"

namespace strata::ofs {

// An inode with its attributes as stat() shows them: a directory's link count and times include
// what its entries say.
struct Found {
  uint64_t inode = 0;
  InodeRecord attributes;
};

struct NamespaceOptions {
  Metadata metadata;
  uint32_t session = 0;
  NameKey name_key{};
  const Clock* clock = nullptr;
};

class Namespace final {
 public:
  explicit Namespace(const NamespaceOptions& options) : options_(options) {}

  // Makes the root of a new filesystem. AlreadyExists.
  static absl::Status MakeRoot(const Metadata& metadata, uint32_t mode, uint32_t uid, uint32_t gid,
                               int64_t now_ns);

  // "." and ".." too. ENOENT, ENOTDIR, ENAMETOOLONG.
  absl::StatusOr<Found> Lookup(uint64_t parent, std::string_view name);
  // ENOENT: no such inode; a removed one has a link count of 0 until it is reclaimed.
  absl::StatusOr<Found> GetAttributes(uint64_t inode);
  // The size is not for it to change.
  absl::StatusOr<Found> SetAttributes(uint64_t inode, const AttributeChanges& changes);
  absl::Status SetLayout(uint64_t inode, const LayoutRecord& layout);

  // EEXIST, ENOTDIR, ENOENT (the directory was removed), EMLINK, ENAMETOOLONG, EINVAL.
  absl::StatusOr<Found> Make(uint64_t parent, std::string_view name, const NewNode& node);
  // A file without a name (O_TMPFILE): an orphan from the beginning.
  absl::StatusOr<Found> MakeUnnamed(uint64_t parent, const NewNode& node);
  // EPERM: a directory; ENOENT: it has no link left, unless `may_be_unnamed`.
  absl::StatusOr<Found> Link(uint64_t inode, uint64_t parent, std::string_view name,
                             bool may_be_unnamed = false);
  // Returns what the name was of. EISDIR: a directory.
  absl::StatusOr<Found> Unlink(uint64_t parent, std::string_view name);
  // ENOTEMPTY, ENOTDIR, EINVAL (".").
  absl::StatusOr<Found> RemoveDirectory(uint64_t parent, std::string_view name);
  // Returns what was replaced, if anything. EINVAL: a directory into itself; ENOTEMPTY, EISDIR,
  // ENOTDIR, EEXIST, EBUSY ("." and "..").
  absl::StatusOr<std::optional<Found>> Rename(uint64_t parent, std::string_view name,
                                              uint64_t new_parent, std::string_view new_name,
                                              RenameMode mode = RenameMode::kReplace);

  // Up to about `max_entries` names after the cookie (0: from the beginning). Names of one hash are
  // never split, so a page may hold a few more. ENOTDIR.
  absl::StatusOr<DirectoryPage> ReadDirectory(uint64_t directory, uint64_t cookie,
                                              size_t max_entries);

  // Extended attributes. ENODATA, EEXIST, ERANGE (the name), E2BIG (the value), ENOSPC (all of
  // them). Those of ACLs are checked, and change the mode; EINVAL.
  absl::StatusOr<std::string> GetAttribute(uint64_t inode, std::string_view name);
  absl::Status SetAttribute(uint64_t inode, std::string_view name, std::string_view value,
                            AttributeMode mode);
  absl::Status RemoveAttribute(uint64_t inode, std::string_view name);
  absl::StatusOr<std::vector<std::string>> ListAttributes(uint64_t inode);

  // Inodes without a link, ascending, from `first` on, up to `max_inodes`.
  absl::StatusOr<std::vector<uint64_t>> ListOrphans(uint64_t first, size_t max_inodes);
  // Removes an orphan's rows, in several transactions where it has many. REQUIRES: nobody will give
  // it a link again. FailedPrecondition: it has a link, or extents. ENOENT.
  absl::Status Reclaim(uint64_t inode);

 private:
  class Rows;  // The rows as one transaction reads and writes them.
  struct Position;

  // One transaction of this session; `body` may run several times.
  absl::Status Change(std::string_view what, const std::function<absl::Status(Rows&)>& body);
  absl::StatusOr<uint64_t> NewInode();
  Position PositionOf(uint64_t parent, std::string_view name) const;

  absl::StatusOr<Found> MakeNode(Rows& rows, uint64_t inode, uint64_t parent,
                                 const InodeRecord& directory, const NewNode& node);
  absl::Status CheckRoomForAttribute(Rows& rows, uint64_t inode, std::string_view name,
                                     std::string_view value);
  absl::Status CheckNotBelow(Rows& rows, uint64_t directory, uint64_t ancestor);

  const NamespaceOptions options_;
  Mutex mutex_;
  uint64_t next_inode_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t end_inode_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace strata::ofs
