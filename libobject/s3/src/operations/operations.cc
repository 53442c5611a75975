// SPDX-License-Identifier: Apache-2.0
#include "operations/operations.h"

#include <array>

#include "http/errors.h"
#include "http/text.h"
#include "protocol/known_headers.h"
#include "protocol/known_parameters.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

// A request is of the first row whose level, method and sub-resource are its own, and which has its
// header.
struct Route {
  Level level;
  std::string_view method;
  std::string_view subresource = {};  // Empty: none may be there.
  std::string_view header = {};       // Empty: any.
  std::string_view name;
  Needs needs = Needs::kBucket;
  Handler handler;
  std::string_view parameters = {};  // See Operation.
  HeaderUses headers = 0;
};

constexpr std::string_view kCopySource = "x-amz-copy-source";
constexpr std::string_view kAnyConfiguration = "*";  // As `subresource`: see IsConfiguration().

constexpr std::string_view kListParameters =
    "delimiter encoding-type marker max-keys prefix list-type";
constexpr std::string_view kListV2Parameters =
    "continuation-token delimiter encoding-type fetch-owner max-keys prefix start-after";
constexpr std::string_view kListVersionsParameters =
    "delimiter encoding-type key-marker max-keys prefix version-id-marker";
constexpr std::string_view kListUploadsParameters =
    "delimiter encoding-type key-marker max-uploads prefix upload-id-marker";
constexpr std::string_view kReadParameters =
    "partNumber response-cache-control response-content-disposition response-content-encoding "
    "response-content-language response-content-type response-expires versionId";

constexpr auto kRoutes = std::to_array<Route>({
    {.level = Level::kService,
     .method = "GET",
     .name = "ListBuckets",
     .needs = Needs::kUser,
     .handler = ListBuckets,
     .parameters = "bucket-region continuation-token max-buckets prefix"},

    {.level = Level::kBucket,
     .method = "GET",
     .subresource = "location",
     .name = "GetBucketLocation",
     .handler = GetBucketLocation},
    {.level = Level::kBucket,
     .method = "GET",
     .subresource = "versioning",
     .name = "GetBucketVersioning",
     .handler = GetBucketVersioning},
    {.level = Level::kBucket,
     .method = "GET",
     .subresource = "acl",
     .name = "GetBucketAcl",
     .handler = GetAcl},
    {.level = Level::kBucket,
     .method = "GET",
     .subresource = "uploads",
     .name = "ListMultipartUploads",
     .handler = ListMultipartUploads,
     .parameters = kListUploadsParameters},
    {.level = Level::kBucket,
     .method = "GET",
     .subresource = "versions",
     .name = "ListObjectVersions",
     .handler = ListObjectVersions,
     .parameters = kListVersionsParameters},
    {.level = Level::kBucket,
     .method = "GET",
     .subresource = kAnyConfiguration,
     .name = "GetBucketConfiguration",
     .handler = GetConfiguration,
     .parameters = "continuation-token id"},
    {.level = Level::kBucket,
     .method = "GET",
     .subresource = "list-type",
     .name = "ListObjectsV2",
     .handler = ListObjectsV2,
     .parameters = kListV2Parameters},
    {.level = Level::kBucket,
     .method = "GET",
     .name = "ListObjects",
     .handler = ListObjects,
     .parameters = kListParameters},
    {.level = Level::kBucket, .method = "HEAD", .name = "HeadBucket", .handler = HeadBucket},
    {.level = Level::kBucket,
     .method = "PUT",
     .subresource = "versioning",
     .name = "PutBucketVersioning",
     .handler = PutBucketVersioning,
     .headers = kTakesChecksum},
    {.level = Level::kBucket,
     .method = "PUT",
     .subresource = "acl",
     .name = "PutBucketAcl",
     .handler = PutAcl,
     .headers = kTakesChecksum},
    {.level = Level::kBucket,
     .method = "PUT",
     .subresource = kAnyConfiguration,
     .name = "PutBucketConfiguration",
     .handler = PutConfiguration,
     .parameters = "id",
     .headers = kTakesChecksum},
    {.level = Level::kBucket,
     .method = "PUT",
     .name = "CreateBucket",
     .needs = Needs::kUser,
     .handler = CreateBucket,
     .headers = kTakesChecksum | kTakesBucketSettings},
    {.level = Level::kBucket,
     .method = "POST",
     .subresource = "delete",
     .name = "DeleteObjects",
     .handler = DeleteObjects,
     .headers = kTakesChecksum},
    {.level = Level::kBucket, .method = "POST", .name = "PostObject", .handler = NotImplemented},
    {.level = Level::kBucket,
     .method = "DELETE",
     .subresource = kAnyConfiguration,
     .name = "DeleteBucketConfiguration",
     .handler = DeleteConfiguration,
     .parameters = "id"},
    {.level = Level::kBucket, .method = "DELETE", .name = "DeleteBucket", .handler = DeleteBucket},

    {.level = Level::kObject,
     .method = "GET",
     .subresource = "acl",
     .name = "GetObjectAcl",
     .handler = GetAcl,
     .parameters = "versionId"},
    {.level = Level::kObject,
     .method = "GET",
     .subresource = "tagging",
     .name = "GetObjectTagging",
     .handler = GetObjectTagging,
     .parameters = "versionId"},
    {.level = Level::kObject,
     .method = "GET",
     .subresource = "attributes",
     .name = "GetObjectAttributes",
     .handler = GetObjectAttributes,
     .parameters = "versionId"},
    {.level = Level::kObject,
     .method = "GET",
     .subresource = "uploadId",
     .name = "ListParts",
     .handler = ListParts,
     .parameters = "encoding-type max-parts part-number-marker"},
    {.level = Level::kObject,
     .method = "GET",
     .subresource = "retention",
     .name = "GetObjectRetention",
     .handler = GetConfiguration,
     .parameters = "versionId"},
    {.level = Level::kObject,
     .method = "GET",
     .subresource = "legal-hold",
     .name = "GetObjectLegalHold",
     .handler = GetConfiguration,
     .parameters = "versionId"},
    {.level = Level::kObject,
     .method = "GET",
     .name = "GetObject",
     .handler = GetObject,
     .parameters = kReadParameters},
    {.level = Level::kObject,
     .method = "HEAD",
     .name = "HeadObject",
     .handler = HeadObject,
     .parameters = kReadParameters},
    {.level = Level::kObject,
     .method = "PUT",
     .subresource = "acl",
     .name = "PutObjectAcl",
     .handler = PutAcl,
     .parameters = "versionId",
     .headers = kTakesChecksum},
    {.level = Level::kObject,
     .method = "PUT",
     .subresource = "tagging",
     .name = "PutObjectTagging",
     .handler = PutObjectTagging,
     .parameters = "versionId",
     .headers = kTakesChecksum},
    {.level = Level::kObject,
     .method = "PUT",
     .subresource = "retention",
     .name = "PutObjectRetention",
     .handler = NoObjectLock,
     .parameters = "versionId",
     .headers = kTakesChecksum},
    {.level = Level::kObject,
     .method = "PUT",
     .subresource = "legal-hold",
     .name = "PutObjectLegalHold",
     .handler = NoObjectLock,
     .parameters = "versionId",
     .headers = kTakesChecksum},
    {.level = Level::kObject,
     .method = "PUT",
     .subresource = "uploadId",
     .header = kCopySource,
     .name = "UploadPartCopy",
     .handler = UploadPartCopy,
     .parameters = "partNumber",
     .headers = kTakesCopySource | kTakesCopyRange | kTakesCopyDirectives},
    {.level = Level::kObject,
     .method = "PUT",
     .subresource = "uploadId",
     .name = "UploadPart",
     .handler = UploadPart,
     .parameters = "partNumber",
     .headers = kTakesChecksum},
    {.level = Level::kObject,
     .method = "PUT",
     .header = kCopySource,
     .name = "CopyObject",
     .handler = CopyObject,
     .headers = kTakesCopySource | kTakesCopyDirectives | kTakesWriteConditions},
    {.level = Level::kObject,
     .method = "PUT",
     .name = "PutObject",
     .handler = PutObject,
     .headers = kTakesChecksum | kTakesWriteConditions},
    {.level = Level::kObject,
     .method = "POST",
     .subresource = "uploads",
     .name = "CreateMultipartUpload",
     .handler = CreateMultipartUpload,
     .headers = kTakesCopyDirectives},
    {.level = Level::kObject,
     .method = "POST",
     .subresource = "uploadId",
     .name = "CompleteMultipartUpload",
     .handler = CompleteMultipartUpload,
     .headers = kTakesChecksum | kTakesObjectSize | kTakesWriteConditions},
    {.level = Level::kObject,
     .method = "DELETE",
     .subresource = "tagging",
     .name = "DeleteObjectTagging",
     .handler = DeleteObjectTagging,
     .parameters = "versionId"},
    {.level = Level::kObject,
     .method = "DELETE",
     .subresource = "uploadId",
     .name = "AbortMultipartUpload",
     .handler = AbortMultipartUpload},
    {.level = Level::kObject,
     .method = "DELETE",
     .name = "DeleteObject",
     .handler = DeleteObject,
     .parameters = "versionId",
     .headers = kTakesIfMatch},
});
static_assert(kRoutes.size() <= kMaxOperations);

constexpr auto MakeOperations() {
  std::array<Operation, kRoutes.size()> operations{};
  for (size_t i = 0; i < kRoutes.size(); ++i) {
    const Route& route = kRoutes[i];
    operations[i] = {route.name, route.needs, route.handler, route.parameters, route.headers, i};
  }
  return operations;
}
constexpr auto kOperations = MakeOperations();

// `subresource`: nullptr for none.
bool Matches(const Route& route, const Request& request, const KnownParameter* subresource) {
  if (route.method != request.head.method) return false;
  if (route.subresource.empty()) {
    if (subresource != nullptr) return false;
  } else if (subresource == nullptr) {
    return false;
  } else if (route.subresource == kAnyConfiguration) {
    if (!IsConfiguration(subresource->name) || !subresource->HasMethod(route.level, route.method)) {
      return false;
    }
  } else if (route.subresource != subresource->name) {
    return false;
  }
  return route.header.empty() || request.head.Find(route.header) != nullptr;
}

size_t CountOf(const Request& request, std::string_view parameter) {
  size_t count = 0;
  for (const auto& [name, value] : request.query) count += name == parameter;
  return count;
}

absl::Status CheckKnownParameter(const Request& request, const Operation& operation,
                                 const KnownParameter& parameter, std::string_view value) {
  if (CountOf(request, parameter.name) > 1) {
    return MakeError(ErrorCode::kInvalidArgument,
                     Concat({"The parameter ", parameter.name, " is given twice."}));
  }
  const bool taken = ContainsWord(operation.parameters, parameter.name);
  if (taken && parameter.name == "versionId" && value.empty()) {
    // It would be the latest version, which is not what was asked for.
    return MakeError(ErrorCode::kInvalidArgument, "The version id cannot be the empty string.");
  }
  // FindOperation() has seen to the sub-resource.
  if (taken || parameter.IsSubresource(value) || IsRead(request.head.method)) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kInvalidArgument,
                   Concat({operation.name, " does not take the parameter ", parameter.name, "."}));
}

absl::Status CheckUnknownParameter(const Request& request, std::string_view name,
                                   std::string_view value) {
  if (IsRead(request.head.method)) return absl::OkStatus();
  if (value.empty()) {
    return MakeError(ErrorCode::kNotImplemented,
                     Concat({"The sub-resource ", name, " is not implemented."}));
  }
  if (const KnownParameter* meant = FindParameterIgnoringCase(name)) {
    return MakeError(ErrorCode::kInvalidArgument,
                     Concat({"The parameter ", name, " must be written ", meant->name, "."}));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<const Operation*> FindOperation(const Request& request) {
  const Level level = request.bucket.empty() ? Level::kService
                      : request.key.empty()  ? Level::kBucket
                                             : Level::kObject;
  STRATA_ASSIGN_OR_RETURN(const KnownParameter* subresource, SubresourceOf(request));
  for (size_t i = 0; i < kRoutes.size(); ++i) {
    if (kRoutes[i].level == level && Matches(kRoutes[i], request, subresource)) {
      return &kOperations[i];
    }
  }
  if (subresource != nullptr && subresource->HasMethod(level, request.head.method)) {
    return MakeError(ErrorCode::kNotImplemented,
                     Concat({"The sub-resource ", subresource->name, " is not implemented for ",
                             request.head.method, "."}));
  }
  return MakeError(ErrorCode::kMethodNotAllowed);
}

absl::Status CheckRequest(const Request& request, const Operation& operation) {
  for (const auto& [name, value] : request.query) {
    // Amazon documents that it ignores names that begin with x-. Those that begin with x-amz- are
    // about the signature, or headers: see ParseRequest().
    if (name.starts_with("x-") || name.starts_with("X-")) continue;
    if (const KnownParameter* parameter = FindParameter(name)) {
      STRATA_RETURN_IF_ERROR(CheckKnownParameter(request, operation, *parameter, value));
    } else {
      STRATA_RETURN_IF_ERROR(CheckUnknownParameter(request, name, value));
    }
  }
  return CheckHeaders(request, operation.name, operation.headers);
}

const Operation* OperationAt(size_t index) {
  return index < kOperations.size() ? &kOperations[index] : nullptr;
}

}  // namespace strata::s3
