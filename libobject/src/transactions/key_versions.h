// SPDX-License-Identifier: Apache-2.0
//
// The versions of one key inside a Mutation. The newest is in the current table, whole, with the
// place of the null version among the older ones; the older ones are in theirs, newest first. A
// bucket without versioning touches the current table alone.
// One thread at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "records/records.h"
#include "records/version_ids.h"
#include "transactions/mutation.h"

namespace strata::object {

class KeyVersions final {
 public:
  // Reads the newest version; the commit fails when another one changed the key's versions since.
  // *mutation outlives this.
  static absl::StatusOr<KeyVersions> Load(Mutation* mutation, uint64_t bucket_id,
                                          std::string_view key);

  // The newest version, be it a delete marker; nullptr: the key has none.
  const ObjectRecord* head() const { return head_.has_value() ? &*head_ : nullptr; }

  // The object that a reader without a version id sees.
  const ObjectRecord* current() const {
    return head_.has_value() && !head_->is_delete_marker ? &*head_ : nullptr;
  }

  // Makes *record the newest version: fills in sequence, nonce, is_null and older_null_sequence,
  // and removes or keeps what was there before as `versioning` says. Amazon S3 User Guide, "Working
  // with objects in a versioning-suspended bucket". Call it once.
  absl::Status Add(Versioning versioning, ObjectRecord* record);

  // Replaces a version's record by one of the same version, whose content is the same.
  absl::Status Rewrite(const ObjectRecord& record);

  // nullopt: there is no such version.
  absl::StatusOr<std::optional<ObjectRecord>> Find(const VersionRef& version);

  // Removes that version for good and returns it; nullopt: there is none. Call it once.
  absl::StatusOr<std::optional<ObjectRecord>> Remove(const VersionRef& version);

 private:
  KeyVersions(Mutation* mutation, uint64_t bucket_id, std::string_view key)
      : mutation_(mutation), bucket_id_(bucket_id), key_(key) {}

  absl::Status PutHead(const ObjectRecord& record);
  absl::Status MoveHeadToOlder();
  absl::Status RemoveHead();
  absl::StatusOr<std::optional<ObjectRecord>> ReadOlder(uint64_t sequence);
  absl::Status RemoveOlder(const ObjectRecord& older);

  Mutation* mutation_;
  uint64_t bucket_id_;
  std::string key_;
  std::optional<ObjectRecord> head_;
};

// True when `record` is the version meant.
bool Matches(const ObjectRecord& record, const VersionRef& version);

struct FoundVersion {
  ObjectRecord record;
  bool is_latest = true;
};

// The version a reader asks for; empty `version_id`: the newest. kNoSuchKey, kNoSuchVersion,
// kIsDeleteMarker (a version was named), kInvalidArgument (not a version id).
absl::StatusOr<FoundVersion> FindVersion(kv::Reader& reader, kv::SpaceId space, uint64_t bucket_id,
                                         std::string_view key, std::string_view version_id);

// kInvalidArgument.
absl::StatusOr<VersionRef> RequireVersionId(std::string_view text);

}  // namespace strata::object
