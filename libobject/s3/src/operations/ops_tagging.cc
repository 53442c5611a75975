// SPDX-License-Identifier: Apache-2.0
//
// An object's tags, which are part of its metadata. They are no part of what a version is: setting
// them changes neither its id nor its time.
#include <map>
#include <string>
#include <utility>

#include "http/errors.h"
#include "operations/operations.h"
#include "protocol/object_headers.h"
#include "protocol/xml.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

using Tags = std::map<std::string, std::string>;

absl::StatusOr<object::ObjectInfo> HeadOf(const Call& call) {
  object::GetOptions options;
  options.version_id = call.request.Query("versionId");
  return call.store().Head(call.bucket, call.request.key, options);
}

absl::StatusOr<Reply> ReplaceTags(const Call& call, const Tags& tags, int status) {
  STRATA_ASSIGN_OR_RETURN(
      const object::ObjectInfo info,
      call.store().SetTags(call.bucket, call.request.key, call.request.Query("versionId"), tags));
  Reply reply = EmptyReply(status);
  AddVersionHeader(call.bucket, info.version_id, reply);
  return reply;
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
  return ReplaceTags(call, tags, 200);
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
  AddVersionHeader(call.bucket, info.version_id, reply);
  return reply;
}

absl::StatusOr<Step> PutObjectTagging(const Call& call) {
  return TakeDocument(call, PutTaggingNow);
}

absl::StatusOr<Step> DeleteObjectTagging(const Call& call) {
  STRATA_ASSIGN_OR_RETURN(Reply reply, ReplaceTags(call, {}, 204));
  return reply;
}

}  // namespace strata::s3
