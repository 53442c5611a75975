// SPDX-License-Identifier: Apache-2.0
//
// The listings of a bucket: ListObjects, ListObjectsV2, ListObjectVersions.
#include <optional>
#include <string>
#include <utility>

#include "http/errors.h"
#include "http/http_date.h"
#include "operations/operations.h"
#include "protocol/checksum_headers.h"
#include "protocol/listing_parameters.h"
#include "protocol/object_headers.h"
#include "protocol/xml.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

// What an object and a version have in common in a listing.
void AddContent(const object::ObjectInfo& info, XmlWriter& xml) {
  xml.Text("LastModified", FormatIsoDate(info.modified_ns));
  xml.Text("ETag", QuotedEtag(info.etag));
  if (info.checksum) {
    xml.Text("ChecksumAlgorithm", object::ChecksumAlgorithmName(info.checksum->algorithm));
    xml.Text("ChecksumType", ChecksumTypeName(*info.checksum));
  }
  xml.Number("Size", info.size_bytes);
  xml.Text("StorageClass",
           info.metadata.storage_class.empty() ? "STANDARD" : info.metadata.storage_class);
}

// `owner`: nullptr where it is not asked for.
void AddObject(const object::ObjectInfo& info, const Owner* owner, const NameWriter& names,
               XmlWriter& xml) {
  xml.Open("Contents");
  names.Text("Key", info.key, xml);
  AddContent(info, xml);
  if (owner != nullptr) AddOwner("Owner", *owner, xml);
  xml.Close();
}

void AddVersion(const object::ObjectInfo& info, const Owner& owner, const NameWriter& names,
                XmlWriter& xml) {
  xml.Open(info.is_delete_marker ? "DeleteMarker" : "Version");
  names.Text("Key", info.key, xml);
  xml.Text("VersionId", info.version_id.empty() ? "null" : info.version_id);
  xml.Bool("IsLatest", info.is_latest);
  if (info.is_delete_marker) {
    xml.Text("LastModified", FormatIsoDate(info.modified_ns));
  } else {
    AddContent(info, xml);
  }
  AddOwner("Owner", owner, xml);
  xml.Close();
}

// A page of what `options` asks for, which max-keys=0 is: nothing, and nothing more to come.
absl::StatusOr<object::ListPage> ReadPage(const Call& call, const object::ListOptions& options,
                                          bool versions) {
  if (options.max_keys == 0) return object::ListPage();
  return versions ? call.store().ListVersions(call.bucket, options)
                  : call.store().List(call.bucket, options);
}

absl::StatusOr<object::ListOptions> ParseListOptions(const Request& request) {
  object::ListOptions options;
  options.prefix = request.Query("prefix");
  options.delimiter = request.Query("delimiter");
  STRATA_ASSIGN_OR_RETURN(options.max_keys, ParseMaxItems(request, "max-keys"));
  return options;
}

}  // namespace

absl::StatusOr<Step> ListObjects(const Call& call) {
  STRATA_ASSIGN_OR_RETURN(const bool url_encoded, ParseEncodingType(call.request));
  STRATA_ASSIGN_OR_RETURN(object::ListOptions options, ParseListOptions(call.request));
  const std::string_view marker = call.request.Query("marker");
  options.start_after = DecodeMarker(marker);
  STRATA_ASSIGN_OR_RETURN(const object::ListPage page, ReadPage(call, options, false));

  const NameWriter names(url_encoded);
  XmlWriter xml("ListBucketResult");
  xml.Text("Name", call.request.bucket);
  names.Text("Prefix", options.prefix, xml);
  names.Text("Marker", marker, xml);
  // Without a delimiter the next page begins behind the last key, which the client has, unless
  // keys that are not listed were passed over.
  if (page.truncated && (!options.delimiter.empty() || page.objects.empty() ||
                         page.objects.back().key != page.next_start_after)) {
    names.Text("NextMarker", EncodeMarker(page.next_start_after), xml);
  }
  xml.Number("MaxKeys", options.max_keys);
  if (!options.delimiter.empty()) names.Text("Delimiter", options.delimiter, xml);
  if (url_encoded) xml.Text("EncodingType", "url");
  xml.Bool("IsTruncated", page.truncated);
  const Owner owner = OwnerOf(call, call.bucket.owner);
  for (const object::ObjectInfo& info : page.objects) AddObject(info, &owner, names, xml);
  AddCommonPrefixes(page.common_prefixes, names, xml);
  return XmlReply(xml.Finish());
}

absl::StatusOr<Step> ListObjectsV2(const Call& call) {
  STRATA_ASSIGN_OR_RETURN(const bool url_encoded, ParseEncodingType(call.request));
  STRATA_ASSIGN_OR_RETURN(object::ListOptions options, ParseListOptions(call.request));
  const std::string start_after(call.request.Query("start-after"));
  options.start_after = start_after;
  const std::string* token = call.request.FindQuery("continuation-token");
  // An empty token is the beginning, as no token is.
  if (token != nullptr && !token->empty()) {
    std::optional<std::string> position = DecodeContinuationToken(*token);
    if (!position) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "The continuation token provided is incorrect.");
    }
    options.start_after = *std::move(position);
  }
  STRATA_ASSIGN_OR_RETURN(const object::ListPage page, ReadPage(call, options, false));

  const NameWriter names(url_encoded);
  XmlWriter xml("ListBucketResult");
  xml.Text("Name", call.request.bucket);
  names.Text("Prefix", options.prefix, xml);
  if (token != nullptr) xml.Text("ContinuationToken", *token);
  if (page.truncated) {
    xml.Text("NextContinuationToken", EncodeContinuationToken(page.next_start_after));
  }
  if (!start_after.empty()) names.Text("StartAfter", start_after, xml);
  xml.Number("KeyCount", page.objects.size() + page.common_prefixes.size());
  xml.Number("MaxKeys", options.max_keys);
  if (!options.delimiter.empty()) names.Text("Delimiter", options.delimiter, xml);
  if (url_encoded) xml.Text("EncodingType", "url");
  xml.Bool("IsTruncated", page.truncated);
  std::optional<Owner> owner;
  if (call.request.Query("fetch-owner") == "true") owner = OwnerOf(call, call.bucket.owner);
  for (const object::ObjectInfo& info : page.objects) {
    AddObject(info, owner ? &*owner : nullptr, names, xml);
  }
  AddCommonPrefixes(page.common_prefixes, names, xml);
  return XmlReply(xml.Finish());
}

absl::StatusOr<Step> ListObjectVersions(const Call& call) {
  STRATA_ASSIGN_OR_RETURN(const bool url_encoded, ParseEncodingType(call.request));
  STRATA_ASSIGN_OR_RETURN(object::ListOptions options, ParseListOptions(call.request));
  options.start_after = call.request.Query("key-marker");
  options.version_marker = call.request.Query("version-id-marker");
  if (!options.version_marker.empty() && options.start_after.empty()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "A version-id marker cannot be specified without a key marker.");
  }
  STRATA_ASSIGN_OR_RETURN(const object::ListPage page, ReadPage(call, options, true));

  const NameWriter names(url_encoded);
  XmlWriter xml("ListVersionsResult");
  xml.Text("Name", call.request.bucket);
  names.Text("Prefix", options.prefix, xml);
  names.Text("KeyMarker", options.start_after, xml);
  xml.Text("VersionIdMarker", options.version_marker);
  if (page.truncated) {
    names.Text("NextKeyMarker", page.next_start_after, xml);
    if (!page.next_version_marker.empty()) {
      xml.Text("NextVersionIdMarker", page.next_version_marker);
    }
  }
  xml.Number("MaxKeys", options.max_keys);
  if (!options.delimiter.empty()) names.Text("Delimiter", options.delimiter, xml);
  if (url_encoded) xml.Text("EncodingType", "url");
  xml.Bool("IsTruncated", page.truncated);
  const Owner owner = OwnerOf(call, call.bucket.owner);
  for (const object::ObjectInfo& info : page.objects) AddVersion(info, owner, names, xml);
  AddCommonPrefixes(page.common_prefixes, names, xml);
  return XmlReply(xml.Finish());
}

}  // namespace strata::s3
