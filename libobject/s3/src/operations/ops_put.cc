// SPDX-License-Identifier: Apache-2.0
//
// Objects that come in whole: PutObject and CopyObject.
#include <memory>
#include <optional>
#include <utility>

#include "http/errors.h"
#include "http/http_date.h"
#include "http/text.h"
#include "operations/copy_source.h"
#include "operations/object_sink.h"
#include "operations/operations.h"
#include "protocol/checksum_headers.h"
#include "protocol/object_headers.h"
#include "protocol/xml.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

absl::StatusOr<object::PutOptions> PutOptionsOf(const Call& call) {
  object::PutOptions options;
  STRATA_ASSIGN_OR_RETURN(options.metadata, ParseMetadata(call.request));
  options.owner = call.bucket.owner;
  options.conditions = ParseConditions(call.request, "");
  return options;
}

}  // namespace

absl::StatusOr<Step> PutObject(const Call& call) {
  if (!call.content_size_bytes) return MakeError(ErrorCode::kMissingContentLength);
  if (*call.content_size_bytes > object::ObjectLimits::kMaxPutBytes) {
    return MakeError(ErrorCode::kEntityTooLarge);
  }
  STRATA_ASSIGN_OR_RETURN(ContentChecksum checksum, ParseContentChecksum(call.request));
  STRATA_ASSIGN_OR_RETURN(object::PutOptions options, PutOptionsOf(call));
  options.checksum_algorithm = checksum.algorithm;
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<object::ObjectWriter> writer,
                          call.store().NewWriter(call.bucket, call.request.key, options));
  writer->OmitSha256();  // A signed payload's is checked before the content gets here.
  return Step(std::make_unique<ObjectSink>(ObjectSink::Kind::kObject, call, std::move(checksum),
                                           std::move(writer)));
}

absl::StatusOr<Step> CopyObject(const Call& call) {
  STRATA_ASSIGN_OR_RETURN(const object::CopySource source, ParseCopySource(call));
  STRATA_ASSIGN_OR_RETURN(object::PutOptions options, PutOptionsOf(call));
  if (const std::string* name = call.request.head.Find("x-amz-checksum-algorithm")) {
    STRATA_ASSIGN_OR_RETURN(options.checksum_algorithm, ParseStoredAlgorithm(*name));
  }

  const std::string_view directive = call.request.Header("x-amz-metadata-directive");
  if (!directive.empty() && directive != "COPY" && directive != "REPLACE") {
    return MakeError(ErrorCode::kInvalidArgument,
                     "x-amz-metadata-directive must be COPY or REPLACE.");
  }
  const std::string_view tagging = call.request.Header("x-amz-tagging-directive");
  if (!tagging.empty() && tagging != "COPY" && tagging != "REPLACE") {
    return MakeError(ErrorCode::kInvalidArgument,
                     "x-amz-tagging-directive must be COPY or REPLACE.");
  }
  const object::CopyDirectives directives{.replace_metadata = directive == "REPLACE",
                                          .replace_tags = tagging == "REPLACE"};
  const bool onto_itself = source.bucket == call.bucket.name && source.key == call.request.key &&
                           source.version_id.empty();
  if (onto_itself && !directives.replace_metadata && !directives.replace_tags &&
      call.request.head.Find("x-amz-storage-class") == nullptr &&
      options.metadata.website_redirect_location.empty()) {
    return MakeError(ErrorCode::kInvalidRequest,
                     "This copy request is illegal because it is trying to copy an object to "
                     "itself without changing the object's metadata.");
  }
  const absl::StatusOr<object::ObjectInfo> info = call.store().Copy(
      source, call.bucket, call.request.key, {.directives = directives, .put = options});
  if (!info.ok()) return CopyError(info.status());

  XmlWriter xml("CopyObjectResult");
  xml.Text("LastModified", FormatIsoDate(info->modified_ns));
  xml.Text("ETag", QuotedEtag(info->etag));
  if (info->checksum) AddChecksumElement(*info->checksum, xml);
  Reply reply = XmlReply(xml.Finish());
  AddVersionHeader(call.bucket, info->version_id, reply);
  if (!source.version_id.empty()) reply.Add("x-amz-copy-source-version-id", source.version_id);
  return reply;
}

}  // namespace strata::s3
