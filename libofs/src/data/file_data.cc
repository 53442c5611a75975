// SPDX-License-Identifier: Apache-2.0
#include "data/file_data.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "data/extent_removal.h"
#include "data/extent_rows.h"
#include "format/key_layout.h"
#include "namespace/namespace_rows.h"
#include "strata/base/check.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/posix_error.h"

namespace strata::ofs {
namespace {

constexpr size_t kMaxRowsRead = 256;

}  // namespace

absl::Status FileData::Load(const NodePointer& node) {
  {
    MutexLock lock(&node->mutex);
    if (node->is_loaded) return absl::OkStatus();
  }
  const auto snapshot = context_.metadata.store->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const InodeRecord record,
                          ReadInode(*snapshot, context_.metadata.meta, node->inode));
  if (record.type == FileType::kDirectory) return PosixError(EISDIR, InodeText(node->inode));
  if (record.type != FileType::kRegular) return PosixError(EINVAL, InodeText(node->inode));
  MutexLock lock(&node->mutex);
  // Another caller may have loaded it, and changed it since.
  if (node->is_loaded) return absl::OkStatus();
  node->is_loaded = true;
  node->size_bytes = record.size_bytes;
  node->mtime_ns = record.mtime_ns;
  node->ctime_ns = record.ctime_ns;
  return absl::OkStatus();
}

// ---- Reading

absl::StatusOr<size_t> FileData::Read(const NodePointer& node, uint64_t offset,
                                      std::span<std::byte> out) {
  struct Gap {
    uint64_t begin;
    uint64_t end;
  };
  std::vector<Gap> gaps;
  {
    // What is in memory now is newer than what the metadata says later.
    MutexLock lock(&node->mutex);
    if (offset >= node->size_bytes) return 0;
    out = out.first(std::min<uint64_t>(out.size(), node->size_bytes - offset));
    const auto note = [&](uint64_t begin, uint64_t end) { gaps.push_back({begin, end}); };
    node->dirty.Read(offset, out, note);
    if (node->flushing != nullptr) {
      for (const Gap& gap : std::exchange(gaps, {})) {
        node->flushing->Read(gap.begin, out.subspan(gap.begin - offset, gap.end - gap.begin), note);
      }
    }
  }
  for (const Gap& gap : gaps) {
    STRATA_RETURN_IF_ERROR(
        ReadStored(node->inode, gap.begin, out.subspan(gap.begin - offset, gap.end - gap.begin)));
  }
  return out.size();
}

absl::Status FileData::ReadStored(uint64_t inode, uint64_t offset, std::span<std::byte> out) {
  const uint64_t end = offset + out.size();
  std::vector<Extent> tried;
  absl::Status failure;
  for (;;) {
    const auto snapshot = context_.metadata.store->NewSnapshot();
    STRATA_ASSIGN_OR_RETURN(const InodeRecord record,
                            ReadInode(*snapshot, context_.metadata.meta, inode));
    std::memset(out.data(), 0, out.size());
    if (offset < record.inline_data.size()) {
      const size_t bytes = std::min<uint64_t>(out.size(), record.inline_data.size() - offset);
      std::memcpy(out.data(), record.inline_data.data() + offset, bytes);
    }
    const uint64_t stored_end = std::min(end, record.trim_from.value_or(end));
    std::vector<Extent> extents;
    for (uint64_t at = offset; at < stored_end;) {
      STRATA_ASSIGN_OR_RETURN(ExtentPage page, ListExtents(*snapshot, context_.metadata, inode, at,
                                                           stored_end, kMaxRowsRead));
      for (Extent& extent : page.extents) {
        extents.push_back(
            Slice(extent, std::max(extent.offset, at), std::min(extent.end(), stored_end)));
      }
      if (!page.more) break;
      at = extents.back().end();
    }
    // Space may be used again at any time: an error counts when the extents are still the same.
    if (!failure.ok() && extents == tried) return failure;
    failure = ReadExtents(extents, offset, out);
    if (failure.ok()) return failure;
    failure = Annotate(failure, absl::StrCat(InodeText(inode), ", bytes ", offset, " to ", end));
    tried = std::move(extents);
  }
}

absl::Status FileData::ReadExtents(std::span<const Extent> extents, uint64_t offset,
                                   std::span<std::byte> out) {
  for (const Extent& extent : extents) {
    for (uint64_t at = extent.offset; at < extent.end();) {
      const StripePlace place = PlaceOf(extent, at);
      STRATA_RETURN_IF_ERROR(context_.reader->Read(place.stripe, place.payload_offset,
                                                   out.subspan(at - offset, place.bytes)));
      at += place.bytes;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> FileData::Seek(const NodePointer& node, uint64_t offset,
                                        SeekWhence whence) {
  STRATA_RETURN_IF_ERROR(flusher_.Flush({node}, kv::Durability::kAsync));
  const auto snapshot = context_.metadata.store->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const InodeRecord record,
                          ReadInode(*snapshot, context_.metadata.meta, node->inode));
  if (offset >= record.size_bytes) return PosixError(ENXIO, "beyond the end of the file");
  const uint64_t end = record.size_bytes;
  const bool wants_data = whence == SeekWhence::kData;
  if (const uint64_t inlined = record.inline_data.size(); inlined > 0) {
    if (offset < inlined) return wants_data ? offset : std::min(inlined, end);
    return wants_data ? PosixError(ENXIO, "no data to the end of the file")
                      : absl::StatusOr<uint64_t>(offset);
  }
  uint64_t at = offset;
  const uint64_t stored_end = std::min(end, record.trim_from.value_or(end));
  for (bool more = true; more && at < stored_end;) {
    STRATA_ASSIGN_OR_RETURN(const ExtentPage page,
                            ListExtents(*snapshot, context_.metadata, node->inode, at, stored_end,
                                        wants_data ? 1 : kMaxRowsRead));
    for (const Extent& extent : page.extents) {
      if (wants_data) return std::max(extent.offset, offset);
      if (extent.offset > at) return at;
      at = extent.end();
    }
    more = page.more;
  }
  if (wants_data) return PosixError(ENXIO, "no data to the end of the file");
  return std::min(at, end);
}

absl::StatusOr<uint32_t> FileData::LiveBytes(const StripeHead& head) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<FileRange> ranges, LiveRanges(head));
  uint64_t live = 0;
  for (const FileRange& range : ranges) live += range.bytes;
  return static_cast<uint32_t>(live);
}

absl::StatusOr<std::vector<FileRange>> FileData::LiveRanges(const StripeHead& head) {
  const auto snapshot = context_.metadata.store->NewSnapshot();
  std::vector<FileRange> live;
  for (const StripeRecord& record : head.records) {
    const uint64_t end = record.file_offset + record.raw_bytes;
    for (uint64_t at = record.file_offset; at < end;) {
      STRATA_ASSIGN_OR_RETURN(
          const ExtentPage page,
          ListExtents(*snapshot, context_.metadata, record.inode, at, end, kMaxRowsRead));
      for (const Extent& extent : page.extents) {
        const uint64_t to = std::min(extent.end(), end);
        for (at = std::max(extent.offset, at); at < to;) {
          const StripePlace place = PlaceOf(extent, at);
          const uint64_t bytes = std::min<uint64_t>(place.bytes, to - at);
          if (place.stripe.group == head.group && place.stripe.column == head.column &&
              place.stripe.birth == head.birth) {
            live.push_back({record.inode, at, bytes, place.stripe, place.payload_offset});
          }
          at += bytes;
        }
      }
      if (!page.more) break;
    }
  }
  return live;
}

absl::StatusOr<std::vector<FileRange>> FileData::LiveRanges(uint64_t group, const Bitmap& columns) {
  const auto snapshot = context_.metadata.store->NewSnapshot();
  std::vector<FileRange> live;
  STRATA_RETURN_IF_ERROR(kv::ForEach(
      *snapshot, context_.metadata.extents, TableRange(Table::kExtent),
      [&](const kv::KeyValue& row) -> absl::Status {
        STRATA_ASSIGN_OR_RETURN(const Extent extent, DecodeExtentRow(row.key, row.value));
        if (extent.record.group != group) return absl::OkStatus();
        STRATA_ASSIGN_OR_RETURN(const uint64_t inode, InodeOfExtent(row.key));
        for (uint64_t at = extent.offset; at < extent.end();) {
          const StripePlace place = PlaceOf(extent, at);
          const uint32_t column = place.stripe.column;
          if (column < columns.size() && columns.Test(column)) {
            live.push_back({inode, at, place.bytes, place.stripe, place.payload_offset});
          }
          at += place.bytes;
        }
        return absl::OkStatus();
      }));
  return live;
}

// ---- Writing

// The sum over all files stays right. A hole in a piece makes two of it, so it may grow.
template <typename Change>
void FileData::ChangeDirty(FileNode& node, const Change& change) {
  const uint64_t before = node.dirty.memory_bytes();
  change(node.dirty);
  context_.dirty_bytes += node.dirty.memory_bytes() - before;
}

absl::Status FileData::Write(const NodePointer& node, uint64_t offset,
                             std::span<const std::byte> data, bool keeps_times) {
  if (offset > kMaxFileBytes || data.size() > kMaxFileBytes - offset) {
    return PosixError(EFBIG, InodeText(node->inode));
  }
  if (data.empty()) return absl::OkStatus();
  const int64_t wall_ns = context_.clock->WallNanos();
  const int64_t now_ns = context_.clock->MonotonicNanos();
  MutexLock lock(&node->mutex);
  if (!node->IsDirty()) node->dirty_since_ns = now_ns;
  ChangeDirty(*node, [&](DirtyRanges& dirty) { dirty.Write(offset, data); });
  node->size_bytes = std::max(node->size_bytes, offset + data.size());
  if (keeps_times) return absl::OkStatus();
  node->mtime_ns = wall_ns;
  node->ctime_ns = wall_ns;
  node->has_new_times = true;
  return absl::OkStatus();
}

absl::Status FileData::SetSize(const NodePointer& node, uint64_t size_bytes) {
  if (size_bytes > kMaxFileBytes) return PosixError(EFBIG, InodeText(node->inode));
  const NodeGate gate(node);
  const int64_t now_ns = context_.clock->WallNanos();
  {
    MutexLock lock(&node->mutex);
    ChangeDirty(*node, [&](DirtyRanges& dirty) { dirty.Erase(size_bytes, UINT64_MAX); });
    if (size_bytes == 0 && node->size_bytes > 0) node->replaces_content = true;
    node->size_bytes = size_bytes;
    node->mtime_ns = now_ns;
    node->ctime_ns = now_ns;
  }
  // From the first transaction on nobody reads what lies beyond, whatever comes between.
  return RemoveRange(
      context_, node->inode, size_bytes, UINT64_MAX,
      [&](InodeRecord* record) {
        record->size_bytes = size_bytes;
        record->trim_from = size_bytes;
        if (record->inline_data.size() > size_bytes) record->inline_data.resize(size_bytes);
        record->mtime_ns = now_ns;
        record->ctime_ns = now_ns;
      },
      [](InodeRecord* record) { record->trim_from.reset(); });
}

absl::Status FileData::PunchHole(const NodePointer& node, uint64_t offset, uint64_t length) {
  const uint64_t end = length > UINT64_MAX - offset ? UINT64_MAX : offset + length;
  const NodeGate gate(node);
  const int64_t now_ns = context_.clock->WallNanos();
  {
    MutexLock lock(&node->mutex);
    ChangeDirty(*node, [&](DirtyRanges& dirty) { dirty.Erase(offset, end); });
    node->mtime_ns = now_ns;
    node->ctime_ns = now_ns;
  }
  return RemoveRange(
      context_, node->inode, offset, end,
      [&](InodeRecord* record) {
        if (std::string& content = record->inline_data; offset < content.size()) {
          std::fill(
              content.begin() + static_cast<ptrdiff_t>(offset),
              content.begin() + static_cast<ptrdiff_t>(std::min<uint64_t>(end, content.size())),
              '\0');
        }
        record->mtime_ns = now_ns;
        record->ctime_ns = now_ns;
      },
      [](InodeRecord*) {});
}

absl::Status FileData::Discard(const NodePointer& node) {
  const NodeGate gate(node);
  {
    MutexLock lock(&node->mutex);
    if (node->holds > 0) return absl::FailedPreconditionError("somebody holds the file");
    node->is_gone = true;
    ForgetDirty(*node);
  }
  return RemoveRange(
      context_, node->inode, 0, UINT64_MAX,
      [](InodeRecord* record) {
        if (record->type == FileType::kRegular) record->trim_from = 0;
      },
      [](InodeRecord*) {});
}

void FileData::ForgetUnheld(const NodePointer& node) {
  MutexLock lock(&node->mutex);
  if (node->holds == 0) ForgetDirty(*node);
}

void FileData::ForgetDirty(FileNode& node) {
  ChangeDirty(node, [](DirtyRanges& dirty) { dirty = {}; });
  node.has_new_times = false;
}

absl::Status FileData::Hold(const NodePointer& node) {
  {
    MutexLock lock(&node->mutex);
    if (node->is_gone) return PosixError(ENOENT, InodeText(node->inode));
    ++node->holds;
  }
  absl::Status status = Load(node);
  // What is no regular file is there too, and has nothing to load.
  const int error = ErrnoOf(status);
  if (error == 0 || error == EISDIR || error == EINVAL) return absl::OkStatus();
  MutexLock lock(&node->mutex);
  --node->holds;
  return status;
}

absl::Status FileData::Release(const NodePointer& node) {
  bool publishes = false;
  {
    MutexLock lock(&node->mutex);
    STRATA_CHECK(node->holds > 0, "Release() without Hold()");
    --node->holds;
    publishes = node->holds == 0 && std::exchange(node->replaces_content, false) && node->IsDirty();
  }
  return publishes ? flusher_.Flush({node}, kv::Durability::kAsync) : absl::OkStatus();
}

}  // namespace strata::ofs
