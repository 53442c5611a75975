// SPDX-License-Identifier: Apache-2.0
//
// Why an object store refused. The absl::StatusCode says what kind of error it is; the Reason,
// carried as a payload, says which one, so that a front end can give it the name its protocol has
// for it. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "strata/base/export.h"

namespace strata::object {

enum class Reason : uint8_t {
  kNone,                     // Not an object::Store error, or one without a finer name.
  kNoSuchBucket,             // NotFound
  kNoSuchKey,                // NotFound
  kNoSuchVersion,            // NotFound
  kNoSuchUpload,             // NotFound
  kNoSuchUser,               // NotFound
  kNoSuchAccessKey,          // NotFound
  kBucketAlreadyOwnedByYou,  // AlreadyExists
  kBucketAlreadyExists,      // AlreadyExists
  kUserAlreadyExists,        // AlreadyExists
  kBucketNotEmpty,           // FailedPrecondition
  kPreconditionFailed,       // FailedPrecondition: an If-... condition does not hold
  kNotModified,              // FailedPrecondition: If-None-Match or If-Modified-Since on a read
  kConditionalConflict,      // Aborted: another writer won the race that a condition guards
  kIsDeleteMarker,           // FailedPrecondition: the named version is a delete marker
  kInvalidRange,             // OutOfRange
  kInvalidBucketName,        // InvalidArgument
  kKeyTooLong,               // InvalidArgument
  kInvalidPart,              // InvalidArgument
  kInvalidPartOrder,         // InvalidArgument
  kInvalidPartNumber,        // InvalidArgument
  kEntityTooSmall,           // InvalidArgument: a part but the last is under 5 MiB
  kEntityTooLarge,           // InvalidArgument
  kMetadataTooLarge,         // InvalidArgument
  kBadDigest,                // InvalidArgument: the content is not what its checksum says
  kWrongSize,                // InvalidArgument: the object is not as long as announced
  kInvalidArgument,          // InvalidArgument
  kStorageFull,              // ResourceExhausted
  kDamaged,                  // DataLoss
};

STRATA_EXPORT absl::Status MakeError(Reason reason, std::string_view message);
STRATA_EXPORT Reason ReasonOf(const absl::Status& status);
STRATA_EXPORT std::string_view ReasonName(Reason reason);

// The delete marker that a read met, in errors of kNoSuchKey and kIsDeleteMarker.
struct DeleteMarker {
  std::string version_id;
  uint64_t modified_ns = 0;
};
STRATA_EXPORT absl::Status WithDeleteMarker(absl::Status status, const DeleteMarker& marker);
STRATA_EXPORT std::optional<DeleteMarker> DeleteMarkerOf(const absl::Status& status);

}  // namespace strata::object
