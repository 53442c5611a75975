// SPDX-License-Identifier: Apache-2.0
#include "namespace/paths.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "format/key_layout.h"
#include "namespace/namespace_rows.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr int kMaxDepth = 65'536;  // Deeper, it goes round in a circle.

// The name that the inode's first link has in its directory.
absl::StatusOr<std::string> NameIn(kv::Reader& reader, const Metadata& metadata, uint64_t inode,
                                   const InodeRecord& record) {
  const std::string begin = EntryKey(record.parent, record.name_hash, "");
  std::string name;
  STRATA_RETURN_IF_ERROR(
      kv::ForEach(reader, metadata.meta, {begin, EntryKey(record.parent, record.name_hash + 1, "")},
                  [&](const kv::KeyValue& row) -> absl::Status {
                    STRATA_ASSIGN_OR_RETURN(const EntryRecord entry, DecodeEntry(row.value));
                    if (entry.inode == inode) name = row.key.substr(begin.size());
                    return absl::OkStatus();
                  }));
  if (!name.empty()) return name;
  return absl::DataLossError(
      absl::StrCat("inode ", inode, ": directory ", record.parent, " has no name for it"));
}

}  // namespace

absl::StatusOr<std::string> PathOf(kv::Reader& reader, const Metadata& metadata, uint64_t inode) {
  std::string path;
  uint64_t at = inode;
  for (int depth = 0; at != kRootInode; ++depth) {
    STRATA_ASSIGN_OR_RETURN(const InodeRecord record, ReadInode(reader, metadata.meta, at));
    if (record.link_count == 0) return std::string();
    if (depth == kMaxDepth) {
      return absl::DataLossError(absl::StrCat("inode ", inode, ": it is below itself"));
    }
    STRATA_ASSIGN_OR_RETURN(const std::string name, NameIn(reader, metadata, at, record));
    path.insert(0, "/" + name);
    at = record.parent;
  }
  return path.empty() ? "/" : path;
}

}  // namespace strata::ofs
