// SPDX-License-Identifier: Apache-2.0
//
// An object's tags, which are part of its metadata. Setting them rewrites the object's record in
// place, by a copy onto itself that moves no data; where versioning is enabled that would be
// another version, and is refused.
#include <map>
#include <string>
#include <utility>

#include "errors.h"
#include "object_headers.h"
#include "operations.h"
#include "strata/base/status_macros.h"
#include "xml.h"

namespace strata::s3 {
namespace {

using Tags = std::map<std::string, std::string>;

absl::StatusOr<object::ObjectInfo> HeadOf(const Call& call) {
  object::GetOptions options;
  options.version_id = call.request.Query("versionId");
  return call.store().Head(call.bucket, call.request.key, options);
}

absl::Status ReplaceTags(const Call& call, Tags tags) {
  if (call.bucket.versioning != object::Versioning::kOff) {
    return MakeError(ErrorCode::kNotImplemented,
                     "Changing tags in a bucket with versioning is not implemented.");
  }
  STRATA_ASSIGN_OR_RETURN(object::ObjectInfo info, HeadOf(call));
  info.metadata.tags = std::move(tags);
  object::CopySource source;
  source.bucket = call.bucket.name;
  source.bucket_id = call.bucket.id;
  source.key = call.request.key;
  source.conditions.if_match = {info.etag};  // Another writer's object keeps its own tags.
  object::PutOptions options;
  options.owner = info.owner;
  options.conditions.if_match = {info.etag};
  if (info.checksum) options.checksum_algorithm = info.checksum->algorithm;
  return call.store().Copy(source, call.bucket, call.request.key, info.metadata, options).status();
}

absl::StatusOr<Reply> PutTaggingNow(const Call& call, const std::string& body) {
  STRATA_ASSIGN_OR_RETURN(const XmlElement root, ParseXml(body, "Tagging"));
  STRATA_RETURN_IF_ERROR(CheckXmlChildren(root, {{"TagSet", XmlContent::kElements}}));
  const XmlElement* set = root.Child("TagSet");
  if (set == nullptr) return MakeError(ErrorCode::kMalformedXml, "There is no TagSet.");
  STRATA_RETURN_IF_ERROR(CheckXmlChildren(*set, {{"Tag", XmlContent::kElements, XmlCount::kMany}}));
  Tags tags;
  for (const XmlElement& element : set->children) {
    STRATA_RETURN_IF_ERROR(
        CheckXmlChildren(element, {{"Key", XmlContent::kText}, {"Value", XmlContent::kText}}));
    if (element.Child("Key") == nullptr || element.Child("Value") == nullptr) {
      return MakeError(ErrorCode::kMalformedXml, "A TagSet holds Tags of Key and Value.");
    }
    if (!tags.emplace(element.ChildText("Key"), element.ChildText("Value")).second) {
      return MakeError(ErrorCode::kInvalidTag, "There are two tags of one key.");
    }
  }
  STRATA_RETURN_IF_ERROR(CheckTags(tags));
  STRATA_RETURN_IF_ERROR(ReplaceTags(call, std::move(tags)));
  return Reply();
}

}  // namespace

absl::StatusOr<Step> GetObjectTagging(const Call& call) {
  STRATA_ASSIGN_OR_RETURN(const object::ObjectInfo info, HeadOf(call));
  XmlWriter xml("Tagging");
  xml.Open("TagSet");
  for (const auto& [key, value] : info.metadata.tags) {
    xml.Open("Tag");
    xml.Text("Key", key);
    xml.Text("Value", value);
    xml.Close();
  }
  Reply reply = XmlReply(xml.Finish());
  AddVersionHeader(call, info.version_id, reply);
  return reply;
}

absl::StatusOr<Step> PutObjectTagging(const Call& call) {
  return TakeDocument(call, PutTaggingNow);
}

absl::StatusOr<Step> DeleteObjectTagging(const Call& call) {
  STRATA_RETURN_IF_ERROR(ReplaceTags(call, {}));
  return EmptyReply(204);
}

}  // namespace strata::s3
