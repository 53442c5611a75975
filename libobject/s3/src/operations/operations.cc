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
  std::string_view subresource;  // Empty: none may be there.
  std::string_view header;       // Empty: any.
  std::string_view name;
  Needs needs;
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
    {Level::kService, "GET", "", "", "ListBuckets", Needs::kUser, ListBuckets,
     "bucket-region continuation-token max-buckets prefix"},

    {Level::kBucket, "GET", "location", "", "GetBucketLocation", Needs::kBucket, GetBucketLocation},
    {Level::kBucket, "GET", "versioning", "", "GetBucketVersioning", Needs::kBucket,
     GetBucketVersioning},
    {Level::kBucket, "GET", "acl", "", "GetBucketAcl", Needs::kBucket, GetAcl},
    {Level::kBucket, "GET", "uploads", "", "ListMultipartUploads", Needs::kBucket,
     ListMultipartUploads, kListUploadsParameters},
    {Level::kBucket, "GET", "versions", "", "ListObjectVersions", Needs::kBucket,
     ListObjectVersions, kListVersionsParameters},
    {Level::kBucket, "GET", kAnyConfiguration, "", "GetBucketConfiguration", Needs::kBucket,
     GetConfiguration, "continuation-token id"},
    {Level::kBucket, "GET", "list-type", "", "ListObjectsV2", Needs::kBucket, ListObjectsV2,
     kListV2Parameters},
    {Level::kBucket, "GET", "", "", "ListObjects", Needs::kBucket, ListObjects, kListParameters},
    {Level::kBucket, "HEAD", "", "", "HeadBucket", Needs::kBucket, HeadBucket},
    {Level::kBucket, "PUT", "versioning", "", "PutBucketVersioning", Needs::kBucket,
     PutBucketVersioning, "", kTakesChecksum},
    {Level::kBucket, "PUT", "acl", "", "PutBucketAcl", Needs::kBucket, PutAcl, "", kTakesChecksum},
    {Level::kBucket, "PUT", kAnyConfiguration, "", "PutBucketConfiguration", Needs::kBucket,
     PutConfiguration, "id", kTakesChecksum},
    {Level::kBucket, "PUT", "", "", "CreateBucket", Needs::kUser, CreateBucket, "",
     kTakesChecksum | kTakesBucketSettings},
    {Level::kBucket, "POST", "delete", "", "DeleteObjects", Needs::kBucket, DeleteObjects, "",
     kTakesChecksum},
    {Level::kBucket, "POST", "", "", "PostObject", Needs::kBucket, NotImplemented},
    {Level::kBucket, "DELETE", kAnyConfiguration, "", "DeleteBucketConfiguration", Needs::kBucket,
     DeleteConfiguration, "id"},
    {Level::kBucket, "DELETE", "", "", "DeleteBucket", Needs::kBucket, DeleteBucket},

    {Level::kObject, "GET", "acl", "", "GetObjectAcl", Needs::kBucket, GetAcl, "versionId"},
    {Level::kObject, "GET", "tagging", "", "GetObjectTagging", Needs::kBucket, GetObjectTagging,
     "versionId"},
    {Level::kObject, "GET", "attributes", "", "GetObjectAttributes", Needs::kBucket,
     GetObjectAttributes, "versionId"},
    {Level::kObject, "GET", "uploadId", "", "ListParts", Needs::kBucket, ListParts,
     "encoding-type max-parts part-number-marker"},
    {Level::kObject, "GET", "retention", "", "GetObjectRetention", Needs::kBucket, GetConfiguration,
     "versionId"},
    {Level::kObject, "GET", "legal-hold", "", "GetObjectLegalHold", Needs::kBucket,
     GetConfiguration, "versionId"},
    {Level::kObject, "GET", "", "", "GetObject", Needs::kBucket, GetObject, kReadParameters},
    {Level::kObject, "HEAD", "", "", "HeadObject", Needs::kBucket, HeadObject, kReadParameters},
    {Level::kObject, "PUT", "acl", "", "PutObjectAcl", Needs::kBucket, PutAcl, "versionId",
     kTakesChecksum},
    {Level::kObject, "PUT", "tagging", "", "PutObjectTagging", Needs::kBucket, PutObjectTagging,
     "versionId", kTakesChecksum},
    {Level::kObject, "PUT", "retention", "", "PutObjectRetention", Needs::kBucket, NoObjectLock,
     "versionId", kTakesChecksum},
    {Level::kObject, "PUT", "legal-hold", "", "PutObjectLegalHold", Needs::kBucket, NoObjectLock,
     "versionId", kTakesChecksum},
    {Level::kObject, "PUT", "uploadId", kCopySource, "UploadPartCopy", Needs::kBucket,
     UploadPartCopy, "partNumber", kTakesCopySource | kTakesCopyRange | kTakesCopyDirectives},
    {Level::kObject, "PUT", "uploadId", "", "UploadPart", Needs::kBucket, UploadPart, "partNumber",
     kTakesChecksum},
    {Level::kObject, "PUT", "", kCopySource, "CopyObject", Needs::kBucket, CopyObject, "",
     kTakesCopySource | kTakesCopyDirectives | kTakesWriteConditions},
    {Level::kObject, "PUT", "", "", "PutObject", Needs::kBucket, PutObject, "",
     kTakesChecksum | kTakesWriteConditions},
    {Level::kObject, "POST", "uploads", "", "CreateMultipartUpload", Needs::kBucket,
     CreateMultipartUpload, "", kTakesCopyDirectives},
    {Level::kObject, "POST", "uploadId", "", "CompleteMultipartUpload", Needs::kBucket,
     CompleteMultipartUpload, "", kTakesChecksum | kTakesObjectSize | kTakesWriteConditions},
    {Level::kObject, "DELETE", "tagging", "", "DeleteObjectTagging", Needs::kBucket,
     DeleteObjectTagging, "versionId"},
    {Level::kObject, "DELETE", "uploadId", "", "AbortMultipartUpload", Needs::kBucket,
     AbortMultipartUpload},
    {Level::kObject, "DELETE", "", "", "DeleteObject", Needs::kBucket, DeleteObject, "versionId",
     kTakesIfMatch},
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
