// SPDX-License-Identifier: Apache-2.0
#include "operations.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attribute_forms.h"
#include "strata/base/clock.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/posix_error.h"

namespace strata::ofs {
namespace {

constexpr char kAccessAcl[] = "system.posix_acl_access";
// What one request copies at most; the caller asks again.
constexpr size_t kMaxCopyBytes = 16u << 20;
// About what one name takes in an answer.
constexpr size_t kEntryBytes = 48;
constexpr size_t kEntryPlusBytes = 176;
constexpr int64_t kBetweenComplaintsNanos = 1'000'000'000;
constexpr size_t kMaxGroups = 65536;

Served& ServedOf(fuse_req_t request) { return *static_cast<Served*>(fuse_req_userdata(request)); }

// Errors that say more than their number go to the log, one in a second.
int ErrorOf(Served& served, const absl::Status& status, const char* call) {
  const int error = ErrnoOf(status);
  if (error == EIO) {
    const int64_t now_ns = SystemClock().MonotonicNanos();
    int64_t last_ns = served.last_complaint_ns;
    if ((last_ns == 0 || now_ns - last_ns >= kBetweenComplaintsNanos) &&
        served.last_complaint_ns.compare_exchange_strong(last_ns, now_ns)) {
      Log(served.options.log, LogLevel::kWarning,
          absl::StrCat("mount: ", call, ": ", status.message()));
    }
  }
  return error;
}

void ReplyStatus(fuse_req_t request, const absl::Status& status, const char* call) {
  fuse_reply_err(request, ErrorOf(ServedOf(request), status, call));
}

// A buffer of the thread's own, which lives as long as the thread.
std::span<std::byte> ThreadBuffer(size_t bytes) {
  thread_local std::vector<std::byte> buffer;
  if (buffer.size() < bytes) buffer.resize(bytes);
  return std::span(buffer).first(bytes);
}

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000; }

struct stat StatOf(Served& served, const Attributes& attributes) {
  return ToStat(attributes,
                served.options.write_back_cache && served.known.IsOpenForWriting(attributes.inode));
}

fuse_entry_param EntryOf(Served& served, const Attributes& attributes) {
  fuse_entry_param entry{};
  entry.ino = attributes.inode;
  entry.generation = 1;  // No inode number is ever given again.
  entry.attr = StatOf(served, attributes);
  entry.attr_timeout = Seconds(served.options.attribute_timeout_ms);
  entry.entry_timeout = Seconds(served.options.entry_timeout_ms);
  return entry;
}

void ReplyEntry(fuse_req_t request, const absl::StatusOr<Attributes>& found, const char* call) {
  if (!found.ok()) return ReplyStatus(request, found.status(), call);
  Served& served = ServedOf(request);
  served.known.Add(found->inode);
  const fuse_entry_param entry = EntryOf(served, *found);
  // Nobody takes the answer to a call that was interrupted.
  if (fuse_reply_entry(request, &entry) != 0) served.known.Forget(found->inode, 1);
}

void ReplyAttributes(fuse_req_t request, const absl::StatusOr<Attributes>& found,
                     const char* call) {
  if (!found.ok()) return ReplyStatus(request, found.status(), call);
  Served& served = ServedOf(request);
  const struct stat status = StatOf(served, *found);
  fuse_reply_attr(request, &status, Seconds(served.options.attribute_timeout_ms));
}

bool IsForWriting(const fuse_file_info& file) { return (file.flags & O_ACCMODE) != O_RDONLY; }

// ---- The session

void Init(void* userdata, fuse_conn_info* connection) {
  const Served& served = *static_cast<const Served*>(userdata);
  const auto want = [connection](unsigned capability, bool wanted) {
    connection->want &= ~capability;
    if (wanted) connection->want |= connection->capable & capability;
  };
  const bool caches = served.options.write_back_cache;
  want(FUSE_CAP_WRITEBACK_CACHE, caches);
  // Nobody else changes files: pages stay good from one open to the next.
  want(FUSE_CAP_AUTO_INVAL_DATA, !caches);
  want(FUSE_CAP_ASYNC_READ, true);
  want(FUSE_CAP_ASYNC_DIO, true);
  want(FUSE_CAP_PARALLEL_DIROPS, true);
  want(FUSE_CAP_READDIRPLUS, true);
  want(FUSE_CAP_READDIRPLUS_AUTO, true);
  want(FUSE_CAP_EXPORT_SUPPORT, true);
  want(FUSE_CAP_POSIX_ACL, true);
  want(FUSE_CAP_DONT_MASK, true);  // The umask does not count where there is a default ACL.
  want(FUSE_CAP_CACHE_SYMLINKS, true);
  // The kernel clears set-user-ID bits and cuts files at O_TRUNC by calls that it makes anyway.
  want(FUSE_CAP_HANDLE_KILLPRIV, false);
  want(FUSE_CAP_ATOMIC_O_TRUNC, false);
  // Locks are between processes of this machine: the kernel has them all.
  want(FUSE_CAP_POSIX_LOCKS, false);
  want(FUSE_CAP_FLOCK_LOCKS, false);
  want(FUSE_CAP_IOCTL_DIR, false);
  want(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE, false);
  connection->max_write = kMaxRequestBytes;
  connection->max_background = 4 * served.options.threads;
  connection->congestion_threshold = 3 * served.options.threads;
  connection->time_gran = 1;
}

void Forget(fuse_req_t request, fuse_ino_t inode, uint64_t count) {
  ServedOf(request).known.Forget(inode, count);
  fuse_reply_none(request);
}

void ForgetMany(fuse_req_t request, size_t count, fuse_forget_data* forgotten) {
  for (size_t i = 0; i < count; ++i) {
    ServedOf(request).known.Forget(forgotten[i].ino, forgotten[i].nlookup);
  }
  fuse_reply_none(request);
}

void StatFs(fuse_req_t request, fuse_ino_t) {
  const absl::StatusOr<SpaceUse> use = ServedOf(request).filesystem.GetSpaceUse();
  if (!use.ok()) return ReplyStatus(request, use.status(), "statfs");
  const struct statvfs answer = ToStatVfs(*use);
  fuse_reply_statfs(request, &answer);
}

// ---- Names

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Served& served = ServedOf(request);
  // A server of NFS looks for what it had a handle of, whatever its type.
  const bool is_itself = std::string_view(name) == ".";
  const absl::StatusOr<Attributes> found =
      is_itself ? served.filesystem.GetAttributes(parent) : served.filesystem.Lookup(parent, name);
  if (!is_itself && ErrnoOf(found.status()) == ENOENT) {
    fuse_entry_param none{};
    none.entry_timeout = Seconds(served.options.entry_timeout_ms);
    fuse_reply_entry(request, &none);
    return;
  }
  ReplyEntry(request, found, "lookup");
}

NewNode NewNodeOf(fuse_req_t request, FileType type, mode_t mode) {
  const fuse_ctx& caller = *fuse_req_ctx(request);
  return {.type = type,
          .mode = mode & 07777,
          .umask = caller.umask,
          .uid = caller.uid,
          .gid = caller.gid};
}

void MakeNode(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
  FileType type{};
  if (!ToFileType(mode, &type)) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  NewNode node = NewNodeOf(request, type, mode);
  node.device = device;
  ReplyEntry(request, ServedOf(request).filesystem.Make(parent, name, node), "mknod");
}

void MakeDirectory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  const NewNode node = NewNodeOf(request, FileType::kDirectory, mode);
  ReplyEntry(request, ServedOf(request).filesystem.Make(parent, name, node), "mkdir");
}

void MakeSymlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  NewNode node = NewNodeOf(request, FileType::kSymlink, 0777);
  node.symlink_target = target;
  ReplyEntry(request, ServedOf(request).filesystem.Make(parent, name, node), "symlink");
}

void MakeLink(fuse_req_t request, fuse_ino_t inode, fuse_ino_t parent, const char* name) {
  ReplyEntry(request,
             ServedOf(request).filesystem.Link(inode, parent, name, /*may_be_unnamed=*/false),
             "link");
}

void ReadLink(fuse_req_t request, fuse_ino_t inode) {
  const absl::StatusOr<std::string> target = ServedOf(request).filesystem.ReadLink(inode);
  if (!target.ok()) return ReplyStatus(request, target.status(), "readlink");
  fuse_reply_readlink(request, target->c_str());
}

// Runs `change`, which may take a name from what `parent` has as `name`. The kernel may use the
// inode without a name until it has forgotten it, so it is held before.
template <typename Change>
absl::Status WhileHeld(Served& served, fuse_ino_t parent, const char* name, const Change& change) {
  const absl::StatusOr<Attributes> found = served.filesystem.Lookup(parent, name);
  if (ErrnoOf(found.status()) == ENOENT) return change();
  STRATA_RETURN_IF_ERROR(found.status());
  STRATA_RETURN_IF_ERROR(served.filesystem.Hold(found->inode));
  const absl::Status status = change();
  bool may_be_unnamed = status.ok();
  if (status.ok() && found->type != FileType::kDirectory && found->link_count > 1) {
    const absl::StatusOr<Attributes> left = served.filesystem.GetAttributes(found->inode);
    may_be_unnamed = !left.ok() || left->link_count == 0;
  }
  if (may_be_unnamed) {
    served.known.KeepUntilForgotten(found->inode);
  } else {
    served.filesystem.Release(found->inode);
  }
  return status;
}

void Unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Served& served = ServedOf(request);
  ReplyStatus(
      request,
      WhileHeld(served, parent, name, [&] { return served.filesystem.Unlink(parent, name); }),
      "unlink");
}

void RemoveDirectory(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Served& served = ServedOf(request);
  ReplyStatus(request,
              WhileHeld(served, parent, name,
                        [&] { return served.filesystem.RemoveDirectory(parent, name); }),
              "rmdir");
}

void Rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned flags) {
  Served& served = ServedOf(request);
  const auto rename = [&](RenameMode mode) {
    return served.filesystem.Rename(parent, name, new_parent, new_name, mode);
  };
  switch (flags) {
    case 0:
      return ReplyStatus(
          request,
          WhileHeld(served, new_parent, new_name, [&] { return rename(RenameMode::kReplace); }),
          "rename");
    case RENAME_NOREPLACE:
      return ReplyStatus(request, rename(RenameMode::kNoReplace), "rename");
    case RENAME_EXCHANGE:
      return ReplyStatus(request, rename(RenameMode::kExchange), "rename");
    default:
      fuse_reply_err(request, EINVAL);
  }
}

// ---- Attributes

void GetAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  ReplyAttributes(request, ServedOf(request).filesystem.GetAttributes(inode), "getattr");
}

void SetAttributes(fuse_req_t request, fuse_ino_t inode, struct stat* wanted, int valid,
                   fuse_file_info*) {
  const AttributeChanges changes = ToChanges(*wanted, valid, SystemClock().WallNanos());
  ReplyAttributes(request, ServedOf(request).filesystem.SetAttributes(inode, changes), "setattr");
}

// Bytes of unknown size, which the caller asked for with room for `size`; 0: how many there are.
void ReplyExtended(fuse_req_t request, std::string_view value, size_t size) {
  if (size == 0) {
    fuse_reply_xattr(request, value.size());
  } else if (value.size() > size) {
    fuse_reply_err(request, ERANGE);
  } else {
    fuse_reply_buf(request, value.data(), value.size());
  }
}

void GetExtended(fuse_req_t request, fuse_ino_t inode, const char* name, size_t size) {
  const absl::StatusOr<std::string> value =
      ServedOf(request).filesystem.GetExtendedAttribute(inode, name);
  if (!value.ok()) return ReplyStatus(request, value.status(), "getxattr");
  ReplyExtended(request, *value, size);
}

void ListExtended(fuse_req_t request, fuse_ino_t inode, size_t size) {
  const absl::StatusOr<std::vector<std::string>> names =
      ServedOf(request).filesystem.ListExtendedAttributes(inode);
  if (!names.ok()) return ReplyStatus(request, names.status(), "listxattr");
  std::string all;
  for (const std::string& name : *names) all.append(name).push_back('\0');
  ReplyExtended(request, all, size);
}

// Whether the caller is in the group, or may do as if it were.
bool IsInGroup(fuse_req_t request, uint32_t group) {
  const fuse_ctx& caller = *fuse_req_ctx(request);
  if (caller.uid == 0 || caller.gid == group) return true;
  std::vector<gid_t> groups(64);
  int count = fuse_req_getgroups(request, static_cast<int>(groups.size()), groups.data());
  if (count > static_cast<int>(groups.size())) {
    groups.resize(std::min<size_t>(count, kMaxGroups));
    count = fuse_req_getgroups(request, static_cast<int>(groups.size()), groups.data());
  }
  if (count < 0) return false;
  groups.resize(std::min<size_t>(count, groups.size()));
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

// As chmod() does: who sets the rights of a file of a group that he is not in, sets no set-group-ID
// bit. The kernel says so only in a later version of the protocol.
absl::Status DropSetGroupId(fuse_req_t request, fuse_ino_t inode) {
  FileSystem& filesystem = ServedOf(request).filesystem;
  STRATA_ASSIGN_OR_RETURN(const Attributes attributes, filesystem.GetAttributes(inode));
  if ((attributes.mode & S_ISGID) == 0 || IsInGroup(request, attributes.gid)) {
    return absl::OkStatus();
  }
  const uint32_t mode = attributes.mode & ~static_cast<uint32_t>(S_ISGID);
  return filesystem.SetAttributes(inode, {.mode = mode}).status();
}

void SetExtended(fuse_req_t request, fuse_ino_t inode, const char* name, const char* value,
                 size_t size, int flags) {
  AttributeMode mode = AttributeMode::kSet;
  if (flags == XATTR_CREATE) mode = AttributeMode::kCreate;
  if (flags == XATTR_REPLACE) mode = AttributeMode::kReplace;
  absl::Status status =
      ServedOf(request).filesystem.SetExtendedAttribute(inode, name, {value, size}, mode);
  if (status.ok() && std::string_view(name) == kAccessAcl) status = DropSetGroupId(request, inode);
  ReplyStatus(request, status, "setxattr");
}

void RemoveExtended(fuse_req_t request, fuse_ino_t inode, const char* name) {
  ReplyStatus(request, ServedOf(request).filesystem.RemoveExtendedAttribute(inode, name),
              "removexattr");
}

// ---- Directories

void OpenDirectory(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  file->fh = 0;
  fuse_reply_open(request, file);
}

void ReleaseDirectory(fuse_req_t request, fuse_ino_t, fuse_file_info*) {
  fuse_reply_err(request, 0);
}

// An answer to readdir() that grows entry by entry.
class Listing {
 public:
  Listing(fuse_req_t request, size_t size, bool with_attributes)
      : request_(request), buffer_(size), with_attributes_(with_attributes) {}

  // False: there is no room for it.
  bool Add(const DirectoryEntry& entry) {
    char* const at = buffer_.data() + used_;
    const size_t room = buffer_.size() - used_;
    fuse_entry_param answer{};
    answer.attr.st_ino = entry.inode;
    answer.attr.st_mode = TypeBits(entry.type);
    const auto cookie = static_cast<off_t>(entry.cookie);
    if (!with_attributes_) {
      const size_t bytes =
          fuse_add_direntry(request_, at, room, entry.name.c_str(), &answer.attr, cookie);
      if (bytes > room) return false;
      used_ += bytes;
      return true;
    }
    // The kernel does not look "." and ".." up; nor what was removed since.
    if (entry.cookie > 2 &&
        room >= fuse_add_direntry_plus(request_, nullptr, 0, entry.name.c_str(), nullptr, 0)) {
      Served& served = ServedOf(request_);
      if (const auto found = served.filesystem.GetAttributes(entry.inode); found.ok()) {
        served.known.Add(entry.inode);
        answer = EntryOf(served, *found);
      }
    }
    const size_t bytes =
        fuse_add_direntry_plus(request_, at, room, entry.name.c_str(), &answer, cookie);
    if (bytes > room) return false;
    if (answer.ino != 0) known_.push_back(answer.ino);
    used_ += bytes;
    return true;
  }

  // Takes back what was added since the listing had `bytes`.
  size_t bytes() const { return used_; }
  size_t entries_known() const { return known_.size(); }
  void CutTo(size_t bytes, size_t entries_known) {
    used_ = bytes;
    while (known_.size() > entries_known) {
      ServedOf(request_).known.Forget(known_.back(), 1);
      known_.pop_back();
    }
  }

  void Reply() {
    KnownInodes& table = ServedOf(request_).known;
    if (fuse_reply_buf(request_, buffer_.data(), used_) == 0) return;
    for (const uint64_t inode : known_) table.Forget(inode, 1);
  }

 private:
  fuse_req_t request_;
  std::vector<char> buffer_;
  const bool with_attributes_;
  size_t used_ = 0;
  std::vector<uint64_t> known_;
};

void List(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, bool with_attributes) {
  size = std::min<size_t>(size, kMaxRequestBytes);
  const size_t per_entry = with_attributes ? kEntryPlusBytes : kEntryBytes;
  const absl::StatusOr<DirectoryPage> page = ServedOf(request).filesystem.ReadDirectory(
      inode, static_cast<uint64_t>(offset), size / per_entry + 1);
  if (!page.ok()) return ReplyStatus(request, page.status(), "readdir");
  Listing listing(request, size, with_attributes);
  size_t whole_bytes = 0;
  size_t whole_known = 0;
  for (size_t i = 0; i < page->entries.size(); ++i) {
    const DirectoryEntry& entry = page->entries[i];
    // Where a listing ends, the next one begins after the cookie: names that share one stay
    // together.
    if (i == 0 || page->entries[i - 1].cookie != entry.cookie) {
      whole_bytes = listing.bytes();
      whole_known = listing.entries_known();
    }
    if (listing.Add(entry)) continue;
    if (whole_bytes > 0) listing.CutTo(whole_bytes, whole_known);
    break;
  }
  listing.Reply();
}

void ReadDirectory(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                   fuse_file_info*) {
  List(request, inode, size, offset, /*with_attributes=*/false);
}

void ReadDirectoryPlus(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                       fuse_file_info*) {
  List(request, inode, size, offset, /*with_attributes=*/true);
}

// ---- Files

void Open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  Served& served = ServedOf(request);
  const bool for_writing = IsForWriting(*file);
  if (const absl::Status status = served.known.Open(inode, for_writing); !status.ok()) {
    return ReplyStatus(request, status, "open");
  }
  file->fh = for_writing ? 1 : 0;
  file->keep_cache = served.options.write_back_cache ? 1 : 0;
  if (fuse_reply_open(request, file) != 0) served.known.Close(inode, for_writing);
}

// The kernel has the directory locked and knows that the name is absent.
void Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
            fuse_file_info* file) {
  Served& served = ServedOf(request);
  const bool for_writing = IsForWriting(*file);
  const NewNode node = NewNodeOf(request, FileType::kRegular, mode);
  const absl::StatusOr<Attributes> made = served.filesystem.Make(parent, name, node);
  if (!made.ok()) return ReplyStatus(request, made.status(), "create");
  if (const absl::Status status = served.known.Open(made->inode, for_writing); !status.ok()) {
    return ReplyStatus(request, status, "create");
  }
  file->fh = for_writing ? 1 : 0;
  file->keep_cache = served.options.write_back_cache ? 1 : 0;
  served.known.Add(made->inode);
  const fuse_entry_param entry = EntryOf(served, *made);
  if (fuse_reply_create(request, &entry, file) == 0) return;
  served.known.Close(made->inode, for_writing);
  served.known.Forget(made->inode, 1);
}

void Release(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  ServedOf(request).known.Close(inode, file->fh != 0);
  fuse_reply_err(request, 0);
}

// Before it asks, the kernel has sent what it has gathered. After this answer it asks no more.
void FlushFile(fuse_req_t request, fuse_ino_t, fuse_file_info*) { fuse_reply_err(request, ENOSYS); }

void Read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
  const std::span<std::byte> buffer = ThreadBuffer(std::min<size_t>(size, kMaxRequestBytes));
  const absl::StatusOr<size_t> bytes =
      ServedOf(request).filesystem.Read(inode, static_cast<uint64_t>(offset), buffer);
  if (!bytes.ok()) return ReplyStatus(request, bytes.status(), "read");
  fuse_reply_buf(request, reinterpret_cast<const char*>(buffer.data()), *bytes);
}

void Write(fuse_req_t request, fuse_ino_t inode, const char* data, size_t size, off_t offset,
           fuse_file_info* file) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  // What the kernel gathered comes later than it was written: the kernel sets the times.
  const absl::Status status = ServedOf(request).filesystem.Write(
      inode, static_cast<uint64_t>(offset), bytes, /*keeps_times=*/file->writepage != 0);
  if (!status.ok()) return ReplyStatus(request, status, "write");
  fuse_reply_write(request, size);
}

void Sync(fuse_req_t request, fuse_ino_t inode, int, fuse_file_info*) {
  ReplyStatus(request, ServedOf(request).filesystem.Sync(inode), "fsync");
}

absl::Status AllocateRange(FileSystem& filesystem, fuse_ino_t inode, int mode, uint64_t offset,
                           uint64_t length) {
  const bool keeps_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
      return filesystem.Allocate(inode, offset, length, keeps_size);
    case FALLOC_FL_PUNCH_HOLE:
      return filesystem.PunchHole(inode, offset, length);
    case FALLOC_FL_ZERO_RANGE:
      STRATA_RETURN_IF_ERROR(filesystem.PunchHole(inode, offset, length));
      return filesystem.Allocate(inode, offset, length, keeps_size);
    default:
      return PosixError(EOPNOTSUPP, "fallocate");
  }
}

void Allocate(fuse_req_t request, fuse_ino_t inode, int mode, off_t offset, off_t length,
              fuse_file_info*) {
  ReplyStatus(request,
              AllocateRange(ServedOf(request).filesystem, inode, mode,
                            static_cast<uint64_t>(offset), static_cast<uint64_t>(length)),
              "fallocate");
}

void Seek(fuse_req_t request, fuse_ino_t inode, off_t offset, int whence, fuse_file_info*) {
  Served& served = ServedOf(request);
  if (whence != SEEK_DATA && whence != SEEK_HOLE) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  const SeekRequest seek = {request, inode, static_cast<uint64_t>(offset),
                            whence == SEEK_DATA ? SeekWhence::kData : SeekWhence::kHole};
  if (served.options.write_back_cache && served.known.IsOpenForWriting(inode)) {
    served.seeks->Add(seek);
  } else {
    ReplySeek(served.filesystem, seek);
  }
}

absl::StatusOr<size_t> CopyBytes(FileSystem& filesystem, uint64_t from, uint64_t from_offset,
                                 uint64_t to, uint64_t to_offset, size_t bytes) {
  const std::span<std::byte> buffer = ThreadBuffer(kMaxRequestBytes);
  size_t copied = 0;
  while (copied < bytes) {
    const std::span<std::byte> piece = buffer.first(std::min(buffer.size(), bytes - copied));
    const absl::StatusOr<size_t> read = filesystem.Read(from, from_offset + copied, piece);
    absl::Status status = read.status();
    if (status.ok() && *read > 0) {
      status = filesystem.Write(to, to_offset + copied, piece.first(*read));
    }
    // What was copied before an error counts; the next call meets the error.
    if (!status.ok() && copied == 0) return status;
    if (!status.ok() || *read == 0) break;
    copied += *read;
  }
  return copied;
}

void CopyRange(fuse_req_t request, fuse_ino_t from, off_t from_offset, fuse_file_info*,
               fuse_ino_t to, off_t to_offset, fuse_file_info*, size_t bytes, int) {
  const absl::StatusOr<size_t> copied =
      CopyBytes(ServedOf(request).filesystem, from, static_cast<uint64_t>(from_offset), to,
                static_cast<uint64_t>(to_offset), std::min(bytes, kMaxCopyBytes));
  if (!copied.ok()) return ReplyStatus(request, copied.status(), "copy_file_range");
  fuse_reply_write(request, *copied);
}

}  // namespace

const fuse_lowlevel_ops& Operations() {
  static const fuse_lowlevel_ops operations = [] {
    fuse_lowlevel_ops to{};
    to.init = Init;
    to.lookup = Lookup;
    to.forget = Forget;
    to.getattr = GetAttributes;
    to.setattr = SetAttributes;
    to.readlink = ReadLink;
    to.mknod = MakeNode;
    to.mkdir = MakeDirectory;
    to.unlink = Unlink;
    to.rmdir = RemoveDirectory;
    to.symlink = MakeSymlink;
    to.rename = Rename;
    to.link = MakeLink;
    to.open = Open;
    to.read = Read;
    to.write = Write;
    to.flush = FlushFile;
    to.release = Release;
    to.fsync = Sync;
    to.opendir = OpenDirectory;
    to.readdir = ReadDirectory;
    to.releasedir = ReleaseDirectory;
    to.fsyncdir = Sync;
    to.statfs = StatFs;
    to.setxattr = SetExtended;
    to.getxattr = GetExtended;
    to.listxattr = ListExtended;
    to.removexattr = RemoveExtended;
    to.create = Create;
    to.forget_multi = ForgetMany;
    to.fallocate = Allocate;
    to.readdirplus = ReadDirectoryPlus;
    to.copy_file_range = CopyRange;
    to.lseek = Seek;
    return to;
  }();
  return operations;
}

}  // namespace strata::ofs
