// SPDX-License-Identifier: Apache-2.0
#include "namespace/namespace_rows.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "strata/base/endian.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/posix_error.h"

namespace strata::ofs {
namespace {

kv::Range LinksRange(uint64_t inode) {
  // The key of a link without parent, hash and name.
  return kv::PrefixRange(LinkKey(inode, 0, 0, "").substr(0, 9));
}

}  // namespace

std::string InodeText(uint64_t inode) { return absl::StrCat("inode ", inode); }

absl::StatusOr<std::optional<InodeRecord>> FindInode(kv::Reader& reader, kv::SpaceId meta,
                                                     uint64_t inode) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row, reader.Get(meta, InodeKey(inode)));
  if (!row.has_value()) return std::optional<InodeRecord>();
  absl::StatusOr<InodeRecord> record = DecodeInode(*row);
  if (!record.ok()) return Annotate(record.status(), InodeText(inode));
  return std::optional<InodeRecord>(*std::move(record));
}

absl::StatusOr<InodeRecord> ReadInode(kv::Reader& reader, kv::SpaceId meta, uint64_t inode) {
  STRATA_ASSIGN_OR_RETURN(std::optional<InodeRecord> record, FindInode(reader, meta, inode));
  if (!record.has_value()) return PosixError(ENOENT, InodeText(inode));
  return *std::move(record);
}

absl::Status PutInode(kv::Transaction& txn, kv::SpaceId meta, uint64_t inode, InodeRecord* record) {
  ++record->change;
  return txn.Put(meta, InodeKey(inode), Encode(*record));
}

absl::StatusOr<std::optional<EntryRecord>> ReadEntry(kv::Reader& reader, kv::SpaceId meta,
                                                     const std::string& key) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row, reader.Get(meta, key));
  if (!row.has_value()) return std::optional<EntryRecord>();
  STRATA_ASSIGN_OR_RETURN(const EntryRecord entry, DecodeEntry(*row));
  return std::optional<EntryRecord>(entry);
}

absl::Status DamageOfEntry(const absl::Status& status, std::string_view name) {
  if (ErrnoOf(status) != ENOENT) return status;
  return absl::DataLossError(absl::StrCat("the entry '",
                                          absl::CHexEscape({name.data(), name.size()}),
                                          "' names what is not there: ", status.message()));
}

void MergeTouch(const TouchRecord& touch, InodeRecord* attributes) {
  attributes->mtime_ns = touch.mtime_ns;
  attributes->ctime_ns = std::max(attributes->ctime_ns, touch.ctime_ns);
}

InodeRecord WithLinks(InodeRecord attributes) {
  if (attributes.type == FileType::kDirectory && attributes.link_count > 0) {
    attributes.link_count = 2 + attributes.subdirectory_count;
  }
  return attributes;
}

absl::StatusOr<Found> ReadFound(kv::Reader& reader, kv::SpaceId meta, uint64_t inode) {
  STRATA_ASSIGN_OR_RETURN(InodeRecord record, ReadInode(reader, meta, inode));
  if (record.type == FileType::kDirectory) {
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                            reader.Get(meta, TouchKey(inode)));
    if (row.has_value()) {
      STRATA_ASSIGN_OR_RETURN(const TouchRecord touch, DecodeTouch(*row));
      MergeTouch(touch, &record);
    }
  }
  return Found{inode, WithLinks(std::move(record))};
}

absl::StatusOr<InodeRecord> Namespace::Rows::Directory(uint64_t inode) {
  STRATA_ASSIGN_OR_RETURN(InodeRecord record, Inode(inode));
  if (record.type != FileType::kDirectory) return PosixError(ENOTDIR, InodeText(inode));
  if (record.link_count == 0) return PosixError(ENOENT, InodeText(inode));
  return record;
}

absl::StatusOr<InodeRecord> Namespace::Rows::Named(const Position& at, const EntryRecord& entry) {
  absl::StatusOr<InodeRecord> record = Inode(entry.inode);
  if (!record.ok()) return DamageOfEntry(record.status(), at.name);
  return record;
}

absl::StatusOr<InodeRecord> Namespace::Rows::PutTimes(uint64_t inode, InodeRecord* record,
                                                      bool overrules_touch) {
  std::optional<std::string> row;
  if (record->type == FileType::kDirectory) {
    // An entry that comes or goes before this commit is older than the times that it sets, so the
    // touch needs no promise.
    STRATA_ASSIGN_OR_RETURN(row, txn_.GetUnchecked(meta_, TouchKey(inode)));
    if (overrules_touch) {
      STRATA_RETURN_IF_ERROR(Delete(TouchKey(inode)));
    }
  }
  InodeRecord shown = *record;
  if (row.has_value()) {
    STRATA_ASSIGN_OR_RETURN(const TouchRecord touch, DecodeTouch(*row));
    MergeTouch(touch, &shown);
    record->ctime_ns = shown.ctime_ns;
    if (overrules_touch) shown.mtime_ns = record->mtime_ns;
  }
  STRATA_RETURN_IF_ERROR(PutInode(inode, record));
  shown.change = record->change;
  return shown;
}

absl::StatusOr<std::optional<EntryRecord>> Namespace::Rows::Entry(const Position& at) {
  return ReadEntry(txn_, meta_, EntryKey(at.parent, at.hash, at.name));
}

absl::Status Namespace::Rows::PutEntry(const Position& at, const EntryRecord& entry) {
  return Put(EntryKey(at.parent, at.hash, at.name), Encode(entry));
}

absl::Status Namespace::Rows::DeleteEntry(const Position& at) {
  return Delete(EntryKey(at.parent, at.hash, at.name));
}

absl::StatusOr<bool> Namespace::Rows::IsEmpty(uint64_t directory) {
  STRATA_ASSIGN_OR_RETURN(const kv::Page page,
                          txn_.List(meta_, DirectoryRange(directory), {.max_items = 1}));
  return page.items.empty();
}

absl::Status Namespace::Rows::Touch(uint64_t directory) {
  return Put(TouchKey(directory), Encode(TouchRecord{now_ns_, now_ns_}));
}

absl::Status Namespace::Rows::DropLink(uint64_t inode, InodeRecord* record, const Position& at) {
  record->ctime_ns = now_ns_;
  if (record->link_count == 0) {
    return absl::DataLossError(absl::StrCat(InodeText(inode), " has a name, and counts none"));
  }
  --record->link_count;
  if (record->link_count == 0) {
    return Put(OrphanKey(inode), Encode(OrphanRecord{static_cast<uint64_t>(now_ns_)}));
  }
  const std::string further = LinkKey(inode, at.parent, at.hash, at.name);
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row, Get(further));
  if (row.has_value()) return Delete(further);
  // The first link goes: another one takes its place in the inode. The inode is written with each
  // change of its links, so the list needs no promise.
  STRATA_ASSIGN_OR_RETURN(const kv::Page page,
                          txn_.ListUnchecked(meta_, LinksRange(inode), {.max_items = 1}));
  if (page.items.empty() || page.items[0].key.size() < 25) {
    return absl::DataLossError(absl::StrCat(InodeText(inode), ": its further links are missing"));
  }
  const auto* key = reinterpret_cast<const std::byte*>(page.items[0].key.data());
  record->parent = LoadBe64(key + 9);
  record->name_hash = LoadBe64(key + 17);
  return Delete(page.items[0].key);
}

absl::Status Namespace::Rows::MoveLink(uint64_t inode, InodeRecord* record, const Position& from,
                                       const Position& to) {
  record->ctime_ns = now_ns_;
  if (record->type != FileType::kDirectory && record->link_count > 1) {
    const std::string further = LinkKey(inode, from.parent, from.hash, from.name);
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row, Get(further));
    if (row.has_value()) {
      STRATA_RETURN_IF_ERROR(Delete(further));
      return Put(LinkKey(inode, to.parent, to.hash, to.name), Encode(LinkRecord{}));
    }
  }
  record->parent = to.parent;
  record->name_hash = to.hash;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> Namespace::Rows::Attribute(uint64_t inode,
                                                                      std::string_view name) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row, Get(AttributeKey(inode, name)));
  if (!row.has_value()) return std::optional<std::string>();
  STRATA_ASSIGN_OR_RETURN(AttributeRecord record, DecodeAttribute(*row));
  return std::optional<std::string>(std::move(record.value));
}

absl::Status Namespace::Rows::PutAttribute(uint64_t inode, std::string_view name,
                                           std::string_view value) {
  return Put(AttributeKey(inode, name), Encode(AttributeRecord{std::string(value)}));
}

absl::Status Namespace::Rows::DeleteAttribute(uint64_t inode, std::string_view name) {
  return Delete(AttributeKey(inode, name));
}

}  // namespace strata::ofs
