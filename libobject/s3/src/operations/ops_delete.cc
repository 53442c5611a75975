// SPDX-License-Identifier: Apache-2.0
//
// DeleteObject and DeleteObjects.
#include <string>
#include <utility>
#include <vector>

#include "http/errors.h"
#include "http/text.h"
#include "operations/operations.h"
#include "protocol/checksum_headers.h"
#include "protocol/object_headers.h"
#include "protocol/xml.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

struct DeleteRequest {
  std::string key;
  std::string version_id;
  object::Conditions conditions;
};

void AddDeleted(const DeleteRequest& request, const object::DeleteResult& result, XmlWriter& xml) {
  xml.Open("Deleted");
  xml.Text("Key", request.key);
  if (!request.version_id.empty()) xml.Text("VersionId", request.version_id);
  if (result.delete_marker) {
    xml.Bool("DeleteMarker", true);
    if (!result.version_id.empty()) xml.Text("DeleteMarkerVersionId", result.version_id);
  }
  xml.Close();
}

void AddFailed(const DeleteRequest& request, const absl::Status& status, XmlWriter& xml) {
  xml.Open("Error");
  xml.Text("Key", request.key);
  if (!request.version_id.empty()) xml.Text("VersionId", request.version_id);
  xml.Text("Code", InfoOf(ErrorCodeOf(status)).name);
  xml.Text("Message", ClientMessageOf(status));
  xml.Close();
}

absl::StatusOr<Reply> DeleteNow(const Call& call, const std::string& body) {
  STRATA_ASSIGN_OR_RETURN(const XmlElement root, ParseXml(body, "Delete"));
  STRATA_RETURN_IF_ERROR(CheckXmlChildren(
      root, {{"Object", XmlContent::kElements, XmlCount::kMany}, {"Quiet", XmlContent::kText}}));
  STRATA_ASSIGN_OR_RETURN(const bool quiet, ParseXmlBool(root, "Quiet"));
  std::vector<DeleteRequest> requests;
  for (const XmlElement& element : root.children) {
    if (element.name != "Object") continue;
    STRATA_RETURN_IF_ERROR(CheckXmlChildren(element, {{"Key", XmlContent::kText},
                                                      {"VersionId", XmlContent::kText},
                                                      {"ETag", XmlContent::kText},
                                                      {"LastModifiedTime", XmlContent::kText},
                                                      {"Size", XmlContent::kText}}));
    const XmlElement* key = element.Child("Key");
    if (key == nullptr || key->text.empty()) {
      return MakeError(ErrorCode::kMalformedXml, "An Object has no Key.");
    }
    if (element.Child("LastModifiedTime") || element.Child("Size")) {
      return MakeError(ErrorCode::kNotImplemented,
                       "Conditions on an Object's LastModifiedTime or Size are not implemented.");
    }
    DeleteRequest request{.key = key->text, .version_id = {}, .conditions = {}};
    if (const XmlElement* version = element.Child("VersionId")) {
      // To delete the latest version instead is not what was asked for.
      if (version->text.empty())
        return MakeError(ErrorCode::kMalformedXml, "A VersionId is empty.");
      request.version_id = version->text;
    }
    if (const XmlElement* etag = element.Child("ETag")) {
      request.conditions.if_match = ParseEtagList(etag->text);
      if (request.conditions.if_match.empty()) {
        return MakeError(ErrorCode::kMalformedXml, "An Object's ETag is empty.");
      }
    }
    requests.push_back(std::move(request));
  }
  if (requests.empty() || requests.size() > object::ObjectLimits::kMaxDeleteKeys) {
    return MakeError(ErrorCode::kMalformedXml, "There must be 1 to 1000 Objects.");
  }
  XmlWriter xml("DeleteResult");
  for (const DeleteRequest& request : requests) {
    const absl::StatusOr<object::DeleteResult> result =
        call.store().Delete(call.bucket, request.key, request.version_id, request.conditions);
    // The bucket went: no other key fares better.
    if (ErrorCodeOf(result.status()) == ErrorCode::kNoSuchBucket) return result.status();
    if (!result.ok() && ErrorCodeOf(result.status()) != ErrorCode::kNoSuchVersion) {
      AddFailed(request, result.status(), xml);
    } else if (!quiet) {
      AddDeleted(request, result.ok() ? *result : object::DeleteResult(), xml);
    }
  }
  return XmlReply(xml.Finish());
}

}  // namespace

absl::StatusOr<Step> DeleteObject(const Call& call) {
  const absl::StatusOr<object::DeleteResult> result =
      call.store().Delete(call.bucket, call.request.key, call.request.Query("versionId"),
                          ParseConditions(call.request, ""));
  Reply reply = EmptyReply(204);
  if (!result.ok()) {
    // Deleting what is gone already is done.
    if (ErrorCodeOf(result.status()) == ErrorCode::kNoSuchVersion) return reply;
    return result.status();
  }
  if (result->delete_marker) reply.Add("x-amz-delete-marker", "true");
  AddVersionHeader(call.bucket, result->version_id, reply);
  return reply;
}

absl::StatusOr<Step> DeleteObjects(const Call& call) {
  // So much is deleted that the list itself must be known to have come whole.
  STRATA_ASSIGN_OR_RETURN(const ContentChecksum checksum, ParseContentChecksum(call.request));
  if (checksum.empty()) {
    return MakeError(ErrorCode::kInvalidRequest,
                     "Missing required header for this request: Content-MD5 or x-amz-checksum-.");
  }
  return TakeDocument(call, DeleteNow, kDeleteLimits);
}

}  // namespace strata::s3
