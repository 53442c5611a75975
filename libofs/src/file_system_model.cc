// SPDX-License-Identifier: Apache-2.0
#include "file_system_model.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "namespace/namespace_rows.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/posix_error.h"

namespace strata::ofs {
namespace {

constexpr size_t kFilesAtOnce = 1024;           // Of one flush of many.
constexpr uint64_t kMostOfOneFile = 32u << 20;  // Dirty; then its writer flushes it.
constexpr size_t kOrphansAtOnce = 256;
constexpr size_t kRowsToFold = 256;             // At a time.
constexpr int64_t kFoldingNanos = 500'000'000;  // Of one Upkeep().
constexpr uint64_t kReserveParts = 50;          // One is kept for settling and deletes.

Attributes ToAttributes(const Found& found) {
  const InodeRecord& record = found.attributes;
  return {.inode = found.inode,
          .type = record.type,
          .mode = record.mode,
          .uid = record.uid,
          .gid = record.gid,
          .link_count = record.link_count,
          .size_bytes = record.size_bytes,
          .stored_bytes = record.stored_blocks * kBlockBytes,
          .atime_ns = record.atime_ns,
          .mtime_ns = record.mtime_ns,
          .ctime_ns = record.ctime_ns,
          .birth_ns = record.birth_ns,
          .device = record.device,
          .change = record.change};
}

}  // namespace

class FileSystemModel::Use final {
 public:
  Use(NodeTable& table, uint64_t inode) : table_(table), node_(table.Get(inode)) {}
  ~Use() { table_.Tidy(std::move(node_)); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  const NodePointer& node() const { return node_; }

 private:
  NodeTable& table_;
  NodePointer node_;
};

// ---- Names

absl::StatusOr<Attributes> FileSystemModel::Show(uint64_t inode) {
  // What is dirty is looked at first: a flush between the two makes the row newer, never older.
  std::optional<uint64_t> size_bytes;
  std::optional<int64_t> mtime_ns;
  int64_t ctime_ns = 0;
  uint64_t unflushed_bytes = 0;
  if (const NodePointer node = nodes_.Find(inode); node != nullptr) {
    MutexLock lock(&node->mutex);
    if (node->is_loaded) size_bytes = node->size_bytes;
    if (node->IsDirty()) {
      mtime_ns = node->mtime_ns;
      ctime_ns = node->ctime_ns;
    }
    unflushed_bytes = node->dirty.size_bytes();
    if (node->flushing != nullptr) unflushed_bytes += node->flushing->size_bytes();
  }
  STRATA_ASSIGN_OR_RETURN(const Found found, names_->GetAttributes(inode));
  Attributes attributes = ToAttributes(found);
  if (size_bytes.has_value()) attributes.size_bytes = *size_bytes;
  if (mtime_ns.has_value()) {
    attributes.mtime_ns = *mtime_ns;
    attributes.ctime_ns = std::max(attributes.ctime_ns, ctime_ns);
  }
  attributes.stored_bytes += (unflushed_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  return attributes;
}

absl::StatusOr<Attributes> FileSystemModel::Lookup(uint64_t parent, std::string_view name) {
  const uint64_t publications = context_.publications;
  STRATA_ASSIGN_OR_RETURN(const Found found, names_->Lookup(parent, name));
  // Where the file is dirty, or was until a moment ago, its rows may tell old sizes.
  if (nodes_.Find(found.inode) != nullptr || context_.publications != publications) {
    return Show(found.inode);
  }
  return ToAttributes(found);
}

absl::StatusOr<Attributes> FileSystemModel::Make(uint64_t parent, std::string_view name,
                                                 const NewNode& node) {
  STRATA_ASSIGN_OR_RETURN(const Found made, names_->Make(parent, name, node));
  return ToAttributes(made);
}

absl::StatusOr<Attributes> FileSystemModel::MakeUnnamed(uint64_t parent, const NewNode& node) {
  for (;;) {
    STRATA_ASSIGN_OR_RETURN(const Found made, names_->MakeUnnamed(parent, node));
    const absl::Status held = Hold(made.inode);
    if (held.ok()) return ToAttributes(made);
    // It was reclaimed before it was held.
    if (ErrnoOf(held) != ENOENT) return held;
  }
}

absl::StatusOr<Attributes> FileSystemModel::Link(uint64_t inode, uint64_t parent,
                                                 std::string_view name, bool may_be_unnamed) {
  STRATA_RETURN_IF_ERROR(names_->Link(inode, parent, name, may_be_unnamed).status());
  return Show(inode);
}

absl::Status FileSystemModel::Unlink(uint64_t parent, std::string_view name) {
  STRATA_ASSIGN_OR_RETURN(const Found gone, names_->Unlink(parent, name));
  DropIfUnnamed(gone);
  return absl::OkStatus();
}

absl::Status FileSystemModel::RemoveDirectory(uint64_t parent, std::string_view name) {
  return names_->RemoveDirectory(parent, name).status();
}

absl::Status FileSystemModel::Rename(uint64_t parent, std::string_view name, uint64_t new_parent,
                                     std::string_view new_name, RenameMode mode) {
  // Programs write a new file, do not sync it, and rename it over the old one: after a crash the
  // name is to have the old content or the new.
  const absl::StatusOr<Found> there = names_->Lookup(new_parent, new_name);
  if (there.ok() && there->attributes.type == FileType::kRegular) {
    STRATA_ASSIGN_OR_RETURN(const Found moved, names_->Lookup(parent, name));
    if (const NodePointer node = nodes_.Find(moved.inode); node != nullptr) {
      STRATA_RETURN_IF_ERROR(Flush({node}, kv::Durability::kAsync));
    }
  }
  STRATA_ASSIGN_OR_RETURN(const std::optional<Found> replaced,
                          names_->Rename(parent, name, new_parent, new_name, mode));
  if (replaced.has_value()) DropIfUnnamed(*replaced);
  return absl::OkStatus();
}

// What is dirty of a file that is about to be reclaimed need not be written.
void FileSystemModel::DropIfUnnamed(const Found& found) {
  if (found.attributes.link_count > 0) return;
  NodePointer node = nodes_.Find(found.inode);
  if (node == nullptr) return;
  data_->ForgetUnheld(node);
  nodes_.Tidy(std::move(node));
}

absl::StatusOr<std::string> FileSystemModel::ReadLink(uint64_t inode) {
  STRATA_ASSIGN_OR_RETURN(Found found, names_->GetAttributes(inode));
  if (found.attributes.type != FileType::kSymlink) {
    return PosixError(EINVAL, InodeText(inode));
  }
  return std::move(found.attributes.symlink_target);
}

absl::StatusOr<DirectoryPage> FileSystemModel::ReadDirectory(uint64_t directory, uint64_t cookie,
                                                             size_t max_entries) {
  return names_->ReadDirectory(directory, cookie, max_entries);
}

// ---- Attributes

absl::StatusOr<Attributes> FileSystemModel::GetAttributes(uint64_t inode) { return Show(inode); }

absl::StatusOr<Attributes> FileSystemModel::SetAttributes(uint64_t inode,
                                                          const AttributeChanges& changes) {
  if (changes.size_bytes.has_value()) {
    const Use use(nodes_, inode);
    STRATA_RETURN_IF_ERROR(data_->Load(use.node()));
    STRATA_RETURN_IF_ERROR(data_->SetSize(use.node(), *changes.size_bytes));
  }
  if (!changes.mode.has_value() && !changes.uid.has_value() && !changes.gid.has_value() &&
      !changes.atime_ns.has_value() && !changes.mtime_ns.has_value() &&
      !changes.ctime_ns.has_value()) {
    return Show(inode);
  }
  const Use use(nodes_, inode);
  {
    // A flush under way has an older time of change with it.
    const NodeGate gate(use.node());
    STRATA_RETURN_IF_ERROR(names_->SetAttributes(inode, changes).status());
    MutexLock lock(&use.node()->mutex);
    if (changes.mtime_ns.has_value()) use.node()->mtime_ns = *changes.mtime_ns;
    if (changes.ctime_ns.has_value()) use.node()->ctime_ns = *changes.ctime_ns;
  }
  return Show(inode);
}

absl::StatusOr<std::string> FileSystemModel::GetExtendedAttribute(uint64_t inode,
                                                                  std::string_view name) {
  return names_->GetAttribute(inode, name);
}

absl::Status FileSystemModel::SetExtendedAttribute(uint64_t inode, std::string_view name,
                                                   std::string_view value, AttributeMode mode) {
  return names_->SetAttribute(inode, name, value, mode);
}

absl::Status FileSystemModel::RemoveExtendedAttribute(uint64_t inode, std::string_view name) {
  return names_->RemoveAttribute(inode, name);
}

absl::StatusOr<std::vector<std::string>> FileSystemModel::ListExtendedAttributes(uint64_t inode) {
  return names_->ListAttributes(inode);
}

absl::Status FileSystemModel::SetProtection(uint64_t inode, const Protection& protection) {
  STRATA_RETURN_IF_ERROR(CheckProtection(protection));
  const Use use(nodes_, inode);
  const NodeGate gate(use.node());
  STRATA_ASSIGN_OR_RETURN(const Found found, names_->GetAttributes(inode));
  const InodeRecord& record = found.attributes;
  if (record.type != FileType::kDirectory && record.type != FileType::kRegular) {
    return PosixError(EINVAL, "only files and directories have a protection");
  }
  bool has_data = record.stored_blocks > 0 || !record.inline_data.empty();
  {
    MutexLock lock(&use.node()->mutex);
    has_data = has_data || !use.node()->dirty.empty();
  }
  if (has_data) return PosixError(EINVAL, "the protection of a file with data");
  STRATA_RETURN_IF_ERROR(
      allocator_->CheckPlacement(KindOf(context_.format, {.protection = protection})));
  LayoutRecord layout = record.layout;
  layout.protection = protection;
  return names_->SetLayout(inode, layout);
}

// ---- Data

absl::Status FileSystemModel::Hold(uint64_t inode) {
  const Use use(nodes_, inode);
  return data_->Hold(use.node());
}

void FileSystemModel::Release(uint64_t inode) {
  const Use use(nodes_, inode);
  const absl::Status status = data_->Release(use.node());
  if (!status.ok()) Log(options_.log, LogLevel::kWarning, absl::StrCat("ofs: ", status.message()));
}

absl::StatusOr<size_t> FileSystemModel::Read(uint64_t inode, uint64_t offset,
                                             std::span<std::byte> out) {
  const Use use(nodes_, inode);
  STRATA_RETURN_IF_ERROR(data_->Load(use.node()));
  return data_->Read(use.node(), offset, out);
}

absl::Status FileSystemModel::Write(uint64_t inode, uint64_t offset,
                                    std::span<const std::byte> data, bool keeps_times) {
  const Use use(nodes_, inode);
  STRATA_RETURN_IF_ERROR(data_->Load(use.node()));
  STRATA_RETURN_IF_ERROR(MakeRoom(use.node()));
  STRATA_RETURN_IF_ERROR(CheckSpace(data.size()));
  return data_->Write(use.node(), offset, data, keeps_times);
}

absl::Status FileSystemModel::MakeRoom(const NodePointer& node) {
  bool is_much = false;
  {
    MutexLock lock(&node->mutex);
    is_much = node->dirty.size_bytes() >= std::min(kMostOfOneFile, options_.max_dirty_bytes);
  }
  if (is_much) STRATA_RETURN_IF_ERROR(Flush({node}, kv::Durability::kAsync));
  if (context_.dirty_bytes < options_.max_dirty_bytes) return absl::OkStatus();
  return FlushDirtySince(INT64_MAX);
}

// A write that the disks have no room for is refused now: later there would be nobody to tell.
absl::Status FileSystemModel::CheckSpace(uint64_t bytes) {
  for (bool is_first = true;; is_first = false) {
    STRATA_ASSIGN_OR_RETURN(const SpaceUse space, GetSpaceUse());
    if (bytes <= space.free_bytes) return absl::OkStatus();
    if (!is_first) return PosixError(ENOSPC, absl::StrCat(bytes, " bytes more"));
    STRATA_RETURN_IF_ERROR(MakeSpace());
  }
}

absl::Status FileSystemModel::Allocate(uint64_t inode, uint64_t offset, uint64_t length,
                                       bool keep_size) {
  if (length == 0) return PosixError(EINVAL, "an empty range");
  if (offset > kMaxFileBytes || length > kMaxFileBytes - offset) {
    return PosixError(EFBIG, InodeText(inode));
  }
  const Use use(nodes_, inode);
  STRATA_RETURN_IF_ERROR(data_->Load(use.node()));
  STRATA_RETURN_IF_ERROR(CheckSpace(length));
  if (keep_size) return absl::OkStatus();
  {
    MutexLock lock(&use.node()->mutex);
    if (use.node()->size_bytes >= offset + length) return absl::OkStatus();
  }
  return data_->SetSize(use.node(), offset + length);
}

absl::Status FileSystemModel::PunchHole(uint64_t inode, uint64_t offset, uint64_t length) {
  if (length == 0) return PosixError(EINVAL, "an empty range");
  const Use use(nodes_, inode);
  STRATA_RETURN_IF_ERROR(data_->Load(use.node()));
  return data_->PunchHole(use.node(), offset, length);
}

absl::StatusOr<uint64_t> FileSystemModel::Seek(uint64_t inode, uint64_t offset, SeekWhence whence) {
  const Use use(nodes_, inode);
  STRATA_RETURN_IF_ERROR(data_->Load(use.node()));
  return data_->Seek(use.node(), offset, whence);
}

// ---- Durability

absl::Status FileSystemModel::Sync(uint64_t inode) {
  if (inode == kRootInode) return SyncAll();
  NodePointer node = nodes_.Find(inode);
  if (node == nullptr) return context_.metadata.store->Sync();
  absl::Status status = WithSpace([&] { return flusher_->FlushTogether(node); });
  nodes_.Tidy(std::move(node));
  return status;
}

absl::Status FileSystemModel::SyncAll() {
  STRATA_RETURN_IF_ERROR(FlushDirtySince(INT64_MAX));
  return context_.metadata.store->Sync();
}

absl::Status FileSystemModel::WithSpace(const std::function<absl::Status()>& flush) {
  absl::Status status = flush();
  if (!absl::IsResourceExhausted(status)) return status;
  STRATA_RETURN_IF_ERROR(MakeSpace());
  return flush();
}

absl::Status FileSystemModel::Flush(const std::vector<NodePointer>& nodes,
                                    kv::Durability durability) {
  return WithSpace([&] { return flusher_->Flush(nodes, durability); });
}

absl::Status FileSystemModel::FlushDirtySince(int64_t monotonic_ns) {
  std::vector<NodePointer> dirty = nodes_.DirtySince(monotonic_ns);
  absl::Status status;
  for (size_t at = 0; at < dirty.size(); at += kFilesAtOnce) {
    const size_t count = std::min(kFilesAtOnce, dirty.size() - at);
    std::vector<NodePointer> some(
        std::make_move_iterator(dirty.begin() + static_cast<ptrdiff_t>(at)),
        std::make_move_iterator(dirty.begin() + static_cast<ptrdiff_t>(at + count)));
    const absl::Status flushed = Flush(some, kv::Durability::kAsync);
    if (status.ok()) status = flushed;
    for (NodePointer& node : some) nodes_.Tidy(std::move(node));
  }
  return status;
}

// ---- Upkeep

absl::Status FileSystemModel::Reclaim(uint64_t inode) {
  const Use use(nodes_, inode);
  {
    MutexLock lock(&use.node()->mutex);
    if (use.node()->holds > 0) return absl::OkStatus();
  }
  STRATA_RETURN_IF_ERROR(data_->Discard(use.node()));
  return names_->Reclaim(inode);
}

absl::Status FileSystemModel::ReclaimOrphans() {
  {
    MutexLock lock(&reclaiming_mutex_);
    while (is_reclaiming_) reclaimed_.Wait(&reclaiming_mutex_);
    is_reclaiming_ = true;
  }
  const absl::Cleanup done = [this] {
    MutexLock lock(&reclaiming_mutex_);
    is_reclaiming_ = false;
    reclaimed_.NotifyOne();
  };
  absl::Status first_error;
  for (uint64_t first = 0;;) {
    STRATA_ASSIGN_OR_RETURN(const std::vector<uint64_t> orphans,
                            names_->ListOrphans(first, kOrphansAtOnce));
    for (const uint64_t inode : orphans) {
      const absl::Status status = Reclaim(inode);
      // One that somebody took in hand at this moment stays for the next time.
      if (first_error.ok() && !absl::IsFailedPrecondition(status)) first_error = status;
    }
    if (orphans.size() < kOrphansAtOnce) return first_error;
    first = orphans.back() + 1;
  }
}

absl::Status FileSystemModel::MakeSpace() {
  STRATA_RETURN_IF_ERROR(ReclaimOrphans());
  STRATA_RETURN_IF_ERROR(allocator_->SealRetired());
  // Where others fold at the same time the walk begins somewhere: twice round is once, whole.
  STRATA_RETURN_IF_ERROR(FoldFor(INT64_MAX));
  return FoldFor(INT64_MAX);
}

absl::Status FileSystemModel::FoldFor(int64_t nanos) {
  const int64_t begin_ns = clock_.MonotonicNanos();
  for (;;) {
    STRATA_ASSIGN_OR_RETURN(const Allocator::Folded folded, allocator_->FoldFreed(kRowsToFold));
    if (folded.is_end || clock_.MonotonicNanos() - begin_ns >= nanos) return absl::OkStatus();
  }
}

absl::Status FileSystemModel::Upkeep() {
  context_.most_stripe_bytes = UINT64_MAX;
  const int64_t old_ns = clock_.MonotonicNanos() - options_.flush_interval_ms * 1'000'000;
  const absl::Status flushed = FlushDirtySince(old_ns);
  const absl::Status synced = context_.metadata.store->Sync();
  const absl::Status reclaimed = ReclaimOrphans();
  const absl::Status sealed = allocator_->SealRetired();
  absl::Status folded = FoldFor(kFoldingNanos);
  for (const absl::Status& status : {flushed, synced, reclaimed, sealed}) {
    STRATA_RETURN_IF_ERROR(status);
  }
  return folded;
}

absl::StatusOr<SpaceUse> FileSystemModel::GetSpaceUse() {
  const Protection& protection = context_.format.default_protection;
  SpaceUse use;
  const auto payload = [&](uint64_t segments) {
    return WithoutHeads(segments * context_.format.segment_bytes / protection.total_units() *
                        protection.data_units);
  };
  const Allocator::OnlineSegments segments = allocator_->online_segments();
  use.total_bytes = payload(segments.total);
  use.free_bytes =
      std::min(payload(segments.free) + allocator_->FreePayloadBytes(), use.total_bytes);
  const uint64_t kept = use.total_bytes / kReserveParts + context_.dirty_bytes;
  use.free_bytes -= std::min(use.free_bytes, kept);
  return use;
}

}  // namespace strata::ofs
