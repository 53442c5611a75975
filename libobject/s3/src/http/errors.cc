// SPDX-License-Identifier: Apache-2.0
#include "http/errors.h"

#include <array>
#include <cstddef>
#include <optional>

#include "absl/strings/cord.h"
#include "http/text.h"
#include "strata/object/error.h"

namespace strata::s3 {
namespace {

using object::Reason;

constexpr char kPayloadUrl[] = "strata.s3/error";
constexpr char kRegionUrl[] = "strata.s3/region";
constexpr char kRangeUrl[] = "strata.s3/range";

constexpr auto kTable = std::to_array<ErrorInfo>({
    {ErrorCode::kAccessControlListNotSupported, "AccessControlListNotSupported", 400,
     "The bucket does not allow ACLs."},
    {ErrorCode::kAccessDenied, "AccessDenied", 403, "Access Denied."},
    {ErrorCode::kAuthorizationHeaderMalformed, "AuthorizationHeaderMalformed", 400,
     "The authorization header is malformed."},
    {ErrorCode::kAuthorizationQueryParametersError, "AuthorizationQueryParametersError", 400,
     "The authorization query parameters are malformed."},
    {ErrorCode::kBadDigest, "BadDigest", 400,
     "The checksum or Content-MD5 that was sent is not that of the content received."},
    {ErrorCode::kBucketAlreadyExists, "BucketAlreadyExists", 409,
     "The bucket name is taken by another user."},
    {ErrorCode::kBucketAlreadyOwnedByYou, "BucketAlreadyOwnedByYou", 409,
     "The bucket exists and is yours."},
    {ErrorCode::kBucketNotEmpty, "BucketNotEmpty", 409,
     "The bucket still holds objects or older versions."},
    {ErrorCode::kConditionalRequestConflict, "ConditionalRequestConflict", 409,
     "Another write to the object came between; try again."},
    {ErrorCode::kEntityTooLarge, "EntityTooLarge", 400,
     "The upload is larger than an object may be."},
    {ErrorCode::kEntityTooSmall, "EntityTooSmall", 400,
     "A part that is not the last is smaller than 5 MiB."},
    {ErrorCode::kExpectationFailed, "ExpectationFailed", 417,
     "No other expectation than 100-continue is understood."},
    {ErrorCode::kIllegalLocationConstraint, "IllegalLocationConstraintException", 400,
     "The location constraint is not this server's region."},
    {ErrorCode::kIncompleteBody, "IncompleteBody", 400,
     "The body is not as long as the headers say."},
    {ErrorCode::kInternalError, "InternalError", 500,
     "An internal error occurred. Please try again."},
    {ErrorCode::kInvalidAccessKeyId, "InvalidAccessKeyId", 403,
     "The access key is not known here."},
    {ErrorCode::kInvalidArgument, "InvalidArgument", 400, "An argument is invalid."},
    {ErrorCode::kInvalidBucketName, "InvalidBucketName", 400, "The bucket name is not valid."},
    {ErrorCode::kInvalidDigest, "InvalidDigest", 400,
     "The Content-MD5 or checksum is not a valid value of its kind."},
    {ErrorCode::kInvalidPart, "InvalidPart", 400,
     "A part named was not uploaded, or its ETag or checksum is another."},
    {ErrorCode::kInvalidPartNumber, "InvalidPartNumber", 416,
     "The object has no part of that number."},
    {ErrorCode::kInvalidPartOrder, "InvalidPartOrder", 400,
     "The parts are not in ascending order."},
    {ErrorCode::kInvalidRange, "InvalidRange", 416, "The object has none of the bytes asked for."},
    {ErrorCode::kInvalidRequest, "InvalidRequest", 400, "The request is not valid."},
    {ErrorCode::kInvalidStorageClass, "InvalidStorageClass", 400,
     "The storage class is not valid."},
    {ErrorCode::kInvalidTag, "InvalidTag", 400, "A tag is not valid."},
    {ErrorCode::kInvalidToken, "InvalidToken", 400, "The security token is not valid."},
    {ErrorCode::kInvalidUri, "InvalidURI", 400, "The URI cannot be understood."},
    {ErrorCode::kKeyTooLong, "KeyTooLongError", 400, "The key is longer than 1024 bytes."},
    {ErrorCode::kMalformedRequest, "BadRequest", 400, "The request is not valid HTTP/1.1."},
    {ErrorCode::kMalformedTrailer, "MalformedTrailerError", 400,
     "The trailer is not well formed or not the one announced."},
    {ErrorCode::kMalformedXml, "MalformedXML", 400,
     "The XML is not well formed or not of the form this operation takes."},
    {ErrorCode::kMetadataTooLarge, "MetadataTooLarge", 400,
     "The metadata headers are larger than 2 KiB."},
    {ErrorCode::kMethodNotAllowed, "MethodNotAllowed", 405,
     "The method is not allowed against this resource."},
    {ErrorCode::kMissingContentLength, "MissingContentLength", 411,
     "The Content-Length header is needed."},
    {ErrorCode::kMissingSecurityHeader, "MissingSecurityHeader", 400,
     "A header that this request needs is missing."},
    {ErrorCode::kNoSuchBucket, "NoSuchBucket", 404, "The bucket does not exist."},
    {ErrorCode::kNoSuchBucketPolicy, "NoSuchBucketPolicy", 404, "The bucket has no policy."},
    {ErrorCode::kNoSuchConfiguration, "NoSuchConfiguration", 404,
     "The bucket has no configuration of that id."},
    {ErrorCode::kNoSuchCorsConfiguration, "NoSuchCORSConfiguration", 404,
     "The bucket has no CORS configuration."},
    {ErrorCode::kNoSuchKey, "NoSuchKey", 404, "The key does not exist."},
    {ErrorCode::kNoSuchLifecycleConfiguration, "NoSuchLifecycleConfiguration", 404,
     "The bucket has no lifecycle configuration."},
    {ErrorCode::kNoSuchObjectLockConfiguration, "NoSuchObjectLockConfiguration", 404,
     "The object has no object lock configuration."},
    {ErrorCode::kNoSuchPublicAccessBlockConfiguration, "NoSuchPublicAccessBlockConfiguration", 404,
     "The bucket has no public access block configuration."},
    {ErrorCode::kNoSuchTagSet, "NoSuchTagSet", 404, "There are no tags."},
    {ErrorCode::kNoSuchUpload, "NoSuchUpload", 404,
     "The upload does not exist: it may have been aborted or completed."},
    {ErrorCode::kNoSuchVersion, "NoSuchVersion", 404, "The version does not exist."},
    {ErrorCode::kNoSuchWebsiteConfiguration, "NoSuchWebsiteConfiguration", 404,
     "The bucket has no website configuration."},
    {ErrorCode::kNotImplemented, "NotImplemented", 501,
     "A header or operation asked for is not implemented."},
    {ErrorCode::kNotModified, "NotModified", 304, "Not modified."},
    {ErrorCode::kObjectLockConfigurationNotFound, "ObjectLockConfigurationNotFoundError", 404,
     "The bucket has no object lock configuration."},
    {ErrorCode::kPreconditionFailed, "PreconditionFailed", 412,
     "A condition of the request does not hold."},
    {ErrorCode::kReplicationConfigurationNotFound, "ReplicationConfigurationNotFoundError", 404,
     "The bucket has no replication configuration."},
    {ErrorCode::kRequestHeaderTooLarge, "RequestHeaderSectionTooLarge", 431,
     "The request line and headers are larger than this server takes."},
    {ErrorCode::kRequestTimeTooSkewed, "RequestTimeTooSkewed", 403,
     "The request's time and this server's differ by more than 15 minutes."},
    {ErrorCode::kRequestTimeout, "RequestTimeout", 400,
     "The connection was not written to for too long."},
    {ErrorCode::kServerSideEncryptionConfigurationNotFound,
     "ServerSideEncryptionConfigurationNotFoundError", 404,
     "The bucket has no encryption configuration."},
    {ErrorCode::kServiceUnavailable, "ServiceUnavailable", 503,
     "The request cannot be served now. Please try again."},
    {ErrorCode::kSignatureDoesNotMatch, "SignatureDoesNotMatch", 403,
     "The signature computed here is not the one sent. Check the secret key and how the request "
     "is signed."},
    {ErrorCode::kSlowDown, "SlowDown", 503, "Please reduce your request rate."},
    {ErrorCode::kStorageFull, "StorageFull", 507, "The store is full. Nothing was written."},
    {ErrorCode::kXAmzContentSha256Mismatch, "XAmzContentSHA256Mismatch", 400,
     "The x-amz-content-sha256 that was sent is not that of the content received."},
});

constexpr bool TableIsInOrder() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<size_t>(kTable[i].code) != i) return false;
  }
  return kTable.size() == static_cast<size_t>(ErrorCode::kLast) + 1;
}
static_assert(TableIsInOrder(), "the table has one row per ErrorCode, in the enum's order");

absl::StatusCode StatusCodeOf(int http_status) {
  switch (http_status) {
    case 304:
    case 409:
    case 412:
      return absl::StatusCode::kFailedPrecondition;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 416:
      return absl::StatusCode::kOutOfRange;
    case 500:
      return absl::StatusCode::kInternal;
    case 501:
      return absl::StatusCode::kUnimplemented;
    case 503:
      return absl::StatusCode::kUnavailable;
    case 507:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kInvalidArgument;
  }
}

ErrorCode CodeOfReason(Reason reason, absl::StatusCode status_code) {
  switch (reason) {
    case Reason::kNoSuchBucket:
      return ErrorCode::kNoSuchBucket;
    case Reason::kNoSuchKey:
      return ErrorCode::kNoSuchKey;
    case Reason::kNoSuchVersion:
      return ErrorCode::kNoSuchVersion;
    case Reason::kNoSuchUpload:
      return ErrorCode::kNoSuchUpload;
    case Reason::kNoSuchAccessKey:
      return ErrorCode::kInvalidAccessKeyId;
    case Reason::kBucketAlreadyOwnedByYou:
      return ErrorCode::kBucketAlreadyOwnedByYou;
    case Reason::kBucketAlreadyExists:
      return ErrorCode::kBucketAlreadyExists;
    case Reason::kBucketNotEmpty:
      return ErrorCode::kBucketNotEmpty;
    case Reason::kPreconditionFailed:
      return ErrorCode::kPreconditionFailed;
    case Reason::kNotModified:
      return ErrorCode::kNotModified;
    case Reason::kConditionalConflict:
      return ErrorCode::kConditionalRequestConflict;
    case Reason::kIsDeleteMarker:
      return ErrorCode::kMethodNotAllowed;
    case Reason::kInvalidRange:
      return ErrorCode::kInvalidRange;
    case Reason::kInvalidBucketName:
      return ErrorCode::kInvalidBucketName;
    case Reason::kKeyTooLong:
      return ErrorCode::kKeyTooLong;
    case Reason::kInvalidPart:
      return ErrorCode::kInvalidPart;
    case Reason::kInvalidPartOrder:
      return ErrorCode::kInvalidPartOrder;
    case Reason::kInvalidPartNumber:
      return ErrorCode::kInvalidPartNumber;
    case Reason::kEntityTooSmall:
      return ErrorCode::kEntityTooSmall;
    case Reason::kEntityTooLarge:
      return ErrorCode::kEntityTooLarge;
    case Reason::kMetadataTooLarge:
      return ErrorCode::kMetadataTooLarge;
    case Reason::kBadDigest:
      return ErrorCode::kBadDigest;
    case Reason::kWrongSize:
      return ErrorCode::kInvalidRequest;
    case Reason::kInvalidArgument:
      return ErrorCode::kInvalidArgument;
    case Reason::kStorageFull:
      return ErrorCode::kStorageFull;
    case Reason::kNoSuchUser:  // The caller, removed while the request was served.
      return ErrorCode::kInvalidAccessKeyId;
    case Reason::kUserAlreadyExists:
    case Reason::kDamaged:
    case Reason::kNone:
      break;
  }
  switch (status_code) {
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorCode::kServiceUnavailable;
    case absl::StatusCode::kResourceExhausted:
      return ErrorCode::kSlowDown;
    default:
      return ErrorCode::kInternalError;
  }
}

std::optional<ErrorCode> OwnCodeOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value() || payload->size() != 1) return std::nullopt;
  return static_cast<ErrorCode>(static_cast<uint8_t>((*payload)[0]));
}

}  // namespace

const ErrorInfo& InfoOf(ErrorCode code) { return kTable[static_cast<size_t>(code)]; }

absl::Status MakeError(ErrorCode code, std::string_view message) {
  const ErrorInfo& info = InfoOf(code);
  const std::string_view text = message.empty() ? info.message : message;
  absl::Status status(StatusCodeOf(info.http_status), absl::string_view(text.data(), text.size()));
  const char payload = static_cast<char>(code);
  status.SetPayload(kPayloadUrl, absl::Cord(absl::string_view(&payload, 1)));
  return status;
}

absl::Status MakeRegionError(ErrorCode code, std::string_view wrong, std::string_view region) {
  absl::Status status =
      MakeError(code, Concat({"The region '", wrong, "' is wrong; expecting '", region, "'."}));
  status.SetPayload(kRegionUrl, absl::Cord(absl::string_view(region.data(), region.size())));
  return status;
}

std::string ExpectedRegionOf(const absl::Status& status) {
  const absl::optional<absl::Cord> region = status.GetPayload(kRegionUrl);
  return region.has_value() ? std::string(*region) : std::string();
}

absl::Status MakeRangeError(std::string_view range, uint64_t object_size_bytes) {
  absl::Status status = MakeError(ErrorCode::kInvalidRange);
  const std::string payload = Concat({std::to_string(object_size_bytes), " ", range});
  status.SetPayload(kRangeUrl, absl::Cord(payload));
  return status;
}

std::optional<RangeFault> RangeFaultOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kRangeUrl);
  if (!payload.has_value()) return std::nullopt;
  const std::string text(*payload);
  const auto [size, range] = SplitOnce(text, ' ');
  return RangeFault{.range = std::string(range), .object_size_bytes = std::string(size)};
}

ErrorCode ErrorCodeOf(const absl::Status& status) {
  if (const std::optional<ErrorCode> code = OwnCodeOf(status)) return *code;
  return CodeOfReason(object::ReasonOf(status), status.code());
}

std::string ClientMessageOf(const absl::Status& status) {
  const Reason reason = object::ReasonOf(status);
  if (OwnCodeOf(status).has_value() || reason == Reason::kInvalidArgument ||
      reason == Reason::kWrongSize) {
    return std::string(status.message());
  }
  if (reason == Reason::kDamaged) {
    return "The stored data is damaged; what is left of it is not handed out.";
  }
  return std::string(InfoOf(ErrorCodeOf(status)).message);
}

}  // namespace strata::s3
