// SPDX-License-Identifier: Apache-2.0
#include "operations/copy_source.h"

#include <optional>
#include <string>
#include <utility>

#include "auth/access.h"
#include "http/errors.h"
#include "http/text.h"
#include "http/uri_coding.h"
#include "protocol/object_headers.h"
#include "strata/base/status_macros.h"
#include "strata/base/utf8.h"

namespace strata::s3 {

absl::StatusOr<object::CopySource> DecodeCopySource(std::string_view header) {
  const absl::Status wrong =
      MakeError(ErrorCode::kInvalidArgument,
                "x-amz-copy-source must be of the form /BUCKET/KEY[?versionId=ID].");
  std::string_view raw_path = header;
  std::string_view raw_query;
  // A '?' may be part of a key that was not encoded; only a version makes it a query.
  if (const size_t at = header.rfind("?versionId="); at != std::string_view::npos) {
    raw_path = header.substr(0, at);
    raw_query = header.substr(at + 1);
  }
  const std::optional<std::string> path = UriDecode(raw_path, Plus::kSpace);
  const std::optional<QueryParameters> query = ParseQuery(raw_query);
  if (!path || !query || !IsUtf8(*path)) return wrong;

  std::string_view rest = *path;
  if (!rest.empty() && rest.front() == '/') rest.remove_prefix(1);
  const auto [bucket, key] = SplitOnce(rest, '/');
  if (bucket.empty() || key.empty()) return wrong;
  object::CopySource source;
  source.bucket = bucket;
  source.key = key;
  for (const auto& [name, value] : *query) {
    if (name == "versionId") source.version_id = value;
  }
  return source;
}

absl::StatusOr<object::CopySource> ParseCopySource(const Call& call) {
  STRATA_ASSIGN_OR_RETURN(object::CopySource source,
                          DecodeCopySource(call.request.Header("x-amz-copy-source")));
  source.conditions = ParseConditions(call.request, "x-amz-copy-source-");
  object::BucketInfo from = call.bucket;
  if (source.bucket != from.name) {
    STRATA_ASSIGN_OR_RETURN(from, call.store().GetBucket(source.bucket));
  }
  STRATA_RETURN_IF_ERROR(
      Authorize(call.caller, from, call.request.Header("x-amz-source-expected-bucket-owner")));
  source.bucket_id = from.id;
  return source;
}

absl::Status CopyError(const absl::Status& status) {
  if (ErrorCodeOf(status) == ErrorCode::kNotModified) {
    return MakeError(ErrorCode::kPreconditionFailed);
  }
  return status;
}

}  // namespace strata::s3
