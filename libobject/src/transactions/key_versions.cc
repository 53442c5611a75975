// SPDX-License-Identifier: Apache-2.0
#include "transactions/key_versions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "records/version_ids.h"
#include "strata/base/status_macros.h"
#include "strata/object/error.h"

namespace strata::object {
namespace {

DeleteMarker MarkerOf(const ObjectRecord& record) {
  return {.version_id = VersionIdOf(record), .modified_ns = record.modified_ns};
}

}  // namespace

bool Matches(const ObjectRecord& record, const VersionRef& version) {
  if (version.is_null || record.is_null) return version.is_null && record.is_null;
  return record.sequence == version.sequence && record.nonce == version.nonce;
}

absl::StatusOr<VersionRef> RequireVersionId(std::string_view text) {
  const std::optional<VersionRef> version = ParseVersionId(text);
  if (version.has_value()) return *version;
  return MakeError(Reason::kInvalidArgument, absl::StrFormat("'%s' is not a version id", text));
}

absl::StatusOr<KeyVersions> KeyVersions::Load(Mutation* mutation, uint64_t bucket_id,
                                              std::string_view key) {
  KeyVersions versions(mutation, bucket_id, key);
  STRATA_ASSIGN_OR_RETURN(versions.head_, ReadRecord(mutation->txn(), mutation->space(),
                                                     CurrentKey(bucket_id, key), DecodeObject));
  return versions;
}

absl::Status KeyVersions::PutHead(const ObjectRecord& record) {
  return mutation_->Put(CurrentKey(bucket_id_, key_), Encode(record));
}

absl::Status KeyVersions::MoveHeadToOlder() {
  ObjectRecord older = *head_;
  older.older_null_sequence = 0;
  return mutation_->Put(OlderKey(bucket_id_, key_, older.sequence), Encode(older));
}

absl::StatusOr<std::optional<ObjectRecord>> KeyVersions::ReadOlder(uint64_t sequence) {
  return ReadRecord(mutation_->txn(), mutation_->space(), OlderKey(bucket_id_, key_, sequence),
                    DecodeObject);
}

absl::Status KeyVersions::RemoveOlder(const ObjectRecord& older) {
  STRATA_RETURN_IF_ERROR(mutation_->RemoveContent(bucket_id_, older));
  return mutation_->Delete(OlderKey(bucket_id_, key_, older.sequence));
}

absl::Status KeyVersions::Add(Versioning versioning, ObjectRecord* record) {
  record->is_null = versioning != Versioning::kEnabled;
  record->sequence = mutation_->now_ns();
  record->nonce = mutation_->backing().ids->Next64();
  record->older_null_sequence = 0;
  if (head_.has_value()) {
    record->sequence = std::max(record->sequence, head_->sequence + 1);
    if (record->is_null && head_->is_null) {
      STRATA_RETURN_IF_ERROR(mutation_->RemoveContent(bucket_id_, *head_));
    } else {
      STRATA_RETURN_IF_ERROR(MoveHeadToOlder());
      if (!record->is_null) {
        record->older_null_sequence = head_->is_null ? head_->sequence : head_->older_null_sequence;
      } else if (head_->older_null_sequence != 0) {
        STRATA_ASSIGN_OR_RETURN(const std::optional<ObjectRecord> older_null,
                                ReadOlder(head_->older_null_sequence));
        if (older_null.has_value()) STRATA_RETURN_IF_ERROR(RemoveOlder(*older_null));
      }
    }
  }
  return PutHead(*record);
}

absl::Status KeyVersions::RemoveHead() {
  STRATA_RETURN_IF_ERROR(mutation_->RemoveContent(bucket_id_, *head_));
  const absl::StatusOr<kv::Page> page =
      mutation_->txn().List(mutation_->space(), OlderRange(bucket_id_, key_), {.max_items = 1});
  if (!page.ok()) return FromStorage(page.status(), "listing older versions");
  if (page->items.empty()) return mutation_->Delete(CurrentKey(bucket_id_, key_));

  absl::StatusOr<ObjectRecord> next = DecodeObject(page->items[0].value);
  if (!next.ok()) return FromStorage(next.status(), "decoding an older version");
  next->older_null_sequence = next->is_null ? 0 : head_->older_null_sequence;
  STRATA_RETURN_IF_ERROR(mutation_->Delete(page->items[0].key));
  return PutHead(*next);
}

absl::StatusOr<std::optional<ObjectRecord>> KeyVersions::Find(const VersionRef& version) {
  if (!head_.has_value() || Matches(*head_, version)) return head_;
  const uint64_t sequence = version.is_null ? head_->older_null_sequence : version.sequence;
  if (sequence == 0) return std::nullopt;
  STRATA_ASSIGN_OR_RETURN(std::optional<ObjectRecord> older, ReadOlder(sequence));
  if (!older.has_value() || !Matches(*older, version)) return std::nullopt;
  return older;
}

absl::StatusOr<std::optional<ObjectRecord>> KeyVersions::Remove(const VersionRef& version) {
  STRATA_ASSIGN_OR_RETURN(std::optional<ObjectRecord> removed, Find(version));
  if (!removed.has_value()) return std::nullopt;
  if (Matches(*head_, version)) {
    STRATA_RETURN_IF_ERROR(RemoveHead());
    return removed;
  }
  STRATA_RETURN_IF_ERROR(RemoveOlder(*removed));
  if (removed->is_null) {
    ObjectRecord head = *head_;
    head.older_null_sequence = 0;
    STRATA_RETURN_IF_ERROR(PutHead(head));
  }
  return removed;
}

absl::Status KeyVersions::Rewrite(const ObjectRecord& record) {
  if (head_.has_value() && head_->sequence == record.sequence) return PutHead(record);
  return mutation_->Put(OlderKey(bucket_id_, key_, record.sequence), Encode(record));
}

absl::StatusOr<FoundVersion> FindVersion(kv::Reader& reader, kv::SpaceId space, uint64_t bucket_id,
                                         std::string_view key, std::string_view version_id) {
  STRATA_ASSIGN_OR_RETURN(std::optional<ObjectRecord> head,
                          ReadRecord(reader, space, CurrentKey(bucket_id, key), DecodeObject));
  if (version_id.empty()) {
    if (!head.has_value() || head->is_delete_marker) {
      absl::Status status =
          MakeError(Reason::kNoSuchKey, absl::StrFormat("no object has the key '%s'", key));
      return head.has_value() ? WithDeleteMarker(std::move(status), MarkerOf(*head)) : status;
    }
    return FoundVersion{*std::move(head), true};
  }

  STRATA_ASSIGN_OR_RETURN(const VersionRef version, RequireVersionId(version_id));
  FoundVersion found;
  if (head.has_value() && Matches(*head, version)) {
    found.record = *std::move(head);
  } else {
    const uint64_t sequence =
        version.is_null && head.has_value() ? head->older_null_sequence : version.sequence;
    STRATA_ASSIGN_OR_RETURN(
        std::optional<ObjectRecord> older,
        ReadRecord(reader, space, OlderKey(bucket_id, key, sequence), DecodeObject));
    if (!older.has_value() || !Matches(*older, version)) {
      return MakeError(Reason::kNoSuchVersion,
                       absl::StrFormat("the key '%s' has no version '%s'", key, version_id));
    }
    found = {*std::move(older), false};
  }
  if (found.record.is_delete_marker) {
    return WithDeleteMarker(
        MakeError(Reason::kIsDeleteMarker,
                  absl::StrFormat("version '%s' of '%s' is a delete marker", version_id, key)),
        MarkerOf(found.record));
  }
  return found;
}

}  // namespace strata::object
