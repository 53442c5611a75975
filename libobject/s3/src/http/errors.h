// SPDX-License-Identifier: Apache-2.0
//
// S3's error codes: one table of names, HTTP statuses and messages, and what errors of the store
// become. Source: Amazon S3 API Reference, "Error responses".
//
//   return MakeError(ErrorCode::kMalformedXml);
//   const ErrorInfo& info = InfoOf(ErrorCodeOf(status));
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace strata::s3 {

enum class ErrorCode : uint8_t {
  kAccessControlListNotSupported,
  kAccessDenied,
  kAuthorizationHeaderMalformed,
  kAuthorizationQueryParametersError,
  kBadDigest,
  kBucketAlreadyExists,
  kBucketAlreadyOwnedByYou,
  kBucketNotEmpty,
  kConditionalRequestConflict,
  kEntityTooLarge,
  kEntityTooSmall,
  kExpectationFailed,
  kIllegalLocationConstraint,
  kIncompleteBody,
  kInternalError,
  kInvalidAccessKeyId,
  kInvalidArgument,
  kInvalidBucketName,
  kInvalidDigest,
  kInvalidPart,
  kInvalidPartNumber,
  kInvalidPartOrder,
  kInvalidRange,
  kInvalidRequest,
  kInvalidStorageClass,
  kInvalidTag,
  kInvalidToken,
  kInvalidUri,
  kKeyTooLong,
  kMalformedRequest,
  kMalformedTrailer,
  kMalformedXml,
  kMetadataTooLarge,
  kMethodNotAllowed,
  kMissingContentLength,
  kMissingSecurityHeader,
  kNoSuchBucket,
  kNoSuchBucketPolicy,
  kNoSuchConfiguration,
  kNoSuchCorsConfiguration,
  kNoSuchKey,
  kNoSuchLifecycleConfiguration,
  kNoSuchObjectLockConfiguration,
  kNoSuchPublicAccessBlockConfiguration,
  kNoSuchTagSet,
  kNoSuchUpload,
  kNoSuchVersion,
  kNoSuchWebsiteConfiguration,
  kNotImplemented,
  kNotModified,
  kObjectLockConfigurationNotFound,
  kPreconditionFailed,
  kReplicationConfigurationNotFound,
  kRequestHeaderTooLarge,
  kRequestTimeTooSkewed,
  kRequestTimeout,
  kServerSideEncryptionConfigurationNotFound,
  kServiceUnavailable,
  kSignatureDoesNotMatch,
  kSlowDown,
  kStorageFull,
  kXAmzContentSha256Mismatch,
  kLast = kXAmzContentSha256Mismatch,
};

struct ErrorInfo {
  ErrorCode code;
  std::string_view name;  // As in <Code>.
  int http_status;
  std::string_view message;
};

const ErrorInfo& InfoOf(ErrorCode code);

// `message`: instead of the table's.
absl::Status MakeError(ErrorCode code, std::string_view message = {});

// kAuthorizationHeaderMalformed (or its like in a query) for a signature of another region than
// `region`. Clients read it out of the reply and sign again.
absl::Status MakeRegionError(ErrorCode code, std::string_view wrong, std::string_view region);

// The region of such an error; empty for others.
std::string ExpectedRegionOf(const absl::Status& status);

// kInvalidRange for a Range header of an object of `object_size_bytes`, which the reply tells.
absl::Status MakeRangeError(std::string_view range, uint64_t object_size_bytes);

struct RangeFault {
  std::string range;
  std::string object_size_bytes;  // In decimal.
};

// nullopt: it is no such error.
std::optional<RangeFault> RangeFaultOf(const absl::Status& status);

// Errors of MakeError() and of object::Store; anything else is kInternalError or its like.
ErrorCode ErrorCodeOf(const absl::Status& status);

// What the client may read. It tells nothing of the inside: an unexpected error's own text is for
// the log.
std::string ClientMessageOf(const absl::Status& status);

}  // namespace strata::s3
