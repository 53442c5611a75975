// SPDX-License-Identifier: Apache-2.0
//
// An object's properties in the headers of requests and answers. Pure functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "http/http.h"
#include "http/request.h"
#include "strata/object/types.h"

namespace strata::s3 {

// Content-Type, x-amz-meta-*, x-amz-tagging, x-amz-storage-class and so on.
// kInvalidStorageClass, kInvalidTag.
absl::StatusOr<object::Metadata> ParseMetadata(const Request& request);

// "a=1&b=2", encoded as in a query. kInvalidTag: more than ten, too long, twice.
absl::StatusOr<std::map<std::string, std::string>> ParseTagging(std::string_view text);
absl::Status CheckTags(const std::map<std::string, std::string>& tags);

// The ETags of If-Match and its like, without quotes. "*" is one. Empty: there is none.
std::vector<std::string> ParseEtagList(std::string_view text);

// If-Match and its three kin; `prefix` is "" or "x-amz-copy-source-". Dates that are not dates are
// ignored (RFC 9110, section 13.1.3).
object::Conditions ParseConditions(const Request& request, std::string_view prefix);

// "etag", with its quotes.
std::string QuotedEtag(std::string_view etag);

// ETag, Last-Modified, Content-Type, x-amz-meta-* and so on; not Content-Length.
void AddObjectHeaders(const object::BucketInfo& bucket, const object::ObjectInfo& info,
                      Reply& reply);

// x-amz-version-id, in buckets that have or had versioning.
void AddVersionHeader(const object::BucketInfo& bucket, std::string_view version_id, Reply& reply);

// response-content-type=... and so on replace what AddObjectHeaders() added.
void ApplyResponseOverrides(const Request& request, Reply& reply);

}  // namespace strata::s3
