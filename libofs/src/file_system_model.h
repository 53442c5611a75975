// SPDX-License-Identifier: Apache-2.0
//
// The session of a FileSystem: what each call does, of the rooms below.
//
// Thread safety: any thread, but Close().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/data_context.h"
#include "data/file_data.h"
#include "data/file_node.h"
#include "data/flusher.h"
#include "disks/disk.h"
#include "disks/disk_rows.h"
#include "disks/open_disks.h"
#include "groups/allocator.h"
#include "groups/group_table.h"
#include "maintenance_model.h"
#include "namespace/namespace.h"
#include "strata/ofs/file_system.h"
#include "stripes/codes.h"
#include "stripes/stripe_reader.h"
#include "stripes/stripe_writer.h"

namespace strata::ofs {

class FileSystemModel final : public FileSystem {
 public:
  explicit FileSystemModel(const FileSystemOptions& options);

  absl::Status Start();
  absl::Status Close() override;

  absl::StatusOr<Attributes> Lookup(uint64_t parent, std::string_view name) override;
  absl::StatusOr<Attributes> Make(uint64_t parent, std::string_view name,
                                  const NewNode& node) override;
  absl::StatusOr<Attributes> MakeUnnamed(uint64_t parent, const NewNode& node) override;
  absl::StatusOr<Attributes> Link(uint64_t inode, uint64_t parent, std::string_view name,
                                  bool may_be_unnamed) override;
  absl::Status Unlink(uint64_t parent, std::string_view name) override;
  absl::Status RemoveDirectory(uint64_t parent, std::string_view name) override;
  absl::Status Rename(uint64_t parent, std::string_view name, uint64_t new_parent,
                      std::string_view new_name, RenameMode mode) override;
  absl::StatusOr<std::string> ReadLink(uint64_t inode) override;
  absl::StatusOr<DirectoryPage> ReadDirectory(uint64_t directory, uint64_t cookie,
                                              size_t max_entries) override;

  absl::StatusOr<Attributes> GetAttributes(uint64_t inode) override;
  absl::StatusOr<Attributes> SetAttributes(uint64_t inode,
                                           const AttributeChanges& changes) override;
  absl::StatusOr<std::string> GetExtendedAttribute(uint64_t inode, std::string_view name) override;
  absl::Status SetExtendedAttribute(uint64_t inode, std::string_view name, std::string_view value,
                                    AttributeMode mode) override;
  absl::Status RemoveExtendedAttribute(uint64_t inode, std::string_view name) override;
  absl::StatusOr<std::vector<std::string>> ListExtendedAttributes(uint64_t inode) override;
  absl::Status SetProtection(uint64_t inode, const Protection& protection) override;

  absl::Status Hold(uint64_t inode) override;
  void Release(uint64_t inode) override;
  absl::StatusOr<size_t> Read(uint64_t inode, uint64_t offset, std::span<std::byte> out) override;
  absl::Status Write(uint64_t inode, uint64_t offset, std::span<const std::byte> data,
                     bool keeps_times) override;
  absl::Status Allocate(uint64_t inode, uint64_t offset, uint64_t length, bool keep_size) override;
  absl::Status PunchHole(uint64_t inode, uint64_t offset, uint64_t length) override;
  absl::StatusOr<uint64_t> Seek(uint64_t inode, uint64_t offset, SeekWhence whence) override;
  absl::Status Sync(uint64_t inode) override;
  absl::Status SyncAll() override;

  absl::StatusOr<SpaceUse> GetSpaceUse() override;
  absl::Status Upkeep() override;
  Maintenance& maintenance() override { return *maintenance_; }

 private:
  // The node of an inode while a call works on it.
  class Use;

  absl::StatusOr<std::vector<AbsentDisk>> OpenDisksOfRows();
  absl::StatusOr<std::vector<Scrubber::LiveRange>> WithPaths(
      const absl::StatusOr<std::vector<FileRange>>& live);
  absl::Status CheckLosses(const std::vector<AbsentDisk>& absent);
  absl::Status EndOtherSessions();
  absl::Status SealOwnerlessGroups();

  absl::StatusOr<Attributes> Show(uint64_t inode);
  void DropIfUnnamed(const Found& found);

  // When the disks are full, once more after what was deleted is free.
  absl::Status WithSpace(const std::function<absl::Status()>& flush);
  absl::Status Flush(const std::vector<NodePointer>& nodes, kv::Durability durability);
  absl::Status FlushDirtySince(int64_t monotonic_ns);
  // Waits until there is room in memory for more dirty data.
  absl::Status MakeRoom(const NodePointer& node);
  absl::Status MakeSpace();
  absl::Status CheckSpace(uint64_t bytes);
  absl::Status FoldFor(int64_t nanos);
  absl::Status ReclaimOrphans();
  absl::Status Reclaim(uint64_t inode);

  const FileSystemOptions options_;
  const Clock& clock_;
  DataContext context_;
  FilesystemRows rows_;
  Codes codes_;
  std::unique_ptr<DiskSet> disks_;
  std::unique_ptr<GroupTable> groups_;
  std::unique_ptr<Allocator> allocator_;
  std::unique_ptr<StripeReader> reader_;
  std::unique_ptr<StripeWriter> writer_;
  std::unique_ptr<Namespace> names_;
  NodeTable nodes_;
  std::unique_ptr<Flusher> flusher_;
  std::unique_ptr<FileData> data_;
  std::unique_ptr<MaintenanceModel> maintenance_;
  Mutex reclaiming_mutex_;
  CondVar reclaimed_;
  bool is_reclaiming_ ABSL_GUARDED_BY(reclaiming_mutex_) = false;  // One at a time reclaims.
};

}  // namespace strata::ofs
