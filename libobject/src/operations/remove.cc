// SPDX-License-Identifier: Apache-2.0
//
// Deleting an object or a version of it, and changing a version's tags.
#include <utility>

#include "absl/strings/str_format.h"
#include "operations/object_store.h"
#include "records/names.h"
#include "records/version_ids.h"
#include "strata/base/status_macros.h"
#include "transactions/conditions.h"

namespace strata::object {
namespace {

// `met`: the version that the deletion is about; nullptr: there is none.
absl::Status CheckDeleteConditions(const Conditions& conditions, const ObjectRecord* met) {
  if (AsksNothing(conditions)) return absl::OkStatus();
  if (met != nullptr && met->is_delete_marker) {
    return MakeError(Reason::kPreconditionFailed, "a delete marker has no ETag");
  }
  return CheckWriteConditions(conditions, met);
}

absl::Status RemoveVersion(KeyVersions* versions, const VersionRef& version, DeleteResult* result) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<ObjectRecord> removed, versions->Remove(version));
  result->existed = removed.has_value();
  result->delete_marker = removed.has_value() && removed->is_delete_marker;
  return absl::OkStatus();
}

absl::Status AddDeleteMarker(KeyVersions* versions, const BucketRecord& bucket, uint64_t now_ns,
                             DeleteResult* result) {
  ObjectRecord marker;
  marker.is_delete_marker = true;
  marker.modified_ns = now_ns;
  marker.owner = bucket.owner;
  result->existed = versions->current() != nullptr;
  STRATA_RETURN_IF_ERROR(versions->Add(bucket.versioning, &marker));
  result->delete_marker = true;
  result->version_id = VersionIdOf(marker);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DeleteResult> ObjectStore::Delete(BucketRef bucket, std::string_view key,
                                                 std::string_view version_id,
                                                 const Conditions& conditions) {
  STRATA_RETURN_IF_ERROR(CheckObjectKey(key));
  std::optional<VersionRef> version;
  if (!version_id.empty()) {
    STRATA_ASSIGN_OR_RETURN(version, RequireVersionId(version_id));
  }
  DeleteResult result;
  const absl::Status status = Mutate(key, [&](Mutation& mutation) -> absl::Status {
    result = {.version_id = std::string(version_id)};
    STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record,
                            RequireBucket(mutation.txn(), bucket));
    STRATA_ASSIGN_OR_RETURN(KeyVersions versions,
                            KeyVersions::Load(&mutation, bucket_record.id, key));
    if (version.has_value()) {
      STRATA_ASSIGN_OR_RETURN(const std::optional<ObjectRecord> named, versions.Find(*version));
      STRATA_RETURN_IF_ERROR(
          CheckDeleteConditions(conditions, named.has_value() ? &*named : nullptr));
      return RemoveVersion(&versions, *version, &result);
    }
    STRATA_RETURN_IF_ERROR(CheckDeleteConditions(conditions, versions.head()));
    if (bucket_record.versioning != Versioning::kOff) {
      return AddDeleteMarker(&versions, bucket_record, mutation.now_ns(), &result);
    }
    return RemoveVersion(&versions, VersionRef{.is_null = true}, &result);
  });
  if (absl::IsAborted(status) && !AsksNothing(conditions)) {
    return MakeError(Reason::kConditionalConflict,
                     absl::StrFormat("others keep changing '%s'", key));
  }
  STRATA_RETURN_IF_ERROR(status);
  return result;
}

absl::StatusOr<ObjectInfo> ObjectStore::SetTags(BucketRef bucket, std::string_view key,
                                                std::string_view version_id,
                                                const std::map<std::string, std::string>& tags) {
  STRATA_RETURN_IF_ERROR(CheckObjectKey(key));
  Metadata checked;
  checked.tags = tags;
  STRATA_RETURN_IF_ERROR(CheckMetadata(checked));
  ObjectInfo info;
  STRATA_RETURN_IF_ERROR(Mutate(key, [&](Mutation& mutation) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record,
                            RequireBucket(mutation.txn(), bucket));
    STRATA_ASSIGN_OR_RETURN(KeyVersions versions,
                            KeyVersions::Load(&mutation, bucket_record.id, key));
    STRATA_ASSIGN_OR_RETURN(FoundVersion found, FindVersion(mutation.txn(), mutation.space(),
                                                            bucket_record.id, key, version_id));
    found.record.metadata.tags = tags;
    info = InfoOf(key, found.record, found.is_latest);
    return versions.Rewrite(found.record);
  }));
  return info;
}

}  // namespace strata::object
