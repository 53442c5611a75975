// SPDX-License-Identifier: Apache-2.0
//
// What reading and writing a regular file does, and what changes its size.
//
// Thread safety: any thread, many at once.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/data_context.h"
#include "data/extent.h"
#include "data/file_node.h"
#include "data/flusher.h"
#include "format/bitmap.h"
#include "strata/ofs/file_system.h"
#include "stripes/damage.h"

namespace strata::ofs {

// Bytes of a file that lie in one stripe.
struct FileRange {
  uint64_t inode = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  StripeName stripe{};
  uint64_t payload_offset = 0;
};

class FileData final {
 public:
  FileData(DataContext* context, Flusher* flusher) : context_(*context), flusher_(*flusher) {}

  // Before all others: reads the size. ENOENT; EISDIR, EINVAL: no regular file.
  absl::Status Load(const NodePointer& node);

  absl::StatusOr<size_t> Read(const NodePointer& node, uint64_t offset, std::span<std::byte> out);
  absl::Status Write(const NodePointer& node, uint64_t offset, std::span<const std::byte> data,
                     bool keeps_times);
  absl::Status SetSize(const NodePointer& node, uint64_t size_bytes);
  absl::Status PunchHole(const NodePointer& node, uint64_t offset, uint64_t length);
  absl::StatusOr<uint64_t> Seek(const NodePointer& node, uint64_t offset, SeekWhence whence);

  // ENOENT: no such file (any more).
  absl::Status Hold(const NodePointer& node);
  // A file that was cut to nothing and written again is published: programs that replace a file's
  // content without fsync() expect the old or the new one after a crash.
  absl::Status Release(const NodePointer& node);

  // Of a file without a name: what is dirty need not be written, unless somebody holds it.
  void ForgetUnheld(const NodePointer& node);
  // The same, and drops its extents. FailedPrecondition: it is held.
  absl::Status Discard(const NodePointer& node);

  // What extents refer to of a stripe, and how many bytes that are.
  absl::StatusOr<std::vector<FileRange>> LiveRanges(const StripeHead& head);
  absl::StatusOr<uint32_t> LiveBytes(const StripeHead& head);
  // The same of all stripes of a group whose heads belong into these columns. Reads all extents.
  absl::StatusOr<std::vector<FileRange>> LiveRanges(uint64_t group, const Bitmap& columns);

 private:
  template <typename Change>
  void ChangeDirty(FileNode& node, const Change& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mutex);
  void ForgetDirty(FileNode& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mutex);
  absl::Status ReadStored(uint64_t inode, uint64_t offset, std::span<std::byte> out);
  absl::Status ReadExtents(std::span<const Extent> extents, uint64_t offset,
                           std::span<std::byte> out);
  DataContext& context_;
  Flusher& flusher_;
};

}  // namespace strata::ofs
