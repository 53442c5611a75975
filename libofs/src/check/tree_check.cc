// SPDX-License-Identifier: Apache-2.0
#include "check/tree_check.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "check/table_cursor.h"
#include "data/extent.h"
#include "format/key_layout.h"
#include "format/name_hash.h"
#include "namespace/acl.h"
#include "namespace/namespace_rows.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr uint64_t kInodesBetweenCalls = 256;
constexpr size_t kMaxKnownDirectories = 1u << 20;
constexpr size_t kMaxDepth = 1u << 20;  // As the namespace has it.

uint64_t Number(std::string_view key, size_t offset) {
  return LoadBe64(reinterpret_cast<const std::byte*>(key.data()) + offset);
}

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string NameText(uint64_t parent, std::string_view name) {
  return absl::StrCat("directory ", parent, ", name '", absl::CHexEscape(View(name)), "'");
}

// A table whose keys begin with an inode.
class InodeTable final {
 public:
  InodeTable(const CheckContext& context, kv::SpaceId space, Table table)
      : context_(context),
        table_(table),
        cursor_(context.metadata.store, space, TableRange(table)) {}

  // The inode of the next row; UINT64_MAX: there is none.
  absl::StatusOr<uint64_t> Inode() {
    while (true) {
      STRATA_ASSIGN_OR_RETURN(row_, cursor_.Peek());
      if (row_ == nullptr) return UINT64_MAX;
      if (row_->key.size() >= 9 && Number(row_->key, 1) != UINT64_MAX) return Number(row_->key, 1);
      AddKey(context_, row_->key);
      cursor_.Next();
    }
  }

  // Calls `take(key, value)` for each row of the inode.
  template <typename Take>
  absl::Status ForEach(uint64_t inode, const Take& take) {
    while (true) {
      STRATA_ASSIGN_OR_RETURN(const uint64_t next, Inode());
      if (next != inode || row_ == nullptr) return absl::OkStatus();
      STRATA_RETURN_IF_ERROR(take(std::string_view(row_->key), std::string_view(row_->value)));
      cursor_.Next();
    }
  }

  static void AddKey(const CheckContext& context, std::string_view key) {
    context.Add(
        FindingKind::kRow,
        absl::StrCat("key ", absl::BytesToHexString(View(key.substr(0, 40))), ": it is malformed"));
  }

 private:
  const CheckContext& context_;
  const Table table_;
  TableCursor cursor_;
  const kv::KeyValue* row_ = nullptr;
};

class TreeCheck final {
 public:
  explicit TreeCheck(CheckContext* context)
      : context_(*context),
        inodes_(Make(Table::kInode)),
        touches_(Make(Table::kTouch)),
        entries_(Make(Table::kEntry)),
        links_(Make(Table::kLink)),
        attributes_(Make(Table::kAttribute)),
        orphans_(Make(Table::kOrphan)),
        extents_(context_, context_.metadata.extents, Table::kExtent) {}

  absl::Status Run() {
    bool has_root = false;
    for (uint64_t count = 0;; ++count) {
      uint64_t inode = UINT64_MAX;
      for (InodeTable* table :
           {&inodes_, &touches_, &entries_, &links_, &attributes_, &orphans_, &extents_}) {
        STRATA_ASSIGN_OR_RETURN(const uint64_t next, table->Inode());
        inode = std::min(inode, next);
      }
      if (inode == UINT64_MAX) break;
      if (count % kInodesBetweenCalls == 0) {
        const auto counter = context_.counters.find("inode");
        STRATA_RETURN_IF_ERROR(context_.Tell(
            "inodes", inode, counter == context_.counters.end() ? 0 : counter->second));
      }
      STRATA_RETURN_IF_ERROR(CheckInode(inode));
      has_root = has_root || (inode == kRootInode && now_.exists);
    }
    if (!has_root) context_.Add(FindingKind::kRoot, "inode 1, the root, is missing");
    return absl::OkStatus();
  }

 private:
  // The inode in hand.
  struct Now {
    uint64_t inode = 0;
    bool exists = false;
    std::optional<InodeRecord> record{};  // Null: there is none, or it is malformed.
    bool is_orphan = false;               // There is a row that says so.
  };

  InodeTable Make(Table table) const { return {context_, context_.metadata.meta, table}; }

  void Add(FindingKind kind, std::string_view what) {
    context_.Add(kind, absl::StrCat(InodeText(now_.inode), ": ", View(what)));
  }

  absl::Status CheckInode(uint64_t inode) {
    now_ = {.inode = inode};
    STRATA_RETURN_IF_ERROR(
        inodes_.ForEach(inode, [&](std::string_view key, std::string_view value) {
          if (key.size() != InodeKey(0).size()) {
            InodeTable::AddKey(context_, key);
            return absl::OkStatus();
          }
          now_.exists = true;
          ++context_.report->inodes;
          absl::StatusOr<InodeRecord> record = DecodeInode(value);
          if (record.ok()) {
            now_.record = *std::move(record);
          } else {
            Add(FindingKind::kRow, std::string(record.status().message()));
          }
          return absl::OkStatus();
        }));
    if (now_.exists && !context_.IsGivenOut("inode", inode)) {
      Add(FindingKind::kCounter, "its counter has not given it out");
    }
    STRATA_RETURN_IF_ERROR(CheckOrphan());
    if (now_.record.has_value()) {
      CheckFields();
      STRATA_RETURN_IF_ERROR(CheckFirstLink());
      STRATA_RETURN_IF_ERROR(CheckReachable());
    }
    STRATA_RETURN_IF_ERROR(CheckTouch());
    STRATA_RETURN_IF_ERROR(CheckFurtherLinks());
    STRATA_RETURN_IF_ERROR(CheckEntries());
    STRATA_RETURN_IF_ERROR(CheckAttributes());
    return CheckExtents();
  }

  bool IsDirectory() const {
    return now_.record.has_value() && now_.record->type == FileType::kDirectory;
  }

  // ---- The inode itself

  void CheckFields() {
    const InodeRecord& record = *now_.record;
    const bool is_regular = record.type == FileType::kRegular;
    const auto wrong = [&](std::string_view what) { Add(FindingKind::kInode, what); };
    if (record.inline_data.size() > record.size_bytes) {
      wrong(absl::StrCat(record.inline_data.size(), " bytes are in it, and its size is ",
                         record.size_bytes));
    }
    if (!is_regular && (!record.inline_data.empty() || record.trim_from.has_value())) {
      wrong("it is no regular file, and has data");
    }
    if (record.type == FileType::kSymlink && record.size_bytes != record.symlink_target.size()) {
      wrong("its size is not that of its target");
    }
    if (record.link_count > (IsDirectory() ? 1 : kMaxLinks)) {
      wrong(absl::StrCat("it counts ", record.link_count, " names"));
    }
    if (!IsDirectory() && record.subdirectory_count != 0) {
      wrong("it is no directory, and counts directories in it");
    }
    if (record.born_epoch > context_.epoch) wrong("it was born in an epoch that is to come");
    if (record.layout.protection.has_value() && !CheckProtection(*record.layout.protection).ok()) {
      wrong("its layout names a protection that there is not");
    }
    const bool has_pool =
        record.layout.pool == 0 || context_.has_damaged_pools ||
        std::any_of(context_.rows.pools.begin(), context_.rows.pools.end(),
                    [&](const auto& pool) { return pool.second.number == record.layout.pool; });
    if (!has_pool) wrong(absl::StrCat("its layout names the pool ", record.layout.pool));
    if (now_.inode != kRootInode) return;
    if (!IsDirectory() || record.parent != kRootInode || record.link_count != 1) {
      context_.Add(FindingKind::kRoot, "inode 1 is no directory, or not its own parent");
    }
  }

  absl::Status CheckOrphan() {
    STRATA_RETURN_IF_ERROR(
        orphans_.ForEach(now_.inode, [&](std::string_view key, std::string_view value) {
          const bool is_pin = key.size() == PinKey(0, 0).size();
          if (!is_pin && key.size() != OrphanKey(0).size()) {
            InodeTable::AddKey(context_, key);
            return absl::OkStatus();
          }
          const absl::StatusOr<OrphanRecord> orphan = DecodeOrphan(value);
          if (!orphan.ok()) Add(FindingKind::kRow, std::string(orphan.status().message()));
          if (!is_pin) {
            now_.is_orphan = true;
          } else if (!now_.is_orphan) {
            Add(FindingKind::kOrphan, "a session keeps it, and it is not listed as an orphan");
          }
          return absl::OkStatus();
        }));
    if (now_.is_orphan && !now_.exists) Add(FindingKind::kOrphan, "it is listed, and not there");
    if (!now_.record.has_value()) return absl::OkStatus();
    if (now_.is_orphan && now_.record->link_count > 0) {
      Add(FindingKind::kOrphan, "it is listed as an orphan, and counts names");
    }
    if (!now_.is_orphan && now_.record->link_count == 0) {
      Add(FindingKind::kOrphan, "it has no name, and is not listed as an orphan");
    }
    return absl::OkStatus();
  }

  absl::Status CheckTouch() {
    return touches_.ForEach(now_.inode, [&](std::string_view key, std::string_view value) {
      if (key.size() != TouchKey(0).size()) {
        InodeTable::AddKey(context_, key);
        return absl::OkStatus();
      }
      const absl::StatusOr<TouchRecord> touch = DecodeTouch(value);
      if (!touch.ok()) {
        Add(FindingKind::kRow, std::string(touch.status().message()));
      } else if (!now_.exists) {
        Add(FindingKind::kTouch, "it is touched, and not there");
      } else if (now_.record.has_value() && !IsDirectory()) {
        Add(FindingKind::kTouch, "it is touched, and no directory");
      }
      return absl::OkStatus();
    });
  }

  // ---- Names, as the inode has them

  absl::StatusOr<bool> Has(const std::string& key) {
    STRATA_ASSIGN_OR_RETURN(
        const std::optional<std::string> row,
        context_.metadata.store->NewSnapshot()->Get(context_.metadata.meta, key));
    return row.has_value();
  }

  // Of the names of this hash in its directory, one leads to the inode and is no further link.
  absl::Status CheckFirstLink() {
    const InodeRecord& record = *now_.record;
    if (record.link_count == 0 || now_.inode == kRootInode) return absl::OkStatus();
    if (record.name_hash > INT64_MAX) {
      Add(FindingKind::kLink, "the hash of its first name has 64 bits");
      return absl::OkStatus();
    }
    const std::string begin = EntryKey(record.parent, record.name_hash, "");
    int count = 0;
    bool is_known = true;
    STRATA_RETURN_IF_ERROR(kv::ForEach(
        *context_.metadata.store, context_.metadata.meta,
        {begin, EntryKey(record.parent, record.name_hash + 1, "")},
        [&](const kv::KeyValue& row) -> absl::Status {
          const absl::StatusOr<EntryRecord> entry = DecodeEntry(row.value);
          if (!entry.ok()) is_known = false;
          if (!entry.ok() || entry->inode != now_.inode) return absl::OkStatus();
          STRATA_ASSIGN_OR_RETURN(const bool is_further,
                                  Has(LinkKey(now_.inode, record.parent, record.name_hash,
                                              std::string_view(row.key).substr(begin.size()))));
          count += is_further ? 0 : 1;
          return absl::OkStatus();
        }));
    if (count != 1 && is_known) {
      Add(FindingKind::kLink, absl::StrCat("directory ", record.parent, " has ", count,
                                           " names for it instead of its first"));
    }
    return absl::OkStatus();
  }

  absl::Status CheckFurtherLinks() {
    uint64_t count = 0;
    STRATA_RETURN_IF_ERROR(links_.ForEach(
        now_.inode, [&](std::string_view key, std::string_view value) -> absl::Status {
          ++count;
          if (key.size() <= 25) {
            InodeTable::AddKey(context_, key);
            return absl::OkStatus();
          }
          if (!DecodeLink(value).ok()) {
            Add(FindingKind::kRow, std::string(DecodeLink(value).status().message()));
          }
          const uint64_t parent = Number(key, 9);
          const uint64_t hash = Number(key, 17);
          const std::string_view name = key.substr(25);
          if (!now_.exists) {
            Add(FindingKind::kLink,
                NameText(parent, name) + " is a link of it, and it is not there");
            return absl::OkStatus();
          }
          STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                                  context_.metadata.store->NewSnapshot()->Get(
                                      context_.metadata.meta, EntryKey(parent, hash, name)));
          const absl::StatusOr<EntryRecord> entry =
              row.has_value() ? DecodeEntry(*row) : EntryRecord{};
          if (entry.ok() && entry->inode != now_.inode) {
            Add(FindingKind::kLink,
                NameText(parent, name) + " is a link of it, and does not lead there");
          }
          return absl::OkStatus();
        }));
    if (!now_.record.has_value()) return absl::OkStatus();
    const uint64_t names = now_.record->link_count;
    if (names == 0 && count > 0) Add(FindingKind::kOrphan, "it has no name, and further links");
    if (names > 0 && names != count + 1) {
      Add(FindingKind::kLinkCount,
          absl::StrCat("it counts ", names, " names, and has ", count + 1));
    }
    return absl::OkStatus();
  }

  // ---- Directories

  // Each directory has a directory above it, so one that the root is not above is in a circle, or
  // below one.
  absl::Status CheckReachable() {
    if (!IsDirectory() || now_.record->link_count == 0) return absl::OkStatus();
    std::vector<uint64_t> way;
    std::unordered_set<uint64_t> on_way;
    for (uint64_t at = now_.inode; at != kRootInode && !reachable_.contains(at);) {
      if (!on_way.insert(at).second || way.size() >= kMaxDepth) {
        Add(FindingKind::kUnreachable, "it is below a circle of directories");
        return absl::OkStatus();
      }
      way.push_back(at);
      STRATA_ASSIGN_OR_RETURN(
          const std::optional<std::string> row,
          context_.metadata.store->NewSnapshot()->Get(context_.metadata.meta, InodeKey(at)));
      const absl::StatusOr<InodeRecord> record =
          row.has_value() ? DecodeInode(*row) : InodeRecord{};
      // Where one is missing, malformed or no directory, that is a finding of its own.
      if (!row.has_value() || !record.ok() || record->type != FileType::kDirectory) {
        return absl::OkStatus();
      }
      at = record->parent;
    }
    for (const uint64_t directory : way) {
      if (reachable_.size() >= kMaxKnownDirectories) reachable_.clear();
      reachable_.insert(directory);
    }
    return absl::OkStatus();
  }

  absl::Status CheckEntries() {
    uint64_t count = 0;
    uint64_t directories = 0;
    bool is_known = true;
    STRATA_RETURN_IF_ERROR(entries_.ForEach(
        now_.inode, [&](std::string_view key, std::string_view value) -> absl::Status {
          ++count;
          ++context_.report->names;
          if (key.size() <= 17) {
            InodeTable::AddKey(context_, key);
            return absl::OkStatus();
          }
          const uint64_t hash = Number(key, 9);
          const std::string_view name = key.substr(17);
          const absl::StatusOr<EntryRecord> entry = DecodeEntry(value);
          if (!entry.ok()) {
            is_known = false;
            context_.Add(FindingKind::kRow,
                         absl::StrCat(NameText(now_.inode, name), ": ", entry.status().message()));
            return absl::OkStatus();
          }
          if (entry->type == FileType::kDirectory) ++directories;
          if (hash != NameHash(context_.rows.format.name_key, name)) {
            context_.Add(FindingKind::kEntry, NameText(now_.inode, name) + ": its hash is wrong");
          }
          if (name.size() > kMaxNameBytes || name == "." || name == ".." ||
              name.find('/') != std::string_view::npos ||
              name.find('\0') != std::string_view::npos) {
            context_.Add(FindingKind::kEntry,
                         NameText(now_.inode, name) + ": there is no such name");
          }
          return CheckTarget(hash, name, *entry);
        }));
    if (count > 0 && !now_.exists) {
      Add(FindingKind::kEntry, absl::StrCat("it has ", count, " names, and is not there"));
    }
    if (count == 0 && !IsDirectory()) return absl::OkStatus();
    if (!now_.record.has_value()) return absl::OkStatus();
    if (!IsDirectory()) {
      Add(FindingKind::kEntry, absl::StrCat("it has ", count, " names in it, and is no directory"));
      return absl::OkStatus();
    }
    if (count > 0 && now_.record->link_count == 0) {
      Add(FindingKind::kOrphan,
          absl::StrCat("the directory was removed, and has ", count, " names"));
    }
    if (is_known && directories != now_.record->subdirectory_count) {
      Add(FindingKind::kSubdirectoryCount,
          absl::StrCat("it counts ", now_.record->subdirectory_count,
                       " directories in it, and has ", directories));
    }
    return absl::OkStatus();
  }

  absl::Status CheckTarget(uint64_t hash, std::string_view name, const EntryRecord& entry) {
    const auto add = [&](FindingKind kind, std::string_view what) {
      context_.Add(kind, absl::StrCat(NameText(now_.inode, name), " leads to inode ", entry.inode,
                                      ", ", View(what)));
    };
    STRATA_ASSIGN_OR_RETURN(
        const std::optional<std::string> row,
        context_.metadata.store->NewSnapshot()->Get(context_.metadata.meta, InodeKey(entry.inode)));
    if (!row.has_value()) {
      add(FindingKind::kEntry, "which is not there");
      return absl::OkStatus();
    }
    const absl::StatusOr<InodeRecord> target = DecodeInode(*row);
    if (!target.ok()) return absl::OkStatus();  // It is found where it is.
    if (target->type != entry.type) {
      add(FindingKind::kEntry, "which is of another type");
      return absl::OkStatus();
    }
    if (target->link_count == 0) {
      add(FindingKind::kOrphan, "which counts no names");
      return absl::OkStatus();
    }
    const bool is_first = target->parent == now_.inode && target->name_hash == hash;
    if (is_first || entry.inode == kRootInode) {
      if (entry.inode == kRootInode) add(FindingKind::kRoot, "which has no name");
      return absl::OkStatus();
    }
    STRATA_ASSIGN_OR_RETURN(const bool is_further,
                            Has(LinkKey(entry.inode, now_.inode, hash, name)));
    if (!is_further) add(FindingKind::kLink, "which does not know the name");
    return absl::OkStatus();
  }

  // ---- Extended attributes

  absl::Status CheckAttributes() {
    uint64_t names_bytes = 0;
    uint64_t total_bytes = 0;
    STRATA_RETURN_IF_ERROR(
        attributes_.ForEach(now_.inode, [&](std::string_view key, std::string_view value) {
          const std::string_view name = key.substr(9);
          const std::string text = absl::StrCat(
              "attribute '", absl::CHexEscape(View(name.substr(0, kMaxNameBytes))), "'");
          const auto add = [&](FindingKind kind, std::string_view what) {
            Add(kind, absl::StrCat(text, ": ", View(what)));
          };
          if (!now_.exists) add(FindingKind::kAttribute, "the inode is not there");
          if (name.empty() || name.size() > kMaxNameBytes ||
              name.find('\0') != std::string_view::npos) {
            add(FindingKind::kAttribute, "there is no such name");
          }
          const absl::StatusOr<AttributeRecord> record = DecodeAttribute(value);
          if (!record.ok()) {
            add(FindingKind::kRow, std::string(record.status().message()));
            return absl::OkStatus();
          }
          names_bytes += name.size() + 1;
          total_bytes += name.size() + record->value.size();
          if (name == kAccessAclName || name == kDefaultAclName) {
            const std::string wrong = WhatIsWrongWithAcl(name == kDefaultAclName, record->value);
            if (!wrong.empty()) add(FindingKind::kAttribute, wrong);
          }
          return absl::OkStatus();
        }));
    if (names_bytes > kMaxAttributeNamesBytes || total_bytes > kMaxAttributesBytes) {
      Add(FindingKind::kAttribute,
          absl::StrCat("its attributes have ", total_bytes, " bytes, their names ", names_bytes));
    }
    return absl::OkStatus();
  }

  std::string WhatIsWrongWithAcl(bool is_default, std::string_view value) const {
    const absl::StatusOr<Acl> acl = DecodeAcl(value);
    if (!acl.ok()) return std::string(acl.status().message());
    if (!now_.record.has_value()) return "";
    if (is_default) return IsDirectory() ? "" : "a default ACL of what is no directory";
    if (acl->IsMinimal()) return "it says no more than a mode";
    if (acl->ApplyTo(now_.record->mode) != now_.record->mode) return "the mode says something else";
    return "";
  }

  // ---- Extents

  absl::Status CheckExtents() {
    uint64_t blocks = 0;
    uint64_t end = 0;
    bool is_known = true;
    uint64_t count = 0;
    STRATA_RETURN_IF_ERROR(
        extents_.ForEach(now_.inode, [&](std::string_view key, std::string_view value) {
          ++count;
          ++context_.report->extents;
          const absl::StatusOr<Extent> decoded = DecodeExtentRow(key, value);
          if (!decoded.ok()) {
            is_known = false;
            context_.has_damaged_extents = true;
            context_.Add(FindingKind::kRow, std::string(decoded.status().message()));
            return absl::OkStatus();
          }
          blocks += StoredBlocks(*decoded);
          CheckExtent(*decoded, end);
          end = std::max(end, decoded->end());
          return absl::OkStatus();
        }));
    if (count > 0 && !now_.exists) {
      Add(FindingKind::kExtent, absl::StrCat("it has ", count, " extents, and is not there"));
    }
    if (!now_.record.has_value()) return absl::OkStatus();
    if (count > 0 && now_.record->type != FileType::kRegular) {
      Add(FindingKind::kExtent, absl::StrCat("it has ", count, " extents, and is no regular file"));
    }
    if (is_known && blocks != now_.record->stored_blocks) {
      Add(FindingKind::kStoredBlocks, absl::StrCat("it counts ", now_.record->stored_blocks,
                                                   " stored blocks, and has ", blocks));
    }
    return absl::OkStatus();
  }

  void CheckExtent(const Extent& extent, uint64_t end_before) {
    const ExtentRecord& record = extent.record;
    const auto wrong = [&](FindingKind kind, std::string_view what) {
      Add(kind, absl::StrCat("extent at ", extent.offset, ": ", View(what)));
    };
    if (extent.offset < end_before) wrong(FindingKind::kExtent, "it overlaps the one before");
    if (extent.offset > kMaxFileBytes || record.length_bytes > kMaxFileBytes - extent.offset) {
      wrong(FindingKind::kExtent, "it lies beyond the end of any file");
    } else if (now_.record.has_value() && !now_.record->trim_from.has_value() &&
               extent.end() > now_.record->size_bytes) {
      wrong(FindingKind::kExtent,
            absl::StrCat("it ends at ", extent.end(), ", after the end of the file at ",
                         now_.record->size_bytes));
    }
    if (record.born_epoch > context_.epoch) {
      wrong(FindingKind::kExtent, "it was born in an epoch that is to come");
    }
    if (record.codec != Codec::kNone) {
      context_.has_damaged_extents = true;
      wrong(FindingKind::kRow, "it is compressed, which this program does not know");
      return;
    }
    const uint64_t run_bytes = record.payload_offset + record.length_bytes;
    if (DivideUp(run_bytes, record.stripe_bytes) != record.stripe_count) {
      wrong(FindingKind::kStripe, "it names stripes that it does not use");
    }
    if (!context_.IsGivenOut("session", record.birth >> kBirthSequenceBits) ||
        !context_.IsGivenOut("session",
                             (record.birth + record.stripe_count - 1) >> kBirthSequenceBits)) {
      wrong(FindingKind::kCounter, "the session of its birth never was");
    }
  }

  CheckContext& context_;
  Now now_;
  InodeTable inodes_;
  InodeTable touches_;
  InodeTable entries_;
  InodeTable links_;
  InodeTable attributes_;
  InodeTable orphans_;
  InodeTable extents_;
  std::unordered_set<uint64_t> reachable_;  // Directories below the root, but not all of them.
};

}  // namespace

absl::Status CheckTree(CheckContext* context) { return TreeCheck(context).Run(); }

}  // namespace strata::ofs
