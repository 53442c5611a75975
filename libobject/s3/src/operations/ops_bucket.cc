// SPDX-License-Identifier: Apache-2.0
//
// Buckets themselves: list, create, head, delete, location, versioning.
#include <algorithm>
#include <optional>

#include "http/errors.h"
#include "http/http_date.h"
#include "http/text.h"
#include "operations/operations.h"
#include "protocol/object_headers.h"
#include "protocol/xml.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

constexpr uint64_t kMaxBucketsPage = 10'000;
constexpr std::string_view kDefaultRegion = "us-east-1";

absl::StatusOr<Reply> CreateBucketNow(const Call& call, const std::string& body) {
  if (!body.empty()) {
    STRATA_ASSIGN_OR_RETURN(const XmlElement configuration,
                            ParseXml(body, "CreateBucketConfiguration"));
    STRATA_RETURN_IF_ERROR(
        CheckXmlChildren(configuration, {{"LocationConstraint", XmlContent::kText},
                                         {"Location", XmlContent::kElements},
                                         {"Bucket", XmlContent::kElements},
                                         {"Tags", XmlContent::kElements}}));
    for (std::string_view name : {"Location", "Bucket", "Tags"}) {
      if (configuration.Child(name) != nullptr) {
        return MakeError(ErrorCode::kNotImplemented,
                         Concat({name, " of a CreateBucketConfiguration is not implemented."}));
      }
    }
    const std::string_view location = configuration.ChildText("LocationConstraint");
    if (!location.empty() && !call.options.region.empty() && location != call.options.region) {
      return MakeError(ErrorCode::kIllegalLocationConstraint);
    }
  }
  const absl::Status created = call.store().CreateBucket(
      call.request.bucket, object::UserRef(call.caller.user_id, call.caller.created_ns));
  // In its first region Amazon answers as if the bucket had been created, for historical reasons.
  const bool is_there = ErrorCodeOf(created) == ErrorCode::kBucketAlreadyOwnedByYou;
  if (!is_there || call.options.region != kDefaultRegion) STRATA_RETURN_IF_ERROR(created);
  Reply reply;
  reply.Add("Location", Concat({"/", call.request.bucket}));
  return reply;
}

absl::StatusOr<Reply> PutVersioningNow(const Call& call, const std::string& body) {
  STRATA_ASSIGN_OR_RETURN(const XmlElement configuration,
                          ParseXml(body, "VersioningConfiguration"));
  STRATA_RETURN_IF_ERROR(CheckXmlChildren(configuration, {{"Status", XmlContent::kText},
                                                          {"MfaDelete", XmlContent::kText},
                                                          {"MFADelete", XmlContent::kText}}));
  for (std::string_view name : {"MfaDelete", "MFADelete"}) {  // The reference has both spellings.
    const XmlElement* mfa_delete = configuration.Child(name);
    if (mfa_delete != nullptr && mfa_delete->text != "Disabled") {
      return MakeError(ErrorCode::kNotImplemented, "MFA delete is not implemented.");
    }
  }
  const std::string_view status = configuration.ChildText("Status");
  if (status != "Enabled" && status != "Suspended") {
    return MakeError(ErrorCode::kMalformedXml, "Status must be Enabled or Suspended.");
  }
  STRATA_RETURN_IF_ERROR(call.store().SetVersioning(
      call.bucket,
      status == "Enabled" ? object::Versioning::kEnabled : object::Versioning::kSuspended));
  return Reply();
}

}  // namespace

absl::StatusOr<Step> ListBuckets(const Call& call) {
  uint64_t max_buckets = kMaxBucketsPage;
  if (const std::string* text = call.request.FindQuery("max-buckets")) {
    const std::optional<uint64_t> value = ParseDecimal(*text);
    if (!value || *value < 1 || *value > kMaxBucketsPage) {
      return MakeError(ErrorCode::kInvalidArgument, "max-buckets must be from 1 to 10000.");
    }
    max_buckets = *value;
  }
  const std::string_view prefix = call.request.Query("prefix");
  const std::string_view after = call.request.Query("continuation-token");
  const std::string_view region = call.request.Query("bucket-region");
  const bool elsewhere =
      !region.empty() && !call.options.region.empty() && region != call.options.region;

  STRATA_ASSIGN_OR_RETURN(std::vector<object::BucketInfo> buckets,
                          call.store().ListBuckets(call.caller.user_id));
  std::erase_if(buckets, [&](const object::BucketInfo& bucket) {
    return elsewhere || !bucket.name.starts_with(prefix) || bucket.name <= after;
  });
  std::sort(buckets.begin(), buckets.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  const bool truncated = buckets.size() > max_buckets;
  if (truncated) buckets.resize(max_buckets);

  XmlWriter xml("ListAllMyBucketsResult");
  AddOwner("Owner", OwnerOf(call, call.caller.user_id), xml);
  xml.Open("Buckets");
  for (const object::BucketInfo& bucket : buckets) {
    xml.Open("Bucket");
    xml.Text("Name", bucket.name);
    xml.Text("CreationDate", FormatIsoDate(bucket.created_ns));
    if (!call.options.region.empty()) xml.Text("BucketRegion", call.options.region);
    xml.Close();
  }
  xml.Close();
  if (truncated) xml.Text("ContinuationToken", buckets.back().name);
  if (!prefix.empty()) xml.Text("Prefix", prefix);
  return XmlReply(xml.Finish());
}

absl::StatusOr<Step> CreateBucket(const Call& call) { return TakeDocument(call, CreateBucketNow); }

absl::StatusOr<Step> HeadBucket(const Call& call) {
  Reply reply;
  if (!call.options.region.empty()) reply.Add("x-amz-bucket-region", call.options.region);
  reply.Add("Content-Type", "application/xml");
  return reply;
}

absl::StatusOr<Step> DeleteBucket(const Call& call) {
  STRATA_RETURN_IF_ERROR(call.store().DeleteBucket(call.bucket));
  return EmptyReply(204);
}

absl::StatusOr<Step> GetBucketLocation(const Call& call) {
  // The first region has no name here, for historical reasons.
  XmlWriter xml("LocationConstraint");
  if (call.options.region != kDefaultRegion) xml.Raw(call.options.region);
  return XmlReply(xml.Finish());
}

absl::StatusOr<Step> GetBucketVersioning(const Call& call) {
  XmlWriter xml("VersioningConfiguration");
  if (call.bucket.versioning == object::Versioning::kEnabled) xml.Text("Status", "Enabled");
  if (call.bucket.versioning == object::Versioning::kSuspended) xml.Text("Status", "Suspended");
  return XmlReply(xml.Finish());
}

absl::StatusOr<Step> PutBucketVersioning(const Call& call) {
  return TakeDocument(call, PutVersioningNow);
}

}  // namespace strata::s3
