// SPDX-License-Identifier: Apache-2.0
//
// The S3 operations, and which one a request asks for. Each handler is in the ops_*.cc named after
// its subject. Source: Amazon S3 API Reference, "Actions".
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operations/call.h"
#include "protocol/known_headers.h"

namespace strata::s3 {

// What must be so before the handler is called; see Authorize() in auth/access.h.
enum class Needs {
  kUser,    // Anyone with a valid signature.
  kBucket,  // The bucket exists and the caller may use it.
};

struct Operation {
  std::string_view name;  // S3's, as in statistics.
  Needs needs;
  Handler handler;
  std::string_view parameters;  // That it takes beside its sub-resource, with spaces between them.
  HeaderUses headers;           // That it acts on, of those that only some operations do.
  size_t index;                 // Below kMaxOperations.
};

inline constexpr size_t kMaxOperations = 64;

// The operation whose method, level and sub-resource are the request's. A sub-resource never gives
// way to the plain operation: kNotImplemented where S3 has the operation and this server has not,
// kMethodNotAllowed where S3 has not either, kInvalidArgument for two sub-resources at once.
absl::StatusOr<const Operation*> FindOperation(const Request& request);

// Whether `operation` takes all that the request says: see CheckHeaders() for headers. Reads ignore
// parameters that are not theirs, as Amazon does. Writes ignore those alone that S3 does not know,
// and of them refuse what may be a sub-resource of a later S3 (no value) or a known one misspelt.
// kInvalidArgument: a parameter that is not for this operation, empty, twice or misspelt.
// kNotImplemented.
absl::Status CheckRequest(const Request& request, const Operation& operation);

// All of them, by index. nullptr: past the last.
const Operation* OperationAt(size_t index);

// ops_bucket.cc
absl::StatusOr<Step> ListBuckets(const Call& call);
absl::StatusOr<Step> CreateBucket(const Call& call);
absl::StatusOr<Step> HeadBucket(const Call& call);
absl::StatusOr<Step> DeleteBucket(const Call& call);
absl::StatusOr<Step> GetBucketLocation(const Call& call);
absl::StatusOr<Step> GetBucketVersioning(const Call& call);
absl::StatusOr<Step> PutBucketVersioning(const Call& call);

// ops_config.cc
absl::StatusOr<Step> GetAcl(const Call& call);
absl::StatusOr<Step> PutAcl(const Call& call);
absl::StatusOr<Step> GetConfiguration(const Call& call);
absl::StatusOr<Step> PutConfiguration(const Call& call);
absl::StatusOr<Step> DeleteConfiguration(const Call& call);
bool IsConfiguration(std::string_view query_name);
absl::StatusOr<Step> NotImplemented(const Call& call);
absl::StatusOr<Step> NoObjectLock(const Call& call);

// ops_list.cc
absl::StatusOr<Step> ListObjects(const Call& call);
absl::StatusOr<Step> ListObjectsV2(const Call& call);
absl::StatusOr<Step> ListObjectVersions(const Call& call);

// ops_put.cc
absl::StatusOr<Step> PutObject(const Call& call);
absl::StatusOr<Step> CopyObject(const Call& call);

// ops_get.cc
absl::StatusOr<Step> GetObject(const Call& call);
absl::StatusOr<Step> HeadObject(const Call& call);
absl::StatusOr<Step> GetObjectAttributes(const Call& call);

// ops_delete.cc
absl::StatusOr<Step> DeleteObject(const Call& call);
absl::StatusOr<Step> DeleteObjects(const Call& call);

// ops_tagging.cc
absl::StatusOr<Step> GetObjectTagging(const Call& call);
absl::StatusOr<Step> PutObjectTagging(const Call& call);
absl::StatusOr<Step> DeleteObjectTagging(const Call& call);

// ops_multipart.cc
absl::StatusOr<Step> CreateMultipartUpload(const Call& call);
absl::StatusOr<Step> UploadPart(const Call& call);
absl::StatusOr<Step> UploadPartCopy(const Call& call);
absl::StatusOr<Step> CompleteMultipartUpload(const Call& call);
absl::StatusOr<Step> AbortMultipartUpload(const Call& call);
absl::StatusOr<Step> ListParts(const Call& call);
absl::StatusOr<Step> ListMultipartUploads(const Call& call);

}  // namespace strata::s3
