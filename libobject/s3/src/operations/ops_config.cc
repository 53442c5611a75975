// SPDX-License-Identifier: Apache-2.0
//
// The configurations a bucket or object may have in S3 and has not here. Reading one gets the
// answer that S3 gives for a bucket without it, since clients ask as a matter of course; setting
// one is refused. ACLs are those of "bucket owner enforced": the owner may do everything.
#include <array>
#include <optional>

#include "http/errors.h"
#include "operations/operations.h"
#include "protocol/object_headers.h"
#include "protocol/xml.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

struct Configuration {
  std::string_view query;
  std::optional<ErrorCode> error;  // To GET; not set: an empty document of this root:
  std::string_view root = {};
};

constexpr auto kConfigurations = std::to_array<Configuration>({
    {"accelerate", std::nullopt, "AccelerateConfiguration"},
    {"analytics", std::nullopt, "ListBucketAnalyticsConfigurationsResult"},
    {"cors", ErrorCode::kNoSuchCorsConfiguration},
    {"encryption", ErrorCode::kServerSideEncryptionConfigurationNotFound},
    {"intelligent-tiering", std::nullopt, "ListBucketIntelligentTieringConfigurationsOutput"},
    {"inventory", std::nullopt, "ListInventoryConfigurationsResult"},
    {"legal-hold", ErrorCode::kInvalidRequest},
    {"lifecycle", ErrorCode::kNoSuchLifecycleConfiguration},
    {"logging", std::nullopt, "BucketLoggingStatus"},
    {"metrics", std::nullopt, "ListMetricsConfigurationsResult"},
    {"notification", std::nullopt, "NotificationConfiguration"},
    {"object-lock", ErrorCode::kObjectLockConfigurationNotFound},
    {"ownershipControls", std::nullopt, "OwnershipControls"},
    {"policy", ErrorCode::kNoSuchBucketPolicy},
    {"policyStatus", ErrorCode::kNoSuchBucketPolicy},
    {"publicAccessBlock", ErrorCode::kNoSuchPublicAccessBlockConfiguration},
    {"replication", ErrorCode::kReplicationConfigurationNotFound},
    {"requestPayment", std::nullopt, "RequestPaymentConfiguration"},
    {"retention", ErrorCode::kInvalidRequest},
    {"tagging", ErrorCode::kNoSuchTagSet},
    {"website", ErrorCode::kNoSuchWebsiteConfiguration},
});

const Configuration* Find(std::string_view query_name) {
  for (const Configuration& configuration : kConfigurations) {
    if (configuration.query == query_name) return &configuration;
  }
  return nullptr;
}

const Configuration* Find(const Request& request) {
  for (const auto& [name, value] : request.query) {
    if (const Configuration* configuration = Find(name)) return configuration;
  }
  return nullptr;
}

absl::Status CheckObjectExists(const Call& call) {
  if (call.request.key.empty()) return absl::OkStatus();
  object::GetOptions options;
  options.version_id = call.request.Query("versionId");
  return call.store().Head(call.bucket, call.request.key, options).status();
}

// Clients that copy an object hand back the list they were given with it.
absl::StatusOr<bool> GrantsOwnerOnly(const Call& call, const XmlElement& policy) {
  using enum XmlContent;
  STRATA_RETURN_IF_ERROR(
      CheckXmlChildren(policy, {{"Owner", kElements}, {"AccessControlList", kElements}}));
  const XmlElement* list = policy.Child("AccessControlList");
  if (list == nullptr) return false;
  STRATA_RETURN_IF_ERROR(CheckXmlChildren(*list, {{"Grant", kElements, XmlCount::kMany}}));
  for (const XmlElement& grant : list->children) {
    STRATA_RETURN_IF_ERROR(
        CheckXmlChildren(grant, {{"Grantee", kElements}, {"Permission", kText}}));
    const XmlElement* grantee = grant.Child("Grantee");
    if (grantee == nullptr) return false;
    STRATA_RETURN_IF_ERROR(CheckXmlChildren(
        *grantee,
        {{"ID", kText}, {"DisplayName", kText}, {"EmailAddress", kText}, {"URI", kText}}));
    if (grantee->ChildText("ID") != call.bucket.owner ||
        grant.ChildText("Permission") != "FULL_CONTROL") {
      return false;
    }
  }
  return !list->children.empty();
}

absl::StatusOr<Reply> PutAclNow(const Call& call, const std::string& body) {
  // A canned list was checked with the headers.
  if (call.request.head.Find("x-amz-acl") == nullptr) {
    STRATA_ASSIGN_OR_RETURN(const XmlElement policy, ParseXml(body, "AccessControlPolicy"));
    STRATA_ASSIGN_OR_RETURN(const bool owner_only, GrantsOwnerOnly(call, policy));
    if (!owner_only) return MakeError(ErrorCode::kAccessControlListNotSupported);
  }
  return Reply();
}

}  // namespace

bool IsConfiguration(std::string_view query_name) { return Find(query_name) != nullptr; }

absl::StatusOr<Step> GetConfiguration(const Call& call) {
  STRATA_RETURN_IF_ERROR(CheckObjectExists(call));
  const Configuration* configuration = Find(call.request);
  if (configuration->error == ErrorCode::kInvalidRequest) return NoObjectLock(call);
  if (configuration->error) return MakeError(*configuration->error);
  // Without an id, those that may be several are listed.
  if (call.request.HasQuery("id")) return MakeError(ErrorCode::kNoSuchConfiguration);
  XmlWriter xml(configuration->root);
  if (configuration->query == "requestPayment") xml.Text("Payer", "BucketOwner");
  if (configuration->query == "ownershipControls") {
    xml.Open("Rule");
    xml.Text("ObjectOwnership", "BucketOwnerEnforced");
    xml.Close();
  }
  return XmlReply(xml.Finish());
}

absl::StatusOr<Step> PutConfiguration(const Call& call) {
  return MakeError(ErrorCode::kNotImplemented,
                   std::string(Find(call.request)->query) + " cannot be configured.");
}

// What is not there is easily deleted.
absl::StatusOr<Step> DeleteConfiguration(const Call& /*call*/) { return EmptyReply(204); }

absl::StatusOr<Step> NotImplemented(const Call& /*call*/) {
  return MakeError(ErrorCode::kNotImplemented);
}

absl::StatusOr<Step> NoObjectLock(const Call& /*call*/) {
  return MakeError(ErrorCode::kInvalidRequest, "The bucket has no object lock configuration.");
}

absl::StatusOr<Step> GetAcl(const Call& call) {
  STRATA_RETURN_IF_ERROR(CheckObjectExists(call));
  const Owner owner = OwnerOf(call, call.bucket.owner);
  XmlWriter xml("AccessControlPolicy");
  AddOwner("Owner", owner, xml);
  xml.Open("AccessControlList");
  xml.Open("Grant");
  xml.Raw(
      "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
      "xsi:type=\"CanonicalUser\">");
  xml.Text("ID", owner.id);
  xml.Text("DisplayName", owner.display_name);
  xml.Raw("</Grantee>");
  xml.Text("Permission", "FULL_CONTROL");
  return XmlReply(xml.Finish());
}

absl::StatusOr<Step> PutAcl(const Call& call) {
  STRATA_RETURN_IF_ERROR(CheckObjectExists(call));
  return TakeDocument(call, PutAclNow);
}

}  // namespace strata::s3
