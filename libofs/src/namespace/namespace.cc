// SPDX-License-Identifier: Apache-2.0
#include "namespace/namespace.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "disks/session_rows.h"
#include "format/key_layout.h"
#include "namespace/acl.h"
#include "namespace/namespace_rows.h"
#include "strata/base/endian.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/posix_error.h"

namespace strata::ofs {
namespace {

constexpr std::string_view kInodeCounter = "inode";
constexpr std::string_view kRenameCounter = "rename";  // The guard of moves of directories.
constexpr uint64_t kInodesAtOnce = 65'536;
constexpr uint32_t kModeBits = 07777;
constexpr uint32_t kSetUserId = 04000;
constexpr uint32_t kSetGroupId = 02000;
constexpr uint32_t kGroupExecute = 010;
constexpr uint32_t kMaxSubdirectories = kMaxLinks - 2;
constexpr size_t kMaxWalk = 1u << 20;  // Directories between one and the root.
constexpr uint64_t kMaxCookie = std::numeric_limits<int64_t>::max();
constexpr size_t kMaxEntriesOfPage = 10'000;

// `error_of_dots`: what the call says of "." and "..".
absl::Status CheckName(std::string_view name, int error_of_dots) {
  if (name.empty()) return PosixError(ENOENT, "an empty name");
  if (name.size() > kMaxNameBytes) {
    return PosixError(ENAMETOOLONG, absl::StrCat("a name of ", name.size(), " bytes"));
  }
  if (name == "." || name == "..") return PosixError(error_of_dots, name);
  if (name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos) {
    return PosixError(EINVAL, "a name with '/' or a zero byte");
  }
  return absl::OkStatus();
}

absl::Status CheckNode(const NewNode& node) {
  if (node.type < FileType::kRegular || node.type > FileType::kBlockDevice) {
    return PosixError(EINVAL, absl::StrCat("file type ", static_cast<int>(node.type)));
  }
  if (node.type != FileType::kSymlink) return absl::OkStatus();
  if (node.symlink_target.empty()) return PosixError(ENOENT, "an empty target of a symlink");
  if (node.symlink_target.size() > kMaxSymlinkBytes) {
    return PosixError(ENAMETOOLONG,
                      absl::StrCat("a target of ", node.symlink_target.size(), " bytes"));
  }
  return absl::OkStatus();
}

bool IsDirectory(const InodeRecord& record) { return record.type == FileType::kDirectory; }

absl::Status LoseSubdirectory(uint64_t inode, InodeRecord* directory) {
  if (directory->subdirectory_count == 0) {
    return absl::DataLossError(absl::StrCat(InodeText(inode), " counts too few directories"));
  }
  --directory->subdirectory_count;
  return absl::OkStatus();
}

}  // namespace

Namespace::Position Namespace::PositionOf(uint64_t parent, std::string_view name) const {
  return {parent, name, NameHash(options_.name_key, name)};
}

absl::Status Namespace::Change(std::string_view what,
                               const std::function<absl::Status(Rows&)>& body) {
  const Metadata& metadata = options_.metadata;
  const absl::Status status =
      ChangeFiles(metadata, options_.session, kv::Durability::kAsync,
                  [&](kv::Transaction& txn, uint64_t epoch) {
                    Rows rows(txn, metadata.meta, options_.clock->WallNanos(), epoch);
                    return body(rows);
                  });
  return Annotate(status, what);
}

absl::StatusOr<uint64_t> Namespace::NewInode() {
  {
    MutexLock lock(&mutex_);
    if (next_inode_ < end_inode_) return next_inode_++;
  }
  // Two threads may both take a range; one of them is then not used up.
  STRATA_ASSIGN_OR_RETURN(const uint64_t first,
                          TakeNumbers(options_.metadata, kInodeCounter, kInodesAtOnce,
                                      std::numeric_limits<int64_t>::max()));
  MutexLock lock(&mutex_);
  next_inode_ = first + 1;
  end_inode_ = first + kInodesAtOnce;
  return first;
}

absl::Status Namespace::MakeRoot(const Metadata& metadata, uint32_t mode, uint32_t uid,
                                 uint32_t gid, int64_t now_ns) {
  const InodeRecord root{.type = FileType::kDirectory,
                         .mode = mode & kModeBits,
                         .uid = uid,
                         .gid = gid,
                         .link_count = 1,
                         .atime_ns = now_ns,
                         .mtime_ns = now_ns,
                         .ctime_ns = now_ns,
                         .birth_ns = now_ns,
                         .parent = kRootInode};
  const std::string counter = CounterKey(kInodeCounter);
  const auto make = [&](kv::Transaction& txn) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const auto rows,
                            txn.MultiGet(metadata.meta, {counter, InodeKey(kRootInode)}));
    if (rows[0].has_value() || rows[1].has_value()) {
      return absl::AlreadyExistsError("the filesystem has a root");
    }
    STRATA_RETURN_IF_ERROR(
        txn.Put(metadata.meta, counter, Encode(CounterRecord{.next = kRootInode + 1})));
    return txn.Put(metadata.meta, InodeKey(kRootInode), Encode(root));
  };
  return kv::RunTransaction(*metadata.store, kv::Durability::kSync, make);
}

// Reading.

absl::StatusOr<Found> Namespace::Lookup(uint64_t parent, std::string_view name) {
  const kv::SpaceId meta = options_.metadata.meta;
  const auto snapshot = options_.metadata.store->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const InodeRecord directory, ReadInode(*snapshot, meta, parent));
  if (!IsDirectory(directory)) return PosixError(ENOTDIR, InodeText(parent));
  if (name == ".") return ReadFound(*snapshot, meta, parent);
  if (name == "..") return ReadFound(*snapshot, meta, directory.parent);
  STRATA_RETURN_IF_ERROR(CheckName(name, EINVAL));
  const Position at = PositionOf(parent, name);
  STRATA_ASSIGN_OR_RETURN(const std::optional<EntryRecord> entry,
                          ReadEntry(*snapshot, meta, EntryKey(at.parent, at.hash, at.name)));
  if (!entry.has_value()) return PosixError(ENOENT, name);
  absl::StatusOr<Found> found = ReadFound(*snapshot, meta, entry->inode);
  if (!found.ok()) return DamageOfEntry(found.status(), name);
  return found;
}

absl::StatusOr<Found> Namespace::GetAttributes(uint64_t inode) {
  const auto snapshot = options_.metadata.store->NewSnapshot();
  return ReadFound(*snapshot, options_.metadata.meta, inode);
}

absl::StatusOr<DirectoryPage> Namespace::ReadDirectory(uint64_t directory, uint64_t cookie,
                                                       size_t max_entries) {
  const kv::SpaceId meta = options_.metadata.meta;
  const auto snapshot = options_.metadata.store->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const InodeRecord record, ReadInode(*snapshot, meta, directory));
  if (!IsDirectory(record)) return PosixError(ENOTDIR, InodeText(directory));
  DirectoryPage page;
  // A directory that was removed shows nothing, and nothing follows the last cookie that there is.
  if (record.link_count == 0 || cookie >= kMaxCookie) {
    page.is_last = true;
    return page;
  }
  max_entries = std::clamp<size_t>(max_entries, 1, kMaxEntriesOfPage);
  if (cookie < 1) page.entries.push_back({".", directory, FileType::kDirectory, 1});
  if (cookie < 2) page.entries.push_back({"..", record.parent, FileType::kDirectory, 2});
  kv::Range range = DirectoryRange(directory);
  if (cookie > 2) range.begin = EntryKey(directory, cookie + 1, "");
  while (true) {
    STRATA_ASSIGN_OR_RETURN(const kv::Page rows,
                            snapshot->List(meta, range, {.max_items = max_entries + 1}));
    for (const kv::KeyValue& row : rows.items) {
      if (row.key.size() <= 17) {
        return absl::DataLossError(absl::StrCat(InodeText(directory), ": an entry without a name"));
      }
      const uint64_t hash = LoadBe64(reinterpret_cast<const std::byte*>(row.key.data()) + 9);
      if (page.entries.size() >= max_entries && page.entries.back().cookie != hash) {
        return page;
      }
      STRATA_ASSIGN_OR_RETURN(const EntryRecord entry, DecodeEntry(row.value));
      page.entries.push_back({row.key.substr(17), entry.inode, entry.type, hash});
    }
    if (!rows.more) break;
    range.begin = rows.items.back().key + '\0';
  }
  page.is_last = true;
  return page;
}

// Making.

absl::StatusOr<Found> Namespace::MakeNode(Rows& rows, uint64_t inode, uint64_t parent,
                                          const InodeRecord& directory, const NewNode& node) {
  const bool hands_down_group = (directory.mode & kSetGroupId) != 0;
  InodeRecord record{.type = node.type,
                     .mode = node.mode & kModeBits,
                     .uid = node.uid,
                     .gid = hands_down_group ? directory.gid : node.gid,
                     .link_count = 1,
                     .atime_ns = rows.now_ns(),
                     .mtime_ns = rows.now_ns(),
                     .ctime_ns = rows.now_ns(),
                     .birth_ns = rows.now_ns(),
                     .parent = parent,
                     .quota = directory.quota,
                     .layout = directory.layout,
                     .born_epoch = rows.epoch()};
  if (node.type == FileType::kSymlink) {
    record.mode = 0777;
    record.symlink_target = node.symlink_target;
    record.size_bytes = node.symlink_target.size();
    return Found{inode, std::move(record)};
  }
  if (node.type == FileType::kCharacterDevice || node.type == FileType::kBlockDevice) {
    record.device = node.device;
  }
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> inherited,
                          rows.Attribute(parent, kDefaultAclName));
  if (inherited.has_value()) {
    STRATA_ASSIGN_OR_RETURN(const Acl acl, DecodeAcl(*inherited));
    const Acl access = acl.Inherit(record.mode);
    record.mode = access.ApplyTo(record.mode);
    if (!access.IsMinimal()) {
      STRATA_RETURN_IF_ERROR(rows.PutAttribute(inode, kAccessAclName, EncodeAcl(access)));
    }
    if (IsDirectory(record)) {
      STRATA_RETURN_IF_ERROR(rows.PutAttribute(inode, kDefaultAclName, *inherited));
    }
  } else {
    record.mode &= ~(node.umask & 0777);
  }
  if (IsDirectory(record) && hands_down_group) record.mode |= kSetGroupId;
  return Found{inode, std::move(record)};
}

absl::StatusOr<Found> Namespace::Make(uint64_t parent, std::string_view name, const NewNode& node) {
  STRATA_RETURN_IF_ERROR(CheckName(name, EEXIST));
  STRATA_RETURN_IF_ERROR(CheckNode(node));
  STRATA_ASSIGN_OR_RETURN(const uint64_t inode, NewInode());
  const Position at = PositionOf(parent, name);
  Found made;
  STRATA_RETURN_IF_ERROR(Change("create", [&](Rows& rows) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(InodeRecord directory, rows.Directory(parent));
    STRATA_ASSIGN_OR_RETURN(const std::optional<EntryRecord> there, rows.Entry(at));
    if (there.has_value()) return PosixError(EEXIST, name);
    STRATA_ASSIGN_OR_RETURN(made, MakeNode(rows, inode, parent, directory, node));
    made.attributes.name_hash = at.hash;
    STRATA_RETURN_IF_ERROR(rows.PutEntry(at, {inode, node.type}));
    if (node.type == FileType::kDirectory) {
      ++directory.subdirectory_count;
      if (directory.subdirectory_count > kMaxSubdirectories) return PosixError(EMLINK, name);
      STRATA_RETURN_IF_ERROR(rows.PutInode(parent, &directory));
    }
    STRATA_RETURN_IF_ERROR(rows.Touch(parent));
    return rows.PutInode(inode, &made.attributes);
  }));
  made.attributes = WithLinks(std::move(made.attributes));
  return made;
}

absl::StatusOr<Found> Namespace::MakeUnnamed(uint64_t parent, const NewNode& node) {
  STRATA_ASSIGN_OR_RETURN(const uint64_t inode, NewInode());
  Found made;
  STRATA_RETURN_IF_ERROR(Change("tmpfile", [&](Rows& rows) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const InodeRecord directory, rows.Directory(parent));
    if (node.type != FileType::kRegular) return PosixError(EINVAL, "only a file has no name");
    STRATA_ASSIGN_OR_RETURN(made, MakeNode(rows, inode, parent, directory, node));
    made.attributes.link_count = 0;
    made.attributes.parent = 0;
    STRATA_RETURN_IF_ERROR(
        rows.Put(OrphanKey(inode), Encode(OrphanRecord{static_cast<uint64_t>(rows.now_ns())})));
    return rows.PutInode(inode, &made.attributes);
  }));
  return made;
}

absl::StatusOr<Found> Namespace::Link(uint64_t inode, uint64_t parent, std::string_view name,
                                      bool may_be_unnamed) {
  STRATA_RETURN_IF_ERROR(CheckName(name, EEXIST));
  const Position at = PositionOf(parent, name);
  Found linked{inode, {}};
  STRATA_RETURN_IF_ERROR(Change("link", [&](Rows& rows) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(linked.attributes, rows.Inode(inode));
    InodeRecord& record = linked.attributes;
    STRATA_RETURN_IF_ERROR(rows.Directory(parent).status());
    STRATA_ASSIGN_OR_RETURN(const std::optional<EntryRecord> there, rows.Entry(at));
    if (there.has_value()) return PosixError(EEXIST, name);
    if (IsDirectory(record)) return PosixError(EPERM, "a further link to a directory");
    if (record.link_count == 0 && !may_be_unnamed) return PosixError(ENOENT, name);
    if (record.link_count >= kMaxLinks) return PosixError(EMLINK, name);
    if (record.link_count == 0) {
      record.parent = parent;
      record.name_hash = at.hash;
      STRATA_RETURN_IF_ERROR(rows.Delete(OrphanKey(inode)));
    } else {
      STRATA_RETURN_IF_ERROR(
          rows.Put(LinkKey(inode, at.parent, at.hash, at.name), Encode(LinkRecord{})));
    }
    ++record.link_count;
    record.ctime_ns = rows.now_ns();
    STRATA_RETURN_IF_ERROR(rows.PutEntry(at, {inode, record.type}));
    STRATA_RETURN_IF_ERROR(rows.Touch(parent));
    return rows.PutInode(inode, &record);
  }));
  return linked;
}

// Removing.

absl::StatusOr<Found> Namespace::Unlink(uint64_t parent, std::string_view name) {
  STRATA_RETURN_IF_ERROR(CheckName(name, EISDIR));
  const Position at = PositionOf(parent, name);
  Found gone;
  STRATA_RETURN_IF_ERROR(Change("unlink", [&](Rows& rows) -> absl::Status {
    STRATA_RETURN_IF_ERROR(rows.Directory(parent).status());
    STRATA_ASSIGN_OR_RETURN(const std::optional<EntryRecord> entry, rows.Entry(at));
    if (!entry.has_value()) return PosixError(ENOENT, name);
    if (entry->type == FileType::kDirectory) return PosixError(EISDIR, name);
    gone.inode = entry->inode;
    STRATA_ASSIGN_OR_RETURN(gone.attributes, rows.Named(at, *entry));
    STRATA_RETURN_IF_ERROR(rows.DropLink(gone.inode, &gone.attributes, at));
    STRATA_RETURN_IF_ERROR(rows.DeleteEntry(at));
    STRATA_RETURN_IF_ERROR(rows.Touch(parent));
    return rows.PutInode(gone.inode, &gone.attributes);
  }));
  return gone;
}

absl::StatusOr<Found> Namespace::RemoveDirectory(uint64_t parent, std::string_view name) {
  STRATA_RETURN_IF_ERROR(CheckName(name, name == ".." ? ENOTEMPTY : EINVAL));
  const Position at = PositionOf(parent, name);
  Found gone;
  STRATA_RETURN_IF_ERROR(Change("rmdir", [&](Rows& rows) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(InodeRecord directory, rows.Directory(parent));
    STRATA_ASSIGN_OR_RETURN(const std::optional<EntryRecord> entry, rows.Entry(at));
    if (!entry.has_value()) return PosixError(ENOENT, name);
    if (entry->type != FileType::kDirectory) return PosixError(ENOTDIR, name);
    gone.inode = entry->inode;
    STRATA_ASSIGN_OR_RETURN(gone.attributes, rows.Named(at, *entry));
    STRATA_ASSIGN_OR_RETURN(const bool is_empty, rows.IsEmpty(gone.inode));
    if (!is_empty) return PosixError(ENOTEMPTY, name);
    STRATA_RETURN_IF_ERROR(rows.DropLink(gone.inode, &gone.attributes, at));
    STRATA_RETURN_IF_ERROR(rows.DeleteEntry(at));
    STRATA_RETURN_IF_ERROR(LoseSubdirectory(parent, &directory));
    STRATA_RETURN_IF_ERROR(rows.PutInode(parent, &directory));
    STRATA_RETURN_IF_ERROR(rows.Touch(parent));
    return rows.PutInode(gone.inode, &gone.attributes);
  }));
  return gone;
}

// Whether `ancestor` lies on the way from `directory` to the root: then it would be moved into
// itself. Nobody else moves a directory from one directory to another at the same time: they all
// change one row, so the reads on the way need no promise.
absl::Status Namespace::CheckNotBelow(Rows& rows, uint64_t directory, uint64_t ancestor) {
  for (size_t steps = 0; steps < kMaxWalk; ++steps) {
    if (directory == ancestor) return PosixError(EINVAL, "a directory into itself");
    if (directory == kRootInode) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                            rows.txn().GetUnchecked(options_.metadata.meta, InodeKey(directory)));
    if (!row.has_value()) return PosixError(ENOENT, InodeText(directory));
    STRATA_ASSIGN_OR_RETURN(const InodeRecord record, DecodeInode(*row));
    directory = record.parent;
  }
  return absl::DataLossError(
      absl::StrCat("more than ", kMaxWalk, " directories above each other, or a circle of them"));
}

absl::StatusOr<std::optional<Found>> Namespace::Rename(uint64_t parent, std::string_view name,
                                                       uint64_t new_parent,
                                                       std::string_view new_name, RenameMode mode) {
  STRATA_RETURN_IF_ERROR(CheckName(name, EBUSY));
  STRATA_RETURN_IF_ERROR(CheckName(new_name, mode == RenameMode::kNoReplace ? EEXIST : EBUSY));
  const Position from = PositionOf(parent, name);
  const Position to = PositionOf(new_parent, new_name);
  const bool crosses = parent != new_parent;
  const bool exchanges = mode == RenameMode::kExchange;
  std::optional<Found> replaced;
  STRATA_RETURN_IF_ERROR(Change("rename", [&](Rows& rows) -> absl::Status {
    replaced.reset();
    STRATA_ASSIGN_OR_RETURN(InodeRecord directory, rows.Directory(parent));
    InodeRecord other;
    if (crosses) {
      STRATA_ASSIGN_OR_RETURN(other, rows.Directory(new_parent));
    }
    InodeRecord& target_directory = crosses ? other : directory;
    STRATA_ASSIGN_OR_RETURN(const std::optional<EntryRecord> source, rows.Entry(from));
    if (!source.has_value()) return PosixError(ENOENT, name);
    STRATA_ASSIGN_OR_RETURN(const std::optional<EntryRecord> there, rows.Entry(to));
    if (there.has_value() && mode == RenameMode::kNoReplace) return PosixError(EEXIST, new_name);
    if (!there.has_value() && exchanges) return PosixError(ENOENT, new_name);
    // Two links of one file: POSIX has rename do nothing.
    if (there.has_value() && there->inode == source->inode) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(InodeRecord moved, rows.Named(from, *source));
    InodeRecord target;
    if (there.has_value()) {
      STRATA_ASSIGN_OR_RETURN(target, rows.Named(to, *there));
    }
    const bool moves_directory = IsDirectory(moved);
    const bool meets_directory = there.has_value() && IsDirectory(target);

    if (crosses && (moves_directory || (exchanges && meets_directory))) {
      const std::string guard = CounterKey(kRenameCounter);
      STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row, rows.Get(guard));
      CounterRecord moves;
      if (row.has_value()) {
        STRATA_ASSIGN_OR_RETURN(moves, DecodeCounter(*row));
      }
      ++moves.next;
      STRATA_RETURN_IF_ERROR(rows.Put(guard, Encode(moves)));
      if (moves_directory) {
        STRATA_RETURN_IF_ERROR(CheckNotBelow(rows, new_parent, source->inode));
      }
      if (exchanges && meets_directory) {
        STRATA_RETURN_IF_ERROR(CheckNotBelow(rows, parent, there->inode));
      }
    }
    if (there.has_value() && !exchanges) {
      if (moves_directory && !meets_directory) return PosixError(ENOTDIR, new_name);
      if (!moves_directory && meets_directory) return PosixError(EISDIR, new_name);
      if (meets_directory) {
        STRATA_ASSIGN_OR_RETURN(const bool is_empty, rows.IsEmpty(there->inode));
        if (!is_empty) return PosixError(ENOTEMPTY, new_name);
      }
    }

    const uint32_t source_links = directory.subdirectory_count;
    const uint32_t target_links = target_directory.subdirectory_count;
    STRATA_RETURN_IF_ERROR(rows.MoveLink(source->inode, &moved, from, to));
    STRATA_RETURN_IF_ERROR(rows.PutEntry(to, *source));
    if (exchanges) {
      STRATA_RETURN_IF_ERROR(rows.MoveLink(there->inode, &target, to, from));
      STRATA_RETURN_IF_ERROR(rows.PutEntry(from, *there));
      STRATA_RETURN_IF_ERROR(rows.PutInode(there->inode, &target));
    } else {
      STRATA_RETURN_IF_ERROR(rows.DeleteEntry(from));
      if (there.has_value()) {
        STRATA_RETURN_IF_ERROR(rows.DropLink(there->inode, &target, to));
        STRATA_RETURN_IF_ERROR(rows.PutInode(there->inode, &target));
        replaced = Found{there->inode, target};
      }
    }
    if (moves_directory) {
      STRATA_RETURN_IF_ERROR(LoseSubdirectory(parent, &directory));
      ++target_directory.subdirectory_count;
    }
    if (meets_directory) {
      STRATA_RETURN_IF_ERROR(LoseSubdirectory(new_parent, &target_directory));
      if (exchanges) ++directory.subdirectory_count;
    }
    if (std::max(directory.subdirectory_count, target_directory.subdirectory_count) >
        kMaxSubdirectories) {
      return PosixError(EMLINK, new_name);
    }
    STRATA_RETURN_IF_ERROR(rows.PutInode(source->inode, &moved));
    if (directory.subdirectory_count != source_links) {
      STRATA_RETURN_IF_ERROR(rows.PutInode(parent, &directory));
    }
    if (crosses && target_directory.subdirectory_count != target_links) {
      STRATA_RETURN_IF_ERROR(rows.PutInode(new_parent, &target_directory));
    }
    STRATA_RETURN_IF_ERROR(rows.Touch(parent));
    return crosses ? rows.Touch(new_parent) : absl::OkStatus();
  }));
  return replaced;
}

// Orphans.

absl::StatusOr<std::vector<uint64_t>> Namespace::ListOrphans(uint64_t first, size_t max_inodes) {
  const auto snapshot = options_.metadata.store->NewSnapshot();
  std::vector<uint64_t> orphans;
  kv::Range range = TableRange(Table::kOrphan);
  range.begin = OrphanKey(first);
  while (orphans.size() < max_inodes) {
    STRATA_ASSIGN_OR_RETURN(
        const kv::Page page,
        snapshot->List(options_.metadata.meta, range, {.max_items = max_inodes - orphans.size()}));
    for (const kv::KeyValue& row : page.items) {
      if (row.key.size() != OrphanKey(0).size()) continue;  // A pin.
      orphans.push_back(LoadBe64(reinterpret_cast<const std::byte*>(row.key.data()) + 1));
    }
    if (!page.more) break;
    range.begin = page.items.back().key + '\0';
  }
  return orphans;
}

absl::Status Namespace::Reclaim(uint64_t inode) {
  const kv::SpaceId meta = options_.metadata.meta;
  constexpr size_t kAtOnce = 32;
  const kv::Range attributes = kv::PrefixRange(AttributeKey(inode, ""));
  for (bool is_done = false; !is_done;) {
    STRATA_RETURN_IF_ERROR(Change("reclaim", [&](Rows& rows) -> absl::Status {
      STRATA_ASSIGN_OR_RETURN(const InodeRecord record, rows.Inode(inode));
      if (record.link_count > 0) {
        return absl::FailedPreconditionError(absl::StrCat(InodeText(inode), " has a link"));
      }
      STRATA_ASSIGN_OR_RETURN(
          const kv::Page extents,
          rows.txn().List(options_.metadata.extents,
                          kv::PrefixRange(ExtentKey(inode, 0).substr(0, 9)), {.max_items = 1}));
      if (!extents.items.empty()) {
        return absl::FailedPreconditionError(absl::StrCat(InodeText(inode), " has extents"));
      }
      STRATA_ASSIGN_OR_RETURN(const kv::Page page,
                              rows.txn().List(meta, attributes, {.max_items = kAtOnce}));
      for (const kv::KeyValue& row : page.items) {
        STRATA_RETURN_IF_ERROR(rows.Delete(row.key));
      }
      is_done = !page.more;
      if (!is_done) return absl::OkStatus();
      STRATA_RETURN_IF_ERROR(rows.Delete(TouchKey(inode)));
      STRATA_RETURN_IF_ERROR(rows.Delete(OrphanKey(inode)));
      return rows.Delete(InodeKey(inode));
    }));
  }
  return absl::OkStatus();
}

// Attributes.

absl::StatusOr<Found> Namespace::SetAttributes(uint64_t inode, const AttributeChanges& changes) {
  Found changed{inode, {}};
  STRATA_RETURN_IF_ERROR(Change("setattr", [&](Rows& rows) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(InodeRecord record, rows.Inode(inode));
    const bool changes_owner = changes.uid.has_value() || changes.gid.has_value();
    if (changes.mode.has_value()) {
      if (record.type == FileType::kSymlink) return PosixError(ENOTSUP, "the mode of a symlink");
      record.mode = *changes.mode & kModeBits;
      STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                              rows.Attribute(inode, kAccessAclName));
      if (value.has_value()) {
        STRATA_ASSIGN_OR_RETURN(Acl acl, DecodeAcl(*value));
        acl.SetMode(record.mode);
        STRATA_RETURN_IF_ERROR(rows.PutAttribute(inode, kAccessAclName, EncodeAcl(acl)));
      }
    } else if (changes_owner && !IsDirectory(record)) {
      record.mode &= ~kSetUserId;
      if ((record.mode & kGroupExecute) != 0) record.mode &= ~kSetGroupId;
    }
    if (changes.uid.has_value()) record.uid = *changes.uid;
    if (changes.gid.has_value()) record.gid = *changes.gid;
    if (changes.atime_ns.has_value()) record.atime_ns = *changes.atime_ns;
    if (changes.mtime_ns.has_value()) record.mtime_ns = *changes.mtime_ns;
    record.ctime_ns = changes.ctime_ns.value_or(rows.now_ns());
    STRATA_ASSIGN_OR_RETURN(changed.attributes,
                            rows.PutTimes(inode, &record, changes.mtime_ns.has_value()));
    return absl::OkStatus();
  }));
  changed.attributes = WithLinks(std::move(changed.attributes));
  return changed;
}

absl::Status Namespace::SetLayout(uint64_t inode, const LayoutRecord& layout) {
  return Change("set the layout", [&](Rows& rows) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(InodeRecord record, rows.Inode(inode));
    record.layout = layout;
    record.ctime_ns = rows.now_ns();
    return rows.PutInode(inode, &record);
  });
}

}  // namespace strata::ofs
