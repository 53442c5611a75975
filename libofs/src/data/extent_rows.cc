// SPDX-License-Identifier: Apache-2.0
#include "data/extent_rows.h"

#include <algorithm>

#include "format/key_layout.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

std::string KeyAt(uint64_t inode, uint64_t offset) { return ExtentKey(inode, offset); }

void Count(const Extent& extent, int64_t sign, ExtentChange* change) {
  change->stored_blocks += sign * static_cast<int64_t>(StoredBlocks(extent));
}

}  // namespace

absl::StatusOr<ExtentPage> ListExtents(kv::Reader& reader, const Metadata& metadata, uint64_t inode,
                                       uint64_t begin, uint64_t end, size_t max_rows) {
  ExtentPage page;
  if (begin >= end || max_rows == 0) return page;
  // The one that begins before the range may reach into it.
  STRATA_ASSIGN_OR_RETURN(const kv::Page before,
                          reader.List(metadata.extents, {KeyAt(inode, 0), KeyAt(inode, begin)},
                                      {.max_items = 1, .reverse = true}));
  if (!before.items.empty()) {
    STRATA_ASSIGN_OR_RETURN(const Extent extent,
                            DecodeExtentRow(before.items[0].key, before.items[0].value));
    if (extent.end() > begin) page.extents.push_back(extent);
  }
  kv::Range range{KeyAt(inode, begin), KeyAt(inode, end)};
  for (bool more = true; more;) {
    if (page.extents.size() >= max_rows) {
      page.more = true;
      return page;
    }
    STRATA_ASSIGN_OR_RETURN(
        const kv::Page rows,
        reader.List(metadata.extents, range, {.max_items = max_rows - page.extents.size()}));
    for (const kv::KeyValue& row : rows.items) {
      STRATA_ASSIGN_OR_RETURN(const Extent extent, DecodeExtentRow(row.key, row.value));
      page.extents.push_back(extent);
    }
    more = rows.more;
    if (more) range.begin = rows.items.back().key + '\0';
  }
  return page;
}

absl::StatusOr<uint64_t> RemoveExtents(kv::Transaction& txn, const Metadata& metadata,
                                       uint64_t inode, uint64_t begin, uint64_t end,
                                       size_t max_rows, ExtentChange* change) {
  STRATA_ASSIGN_OR_RETURN(const ExtentPage page,
                          ListExtents(txn, metadata, inode, begin, end, max_rows));
  for (const Extent& extent : page.extents) {
    const uint64_t from = std::max(extent.offset, begin);
    const uint64_t to = std::min(extent.end(), end);
    Count(extent, -1, change);
    AppendFreed(Slice(extent, from, to), &change->freed);
    if (extent.offset < from) {
      const Extent front = Slice(extent, extent.offset, from);
      Count(front, 1, change);
      STRATA_RETURN_IF_ERROR(
          txn.Put(metadata.extents, KeyAt(inode, front.offset), Encode(front.record)));
    } else {
      STRATA_RETURN_IF_ERROR(txn.Delete(metadata.extents, KeyAt(inode, extent.offset)));
    }
    if (to < extent.end()) {
      const Extent back = Slice(extent, to, extent.end());
      Count(back, 1, change);
      STRATA_RETURN_IF_ERROR(
          txn.Put(metadata.extents, KeyAt(inode, back.offset), Encode(back.record)));
    }
  }
  return page.more ? std::min(page.extents.back().end(), end) : end;
}

absl::StatusOr<uint64_t> PublishedEnd(kv::Transaction& txn, const Metadata& metadata,
                                      uint64_t inode, const Extent& extent) {
  const std::string key = KeyAt(inode, extent.offset);
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row, txn.Get(metadata.extents, key));
  if (!row.has_value()) return extent.offset;
  STRATA_ASSIGN_OR_RETURN(const Extent found, DecodeExtentRow(key, *row));
  const bool is_it = found.record.birth == extent.record.birth &&
                     found.record.payload_offset == extent.record.payload_offset;
  return is_it ? std::min(found.end(), extent.end()) : extent.offset;
}

absl::Status PutExtent(kv::Transaction& txn, const Metadata& metadata, uint64_t inode,
                       const Extent& extent, ExtentChange* change) {
  Count(extent, 1, change);
  return txn.Put(metadata.extents, KeyAt(inode, extent.offset), Encode(extent.record));
}

}  // namespace strata::ofs
