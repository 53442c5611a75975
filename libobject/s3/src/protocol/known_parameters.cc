// SPDX-License-Identifier: Apache-2.0
#include "protocol/known_parameters.h"

#include <array>

#include "http/errors.h"
#include "http/text.h"

namespace strata::s3 {
namespace {

constexpr auto kParameters = std::to_array<KnownParameter>({
    // Sub-resources:       service, bucket, object
    {"abac", "", "GET PUT", ""},
    {"accelerate", "", "GET PUT", ""},
    {"acl", "", "GET PUT", "GET PUT"},
    {"analytics", "", "GET PUT DELETE", ""},
    {"annotation", "", "", "GET PUT DELETE"},
    {"attributes", "", "", "GET"},
    {"cors", "", "GET PUT DELETE", ""},
    {"delete", "", "POST", ""},
    {"encryption", "", "GET PUT DELETE", "PUT"},
    {"intelligent-tiering", "", "GET PUT DELETE", ""},
    {"inventory", "", "GET PUT DELETE", ""},
    {"legal-hold", "", "", "GET PUT"},
    {"lifecycle", "", "GET PUT DELETE", ""},
    {"list-type", "", "GET", ""},  // See IsSubresource().
    {"location", "", "GET", ""},
    {"logging", "", "GET PUT", ""},
    {"max-directory-buckets", "GET", "", ""},
    {"metadataAnnotationTable", "", "PUT", ""},
    {"metadataConfiguration", "", "GET POST DELETE", ""},
    {"metadataInventoryTable", "", "PUT", ""},
    {"metadataJournalTable", "", "PUT", ""},
    {"metadataTable", "", "GET POST DELETE", ""},
    {"metrics", "", "GET PUT DELETE", ""},
    {"notification", "", "GET PUT", ""},
    {"object-lock", "", "GET PUT", ""},
    {"ownershipControls", "", "GET PUT DELETE", ""},
    {"policy", "", "GET PUT DELETE", ""},
    {"policyStatus", "", "GET", ""},
    {"publicAccessBlock", "", "GET PUT DELETE", ""},
    {"renameObject", "", "", "PUT"},
    {"replication", "", "GET PUT DELETE", ""},
    {"requestPayment", "", "GET PUT", ""},
    {"restore", "", "", "POST"},
    {"retention", "", "", "GET PUT"},
    {"select", "", "", "POST"},
    {"session", "", "GET", ""},
    {"tagging", "", "GET PUT DELETE", "GET PUT DELETE"},
    {"torrent", "", "", "GET"},
    {"uploadId", "", "", "GET PUT POST DELETE"},
    {"uploads", "", "GET", "POST"},
    {"versioning", "", "GET PUT", ""},
    {"versions", "", "GET", ""},
    {"website", "", "GET PUT DELETE", ""},
    // What adds to an operation:
    {"annotation-prefix"},
    {"annotationName"},
    {"bucket-region"},
    {"continuation-token"},
    {"delimiter"},
    {"encoding-type"},
    {"fetch-owner"},
    {"id"},
    {"key-marker"},
    {"marker"},
    {"max-annotation-results"},
    {"max-buckets"},
    {"max-keys"},
    {"max-parts"},
    {"max-uploads"},
    {"part-number-marker"},
    {"partNumber"},
    {"prefix"},
    {"response-cache-control"},
    {"response-content-disposition"},
    {"response-content-encoding"},
    {"response-content-language"},
    {"response-content-type"},
    {"response-expires"},
    {"select-type"},
    {"start-after"},
    {"upload-id-marker"},
    {"version-id-marker"},
    {"versionId"},
});

}  // namespace

bool ContainsWord(std::string_view words, std::string_view word) {
  for (std::string_view candidate : Split(words, ' ')) {
    if (candidate == word) return true;
  }
  return false;
}

bool KnownParameter::IsSubresource(std::string_view value) const {
  if (name == "list-type") return value == "2";
  return !service_methods.empty() || !bucket_methods.empty() || !object_methods.empty();
}

bool KnownParameter::HasMethod(Level level, std::string_view method) const {
  return ContainsWord(level == Level::kService  ? service_methods
                      : level == Level::kBucket ? bucket_methods
                                                : object_methods,
                      method);
}

const KnownParameter* FindParameter(std::string_view name) {
  for (const KnownParameter& parameter : kParameters) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

const KnownParameter* FindParameterIgnoringCase(std::string_view name) {
  for (const KnownParameter& parameter : kParameters) {
    if (EqualsIgnoreCase(parameter.name, name)) return &parameter;
  }
  return nullptr;
}

absl::StatusOr<const KnownParameter*> SubresourceOf(const Request& request) {
  const KnownParameter* subresource = nullptr;
  for (const auto& [name, value] : request.query) {
    const KnownParameter* parameter = FindParameter(name);
    // SDKs give the operation's name in x-id. One of them has no other mark.
    if (name == "x-id" && value == "ListDirectoryBuckets") {
      parameter = FindParameter("max-directory-buckets");
    }
    if (parameter == nullptr || !parameter->IsSubresource(value)) continue;
    if (subresource != nullptr && subresource != parameter) {
      return MakeError(ErrorCode::kInvalidArgument,
                       Concat({"Conflicting query string parameters: ", subresource->name, ", ",
                               parameter->name, "."}));
    }
    subresource = parameter;
  }
  return subresource;
}

}  // namespace strata::s3
