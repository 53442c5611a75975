// SPDX-License-Identifier: Apache-2.0
#include "operations.h"

#include <array>

namespace strata::s3 {
namespace {

enum class Level { kService, kBucket, kObject };

// A request is of the first row whose level and method are its own, which has a query parameter
// named `query` (of value `query_value` if that is given) and a header named `header`.
struct Route {
  Level level;
  std::string_view method;
  std::string_view query;
  std::string_view query_value;
  std::string_view header;
  std::string_view name;
  Needs needs;
  Handler handler;
};

constexpr std::string_view kCopySource = "x-amz-copy-source";
constexpr std::string_view kAnyConfiguration = "*";  // As `query`: see IsConfiguration().

constexpr auto kRoutes = std::to_array<Route>({
    {Level::kService, "GET", "", "", "", "ListBuckets", Needs::kUser, ListBuckets},

    {Level::kBucket, "GET", "location", "", "", "GetBucketLocation", Needs::kBucket,
     GetBucketLocation},
    {Level::kBucket, "GET", "versioning", "", "", "GetBucketVersioning", Needs::kBucket,
     GetBucketVersioning},
    {Level::kBucket, "GET", "acl", "", "", "GetBucketAcl", Needs::kBucket, GetAcl},
    {Level::kBucket, "GET", "uploads", "", "", "ListMultipartUploads", Needs::kBucket,
     ListMultipartUploads},
    {Level::kBucket, "GET", "versions", "", "", "ListObjectVersions", Needs::kBucket,
     ListObjectVersions},
    {Level::kBucket, "GET", kAnyConfiguration, "", "", "GetBucketConfiguration", Needs::kBucket,
     GetConfiguration},
    {Level::kBucket, "GET", "list-type", "2", "", "ListObjectsV2", Needs::kBucket, ListObjectsV2},
    {Level::kBucket, "GET", "", "", "", "ListObjects", Needs::kBucket, ListObjects},
    {Level::kBucket, "HEAD", "", "", "", "HeadBucket", Needs::kBucket, HeadBucket},
    {Level::kBucket, "PUT", "versioning", "", "", "PutBucketVersioning", Needs::kBucket,
     PutBucketVersioning},
    {Level::kBucket, "PUT", "acl", "", "", "PutBucketAcl", Needs::kBucket, PutAcl},
    {Level::kBucket, "PUT", kAnyConfiguration, "", "", "PutBucketConfiguration", Needs::kBucket,
     PutConfiguration},
    {Level::kBucket, "PUT", "", "", "", "CreateBucket", Needs::kUser, CreateBucket},
    {Level::kBucket, "POST", "delete", "", "", "DeleteObjects", Needs::kBucket, DeleteObjects},
    {Level::kBucket, "POST", "", "", "", "PostObject", Needs::kBucket, NotImplemented},
    {Level::kBucket, "DELETE", kAnyConfiguration, "", "", "DeleteBucketConfiguration",
     Needs::kBucket, DeleteConfiguration},
    {Level::kBucket, "DELETE", "", "", "", "DeleteBucket", Needs::kBucket, DeleteBucket},

    {Level::kObject, "GET", "acl", "", "", "GetObjectAcl", Needs::kBucket, GetAcl},
    {Level::kObject, "GET", "tagging", "", "", "GetObjectTagging", Needs::kBucket,
     GetObjectTagging},
    {Level::kObject, "GET", "attributes", "", "", "GetObjectAttributes", Needs::kBucket,
     GetObjectAttributes},
    {Level::kObject, "GET", "uploadId", "", "", "ListParts", Needs::kBucket, ListParts},
    {Level::kObject, "GET", "retention", "", "", "GetObjectRetention", Needs::kBucket,
     GetConfiguration},
    {Level::kObject, "GET", "legal-hold", "", "", "GetObjectLegalHold", Needs::kBucket,
     GetConfiguration},
    {Level::kObject, "GET", "torrent", "", "", "GetObjectTorrent", Needs::kBucket, NotImplemented},
    {Level::kObject, "GET", "", "", "", "GetObject", Needs::kBucket, GetObject},
    {Level::kObject, "HEAD", "", "", "", "HeadObject", Needs::kBucket, HeadObject},
    {Level::kObject, "PUT", "acl", "", "", "PutObjectAcl", Needs::kBucket, PutAcl},
    {Level::kObject, "PUT", "tagging", "", "", "PutObjectTagging", Needs::kBucket,
     PutObjectTagging},
    {Level::kObject, "PUT", "retention", "", "", "PutObjectRetention", Needs::kBucket,
     NotImplemented},
    {Level::kObject, "PUT", "legal-hold", "", "", "PutObjectLegalHold", Needs::kBucket,
     NotImplemented},
    {Level::kObject, "PUT", "uploadId", "", kCopySource, "UploadPartCopy", Needs::kBucket,
     UploadPartCopy},
    {Level::kObject, "PUT", "uploadId", "", "", "UploadPart", Needs::kBucket, UploadPart},
    {Level::kObject, "PUT", "", "", kCopySource, "CopyObject", Needs::kBucket, CopyObject},
    {Level::kObject, "PUT", "", "", "", "PutObject", Needs::kBucket, PutObject},
    {Level::kObject, "POST", "uploads", "", "", "CreateMultipartUpload", Needs::kBucket,
     CreateMultipartUpload},
    {Level::kObject, "POST", "uploadId", "", "", "CompleteMultipartUpload", Needs::kBucket,
     CompleteMultipartUpload},
    {Level::kObject, "POST", "restore", "", "", "RestoreObject", Needs::kBucket, NotImplemented},
    {Level::kObject, "POST", "select", "", "", "SelectObjectContent", Needs::kBucket,
     NotImplemented},
    {Level::kObject, "DELETE", "tagging", "", "", "DeleteObjectTagging", Needs::kBucket,
     DeleteObjectTagging},
    {Level::kObject, "DELETE", "uploadId", "", "", "AbortMultipartUpload", Needs::kBucket,
     AbortMultipartUpload},
    {Level::kObject, "DELETE", "", "", "", "DeleteObject", Needs::kBucket, DeleteObject},
});
static_assert(kRoutes.size() <= kMaxOperations);

constexpr auto MakeOperations() {
  std::array<Operation, kRoutes.size()> operations{};
  for (size_t i = 0; i < kRoutes.size(); ++i) {
    operations[i] = {kRoutes[i].name, kRoutes[i].needs, kRoutes[i].handler, i};
  }
  return operations;
}
constexpr auto kOperations = MakeOperations();

bool Matches(const Route& route, const Request& request) {
  if (route.query == kAnyConfiguration) {
    bool found = false;
    for (const auto& [name, value] : request.query) found = found || IsConfiguration(name);
    if (!found) return false;
  } else if (!route.query.empty()) {
    const std::string* value = request.FindQuery(route.query);
    if (value == nullptr) return false;
    if (!route.query_value.empty() && *value != route.query_value) return false;
  }
  return route.header.empty() || request.head.Find(route.header) != nullptr;
}

}  // namespace

const Operation* FindOperation(const Request& request) {
  const Level level = request.bucket.empty() ? Level::kService
                      : request.key.empty()  ? Level::kBucket
                                             : Level::kObject;
  for (size_t i = 0; i < kRoutes.size(); ++i) {
    const Route& route = kRoutes[i];
    if (route.level == level && route.method == request.head.method && Matches(route, request)) {
      return &kOperations[i];
    }
  }
  return nullptr;
}

const Operation* OperationAt(size_t index) {
  return index < kOperations.size() ? &kOperations[index] : nullptr;
}

}  // namespace strata::s3
