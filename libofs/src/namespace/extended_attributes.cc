// SPDX-License-Identifier: Apache-2.0
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "format/key_layout.h"
#include "namespace/acl.h"
#include "namespace/namespace.h"
#include "namespace/namespace_rows.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/posix_error.h"

namespace strata::ofs {
namespace {

absl::Status CheckAttributeName(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || name.find('\0') != std::string_view::npos) {
    return PosixError(ERANGE, absl::StrCat("an attribute name of ", name.size(), " bytes"));
  }
  return absl::OkStatus();
}

bool IsAclName(std::string_view name) { return name == kAccessAclName || name == kDefaultAclName; }

kv::Range AttributesRange(uint64_t inode) { return kv::PrefixRange(AttributeKey(inode, "")); }

constexpr size_t kKeyBytes = 9;  // Before the name.

// What setting an ACL does besides. Returns whether the list is to be kept.
absl::StatusOr<bool> ApplyAcl(std::string_view name, std::string_view value, InodeRecord* record) {
  if (record->type == FileType::kSymlink) return PosixError(ENOTSUP, "an ACL of a symlink");
  const bool is_default = name == kDefaultAclName;
  if (IsNoAcl(value)) return false;
  if (is_default && record->type != FileType::kDirectory) {
    return PosixError(EACCES, "a default ACL of what is no directory");
  }
  STRATA_ASSIGN_OR_RETURN(const Acl acl, DecodeAcl(value));
  if (is_default) return true;
  record->mode = acl.ApplyTo(record->mode);
  return !acl.IsMinimal();  // The mode says as much.
}

}  // namespace

absl::StatusOr<std::string> Namespace::GetAttribute(uint64_t inode, std::string_view name) {
  STRATA_RETURN_IF_ERROR(CheckAttributeName(name));
  const kv::SpaceId meta = options_.metadata.meta;
  const auto snapshot = options_.metadata.store->NewSnapshot();
  STRATA_RETURN_IF_ERROR(ReadInode(*snapshot, meta, inode).status());
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                          snapshot->Get(meta, AttributeKey(inode, name)));
  if (!row.has_value()) return PosixError(ENODATA, name);
  STRATA_ASSIGN_OR_RETURN(AttributeRecord record, DecodeAttribute(*row));
  return std::move(record.value);
}

absl::StatusOr<std::vector<std::string>> Namespace::ListAttributes(uint64_t inode) {
  const kv::SpaceId meta = options_.metadata.meta;
  const auto snapshot = options_.metadata.store->NewSnapshot();
  STRATA_RETURN_IF_ERROR(ReadInode(*snapshot, meta, inode).status());
  std::vector<std::string> names;
  STRATA_RETURN_IF_ERROR(
      kv::ForEach(*snapshot, meta, AttributesRange(inode), [&](const kv::KeyValue& row) {
        names.push_back(row.key.substr(kKeyBytes));
        return absl::OkStatus();
      }));
  return names;
}

// ENOSPC: with this one, the attributes of the inode are too many. All who change attributes write
// the inode, so the list needs no promise.
absl::Status Namespace::CheckRoomForAttribute(Rows& rows, uint64_t inode, std::string_view name,
                                              std::string_view value) {
  uint64_t names_bytes = name.size() + 1;
  uint64_t total_bytes = name.size() + value.size();
  kv::Range range = AttributesRange(inode);
  for (bool more = true; more;) {
    STRATA_ASSIGN_OR_RETURN(const kv::Page page,
                            rows.txn().ListUnchecked(options_.metadata.meta, range, {}));
    for (const kv::KeyValue& row : page.items) {
      const std::string_view other = std::string_view(row.key).substr(kKeyBytes);
      if (other == name) continue;
      names_bytes += other.size() + 1;
      STRATA_ASSIGN_OR_RETURN(const AttributeRecord record, DecodeAttribute(row.value));
      total_bytes += other.size() + record.value.size();
    }
    more = page.more;
    if (more) range.begin = page.items.back().key + '\0';
  }
  if (total_bytes > kMaxAttributesBytes) {
    return PosixError(ENOSPC, absl::StrCat("attributes of ", total_bytes, " bytes in all"));
  }
  if (names_bytes > kMaxAttributeNamesBytes) {
    return PosixError(ENOSPC, absl::StrCat("names of attributes of ", names_bytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status Namespace::SetAttribute(uint64_t inode, std::string_view name, std::string_view value,
                                     AttributeMode mode) {
  STRATA_RETURN_IF_ERROR(CheckAttributeName(name));
  if (value.size() > kMaxAttributeBytes) {
    return PosixError(E2BIG, absl::StrCat("an attribute of ", value.size(), " bytes"));
  }
  return Change("setxattr", [&](Rows& rows) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(InodeRecord record, rows.Inode(inode));
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> there, rows.Attribute(inode, name));
    bool is_kept = true;
    if (IsAclName(name)) {  // Linux has no modes for these.
      STRATA_ASSIGN_OR_RETURN(is_kept, ApplyAcl(name, value, &record));
    } else if (there.has_value() && mode == AttributeMode::kCreate) {
      return PosixError(EEXIST, name);
    } else if (!there.has_value() && mode == AttributeMode::kReplace) {
      return PosixError(ENODATA, name);
    }
    if (is_kept) {
      STRATA_RETURN_IF_ERROR(CheckRoomForAttribute(rows, inode, name, value));
      STRATA_RETURN_IF_ERROR(rows.PutAttribute(inode, name, value));
    } else if (there.has_value()) {
      STRATA_RETURN_IF_ERROR(rows.DeleteAttribute(inode, name));
    }
    record.ctime_ns = rows.now_ns();
    return rows.PutInode(inode, &record);
  });
}

absl::Status Namespace::RemoveAttribute(uint64_t inode, std::string_view name) {
  STRATA_RETURN_IF_ERROR(CheckAttributeName(name));
  return Change("removexattr", [&](Rows& rows) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(InodeRecord record, rows.Inode(inode));
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> there, rows.Attribute(inode, name));
    if (!there.has_value()) {
      if (IsAclName(name)) return absl::OkStatus();  // As Linux has it.
      return PosixError(ENODATA, name);
    }
    STRATA_RETURN_IF_ERROR(rows.DeleteAttribute(inode, name));
    record.ctime_ns = rows.now_ns();
    return rows.PutInode(inode, &record);
  });
}

}  // namespace strata::ofs
