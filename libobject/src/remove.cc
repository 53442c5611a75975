// SPDX-License-Identifier: Apache-2.0
//
// Deleting an object or a version of it.
#include <utility>

#include "names.h"
#include "object_store.h"
#include "strata/base/status_macros.h"

namespace strata::object {
namespace {

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
                                                 std::string_view version_id) {
  STRATA_RETURN_IF_ERROR(CheckObjectKey(key));
  std::optional<VersionRef> version;
  if (!version_id.empty()) {
    STRATA_ASSIGN_OR_RETURN(version, RequireVersionId(version_id));
  }
  DeleteResult result;
  STRATA_RETURN_IF_ERROR(Mutate(key, [&](Mutation& mutation) -> absl::Status {
    result = {.version_id = std::string(version_id)};
    STRATA_ASSIGN_OR_RETURN(const BucketRecord in, RequireBucket(mutation.txn(), bucket));
    STRATA_ASSIGN_OR_RETURN(KeyVersions versions, KeyVersions::Load(&mutation, in.id, key));
    if (version.has_value()) return RemoveVersion(&versions, *version, &result);
    if (in.versioning != Versioning::kOff) {
      return AddDeleteMarker(&versions, in, mutation.now_ns(), &result);
    }
    return RemoveVersion(&versions, VersionRef{.is_null = true}, &result);
  }));
  return result;
}

}  // namespace strata::object
