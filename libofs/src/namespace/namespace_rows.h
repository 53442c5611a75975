// SPDX-License-Identifier: Apache-2.0
//
// The rows of the tree as one transaction, or one snapshot, sees them. Errors name the row.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "format/key_layout.h"
#include "format/records.h"
#include "namespace/namespace.h"
#include "strata/kv/store.h"

namespace strata::ofs {

// Where a name is: its directory, the name, its hash.
struct Namespace::Position {
  uint64_t parent = 0;
  std::string_view name;
  uint64_t hash = 0;
};

std::string InodeText(uint64_t inode);  // "inode 7", for messages.

// What only reads, for snapshots too.
// nullopt: there is no such inode (any more).
absl::StatusOr<std::optional<InodeRecord>> FindInode(kv::Reader& reader, kv::SpaceId meta,
                                                     uint64_t inode);
// ENOENT: the same.
absl::StatusOr<InodeRecord> ReadInode(kv::Reader& reader, kv::SpaceId meta, uint64_t inode);
absl::StatusOr<std::optional<EntryRecord>> ReadEntry(kv::Reader& reader, kv::SpaceId meta,
                                                     const std::string& key);
// The status of reading what the entry `name` names: that it is not there is damage (DataLoss).
absl::Status DamageOfEntry(const absl::Status& status, std::string_view name);
// With what the row of touches says, where there is one: what stat() shows.
absl::StatusOr<Found> ReadFound(kv::Reader& reader, kv::SpaceId meta, uint64_t inode);
void MergeTouch(const TouchRecord& touch, InodeRecord* attributes);
// A directory counts its name, its "." and the ".." of each directory in it.
InodeRecord WithLinks(InodeRecord attributes);

// Counts the change.
absl::Status PutInode(kv::Transaction& txn, kv::SpaceId meta, uint64_t inode, InodeRecord* record);

class Namespace::Rows final {
 public:
  Rows(kv::Transaction& txn, kv::SpaceId meta, int64_t now_ns, uint64_t epoch)
      : txn_(txn), meta_(meta), now_ns_(now_ns), epoch_(epoch) {}

  kv::Transaction& txn() { return txn_; }
  int64_t now_ns() const { return now_ns_; }
  uint64_t epoch() const { return epoch_; }

  absl::StatusOr<InodeRecord> Inode(uint64_t inode) { return ReadInode(txn_, meta_, inode); }
  // A directory that is still in the tree. ENOTDIR; ENOENT.
  absl::StatusOr<InodeRecord> Directory(uint64_t inode);
  // What an entry names. DataLoss: there is no such inode.
  absl::StatusOr<InodeRecord> Named(const Position& at, const EntryRecord& entry);
  absl::Status PutInode(uint64_t inode, InodeRecord* record) {
    return ofs::PutInode(txn_, meta_, inode, record);
  }
  // The same, where times were set: those of the record overrule what entries did before
  // (`overrules_touch`), or not. Returns what stat() will show. Makers of entries do not conflict
  // with it.
  absl::StatusOr<InodeRecord> PutTimes(uint64_t inode, InodeRecord* record, bool overrules_touch);

  absl::StatusOr<std::optional<EntryRecord>> Entry(const Position& at);
  absl::Status PutEntry(const Position& at, const EntryRecord& entry);
  absl::Status DeleteEntry(const Position& at);
  absl::StatusOr<bool> IsEmpty(uint64_t directory);

  // An entry of the directory came or went. Reads nothing, so that two who do it do not conflict.
  absl::Status Touch(uint64_t directory);

  // Takes the link at `at` from an inode; with its last one it becomes an orphan. PutInode()
  // follows.
  absl::Status DropLink(uint64_t inode, InodeRecord* record, const Position& at);
  absl::Status MoveLink(uint64_t inode, InodeRecord* record, const Position& from,
                        const Position& to);

  absl::StatusOr<std::optional<std::string>> Attribute(uint64_t inode, std::string_view name);
  absl::Status PutAttribute(uint64_t inode, std::string_view name, std::string_view value);
  absl::Status DeleteAttribute(uint64_t inode, std::string_view name);

  absl::Status Put(const std::string& key, std::string_view value) {
    return txn_.Put(meta_, key, value);
  }
  absl::Status Delete(const std::string& key) { return txn_.Delete(meta_, key); }
  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) {
    return txn_.Get(meta_, key);
  }

 private:
  kv::Transaction& txn_;
  const kv::SpaceId meta_;
  const int64_t now_ns_;
  const uint64_t epoch_;
};

}  // namespace strata::ofs
