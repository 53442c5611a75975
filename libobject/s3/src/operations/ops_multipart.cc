// SPDX-License-Identifier: Apache-2.0
//
// Multipart uploads: create, the parts, complete, abort, and their listings.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/byte_range.h"
#include "http/errors.h"
#include "http/http_date.h"
#include "http/text.h"
#include "http/uri_coding.h"
#include "operations/copy_source.h"
#include "operations/object_sink.h"
#include "operations/operations.h"
#include "protocol/checksum_headers.h"
#include "protocol/listing_parameters.h"
#include "protocol/object_headers.h"
#include "protocol/xml.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

using object::ChecksumAlgorithm;

absl::StatusOr<uint32_t> ParsePartNumber(const Request& request) {
  const std::optional<uint64_t> number = ParseDecimal(request.Query("partNumber"));
  if (!number || *number < 1 || *number > object::ObjectLimits::kMaxPartNumber) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "Part number must be an integer between 1 and 10000, inclusive.");
  }
  return static_cast<uint32_t>(*number);
}

// x-amz-checksum-type: whether the checksum is to be of the whole object instead of its parts'.
absl::StatusOr<bool> ParseFullObject(const Request& request,
                                     std::optional<ChecksumAlgorithm> algorithm) {
  const std::string_view type = request.Header("x-amz-checksum-type");
  if (type.empty()) return algorithm == ChecksumAlgorithm::kCrc64Nvme;
  if (!algorithm) {
    return MakeError(ErrorCode::kInvalidRequest,
                     "x-amz-checksum-type needs x-amz-checksum-algorithm.");
  }
  const bool is_sha =
      *algorithm == ChecksumAlgorithm::kSha1 || *algorithm == ChecksumAlgorithm::kSha256;
  if (type == "FULL_OBJECT" && !is_sha) return true;
  if (type == "COMPOSITE" && *algorithm != ChecksumAlgorithm::kCrc64Nvme) return false;
  return MakeError(ErrorCode::kInvalidRequest,
                   "This x-amz-checksum-type cannot be had with this checksum algorithm.");
}

// A checksum of an algorithm that is not known here is refused with the rest: it is not verified.
absl::Status CheckPartChildren(const XmlElement& part) {
  using enum XmlContent;
  return CheckXmlChildren(part, {{"PartNumber", kText},
                                 {"ETag", kText},
                                 {"ChecksumCRC32", kText},
                                 {"ChecksumCRC32C", kText},
                                 {"ChecksumCRC64NVME", kText},
                                 {"ChecksumSHA1", kText},
                                 {"ChecksumSHA256", kText}});
}

absl::StatusOr<std::vector<object::CompletedPart>> ParseCompletion(const std::string& body) {
  STRATA_ASSIGN_OR_RETURN(const XmlElement root, ParseXml(body, "CompleteMultipartUpload"));
  STRATA_RETURN_IF_ERROR(
      CheckXmlChildren(root, {{"Part", XmlContent::kElements, XmlCount::kMany}}));
  std::vector<object::CompletedPart> parts;
  for (const XmlElement& element : root.children) {
    STRATA_RETURN_IF_ERROR(CheckPartChildren(element));
    std::string_view number_text = Trim(element.ChildText("PartNumber"));
    std::string_view etag = Trim(element.ChildText("ETag"));
    const bool negative = number_text.starts_with('-');
    if (negative) number_text.remove_prefix(1);
    const std::optional<uint64_t> number = ParseDecimal(number_text);
    if (!number || etag.empty()) {
      return MakeError(ErrorCode::kMalformedXml, "A Part needs a PartNumber and an ETag.");
    }
    if (negative || *number < 1 || *number > object::ObjectLimits::kMaxPartNumber) {
      return MakeError(ErrorCode::kInvalidArgument, "A PartNumber must be from 1 to 10000.");
    }
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
      etag = etag.substr(1, etag.size() - 2);
    }
    object::CompletedPart part;
    part.part_number = static_cast<uint32_t>(*number);
    part.etag = etag;
    STRATA_ASSIGN_OR_RETURN(part.checksum, ChecksumOfElement(element));
    parts.push_back(std::move(part));
  }
  if (parts.empty() || parts.size() > object::ObjectLimits::kMaxPartNumber) {
    return MakeError(ErrorCode::kMalformedXml, "There must be 1 to 10000 Parts.");
  }
  return parts;
}

// The checksum headers of a completion are of the object, not of the document that is its body.
absl::StatusOr<object::ContentClaims> ParseObjectClaims(const Request& request) {
  object::ContentClaims claims;
  for (const HttpHeader& header : request.head.headers) {
    const std::optional<ChecksumAlgorithm> algorithm = AlgorithmOfHeader(header.name);
    if (!algorithm) continue;
    if (claims.checksum) {
      return MakeError(ErrorCode::kInvalidRequest,
                       "Expecting a single x-amz-checksum- header. Multiple checksum types are "
                       "not allowed.");
    }
    // A composite one ends in "-N"; that N is the number of parts is checked with the parts.
    const auto [value, part_count] = SplitOnce(header.value, '-');
    STRATA_ASSIGN_OR_RETURN(claims.checksum, ParseChecksumValue(*algorithm, value));
  }
  if (const std::string* text = request.head.Find("x-amz-mp-object-size")) {
    claims.size_bytes = ParseDecimal(*text);
    if (!claims.size_bytes) {
      return MakeError(ErrorCode::kInvalidArgument, "x-amz-mp-object-size is no number.");
    }
  }
  return claims;
}

// As the client may ask for the object: by https where the server does, and in the style that the
// request was made in.
std::string LocationOf(const Call& call) {
  const Request& request = call.request;
  const std::string_view host = request.Header("host");
  const std::string key = UriEncode(request.key, Slash::kKeep);
  std::string path =
      request.bucket_in_host ? Concat({"/", key}) : Concat({"/", request.bucket, "/", key});
  if (host.empty()) return path;
  return Concat({call.options.tls ? "https://" : "http://", host, path});
}

absl::StatusOr<Reply> CompleteNow(const Call& call, const std::string& body) {
  const Request& request = call.request;
  STRATA_ASSIGN_OR_RETURN(const std::vector<object::CompletedPart> parts, ParseCompletion(body));
  STRATA_ASSIGN_OR_RETURN(const object::ContentClaims claims, ParseObjectClaims(request));
  STRATA_ASSIGN_OR_RETURN(
      const object::ObjectInfo info,
      call.store().CompleteUpload({call.bucket, request.key, request.Query("uploadId")}, parts,
                                  {.conditions = ParseConditions(request, ""), .claims = claims}));
  XmlWriter xml("CompleteMultipartUploadResult");
  xml.Text("Location", LocationOf(call));
  xml.Text("Bucket", request.bucket);
  xml.Text("Key", request.key);
  xml.Text("ETag", QuotedEtag(info.etag));
  if (info.checksum) {
    AddChecksumElement(*info.checksum, xml);
    xml.Text("ChecksumType", ChecksumTypeName(*info.checksum));
  }
  Reply reply = XmlReply(xml.Finish());
  AddVersionHeader(call.bucket, info.version_id, reply);
  return reply;
}

}  // namespace

absl::StatusOr<Step> CreateMultipartUpload(const Call& call) {
  const Request& request = call.request;
  object::PutOptions options;
  STRATA_ASSIGN_OR_RETURN(options.metadata, ParseMetadata(request));
  options.owner = call.bucket.owner;
  if (const std::string* name = request.head.Find("x-amz-checksum-algorithm")) {
    STRATA_ASSIGN_OR_RETURN(options.checksum_algorithm, ParseStoredAlgorithm(*name));
  }
  STRATA_ASSIGN_OR_RETURN(const bool full_object,
                          ParseFullObject(request, options.checksum_algorithm));
  STRATA_ASSIGN_OR_RETURN(
      const object::UploadInfo upload,
      call.store().CreateUpload(call.bucket, request.key,
                                {.put = options, .full_object_checksum = full_object}));

  XmlWriter xml("InitiateMultipartUploadResult");
  xml.Text("Bucket", request.bucket);
  xml.Text("Key", request.key);
  xml.Text("UploadId", upload.upload_id);
  Reply reply = XmlReply(xml.Finish());
  if (upload.checksum_algorithm) {
    reply.Add("x-amz-checksum-algorithm",
              object::ChecksumAlgorithmName(*upload.checksum_algorithm));
    reply.Add("x-amz-checksum-type", full_object ? "FULL_OBJECT" : "COMPOSITE");
  }
  return reply;
}

absl::StatusOr<Step> UploadPart(const Call& call) {
  const Request& request = call.request;
  STRATA_ASSIGN_OR_RETURN(const uint32_t part_number, ParsePartNumber(request));
  if (!call.content_size_bytes) return MakeError(ErrorCode::kMissingContentLength);
  if (*call.content_size_bytes > object::ObjectLimits::kMaxPutBytes) {
    return MakeError(ErrorCode::kEntityTooLarge);
  }
  STRATA_ASSIGN_OR_RETURN(ContentChecksum checksum, ParseContentChecksum(request));
  STRATA_ASSIGN_OR_RETURN(
      std::unique_ptr<object::ObjectWriter> writer,
      call.store().NewPartWriter({call.bucket, request.key, request.Query("uploadId")}, part_number,
                                 checksum.algorithm));
  writer->OmitSha256();  // A signed payload's is checked before the content gets here.
  return Step(std::make_unique<ObjectSink>(ObjectSink::Kind::kPart, call, std::move(checksum),
                                           std::move(writer)));
}

absl::StatusOr<Step> UploadPartCopy(const Call& call) {
  const Request& request = call.request;
  STRATA_ASSIGN_OR_RETURN(const uint32_t part_number, ParsePartNumber(request));
  STRATA_ASSIGN_OR_RETURN(const object::CopySource source, ParseCopySource(call));
  std::optional<object::ByteRange> range;
  if (const std::string* text = request.head.Find("x-amz-copy-source-range")) {
    if (const auto parsed = ParseCopyRange(*text)) range = {parsed->first, parsed->second};
    if (!range) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "x-amz-copy-source-range must be of the form bytes=FIRST-LAST.");
    }
  }
  const absl::StatusOr<object::PartInfo> part = call.store().CopyPart(
      {source, range}, {call.bucket, request.key, request.Query("uploadId")}, part_number);
  if (!part.ok()) return CopyError(part.status());
  XmlWriter xml("CopyPartResult");
  xml.Text("LastModified", FormatIsoDate(part->modified_ns));
  xml.Text("ETag", QuotedEtag(part->etag));
  if (part->checksum) AddChecksumElement(*part->checksum, xml);
  Reply reply = XmlReply(xml.Finish());
  if (!source.version_id.empty()) reply.Add("x-amz-copy-source-version-id", source.version_id);
  return reply;
}

absl::StatusOr<Step> CompleteMultipartUpload(const Call& call) {
  return TakeUncheckedDocument(call, CompleteNow, kCompleteLimits);
}

absl::StatusOr<Step> AbortMultipartUpload(const Call& call) {
  STRATA_RETURN_IF_ERROR(
      call.store().AbortUpload({call.bucket, call.request.key, call.request.Query("uploadId")}));
  return EmptyReply(204);
}

absl::StatusOr<Step> ListParts(const Call& call) {
  const Request& request = call.request;
  STRATA_ASSIGN_OR_RETURN(const bool url_encoded, ParseEncodingType(request));
  STRATA_ASSIGN_OR_RETURN(const size_t max_parts, ParseMaxItems(request, "max-parts"));
  uint64_t marker = 0;
  if (const std::string* text = request.FindQuery("part-number-marker"); text && !text->empty()) {
    const std::optional<uint64_t> value = ParseDecimal(*text);
    if (!value || *value > INT32_MAX) {
      return MakeError(ErrorCode::kInvalidArgument, "part-number-marker is no part number.");
    }
    marker = *value;
  }
  STRATA_ASSIGN_OR_RETURN(
      object::PartsPage page,
      call.store().ListParts({call.bucket, request.key, request.Query("uploadId")},
                             {static_cast<uint32_t>(marker), std::max<size_t>(max_parts, 1)}));
  if (max_parts == 0) {
    page.parts.clear();
    page.truncated = false;
  }

  const NameWriter names(url_encoded);
  XmlWriter xml("ListPartsResult");
  xml.Text("Bucket", request.bucket);
  names.Text("Key", request.key, xml);
  xml.Text("UploadId", request.Query("uploadId"));
  const Owner owner = OwnerOf(call, page.upload.owner);
  AddOwner("Initiator", owner, xml);
  AddOwner("Owner", owner, xml);
  xml.Text("StorageClass", page.upload.metadata.storage_class);
  xml.Number("PartNumberMarker", marker);
  if (page.truncated) xml.Number("NextPartNumberMarker", page.parts.back().part_number);
  xml.Number("MaxParts", max_parts);
  xml.Bool("IsTruncated", page.truncated);
  if (page.upload.checksum_algorithm) {
    xml.Text("ChecksumAlgorithm", object::ChecksumAlgorithmName(*page.upload.checksum_algorithm));
    xml.Text("ChecksumType", page.upload.full_object_checksum ? "FULL_OBJECT" : "COMPOSITE");
  }
  for (const object::PartInfo& part : page.parts) {
    xml.Open("Part");
    xml.Number("PartNumber", part.part_number);
    xml.Text("LastModified", FormatIsoDate(part.modified_ns));
    xml.Text("ETag", QuotedEtag(part.etag));
    xml.Number("Size", part.size_bytes);
    if (part.checksum) AddChecksumElement(*part.checksum, xml);
    xml.Close();
  }
  return XmlReply(xml.Finish());
}

absl::StatusOr<Step> ListMultipartUploads(const Call& call) {
  const Request& request = call.request;
  STRATA_ASSIGN_OR_RETURN(const bool url_encoded, ParseEncodingType(request));
  object::ListOptions options;
  options.prefix = request.Query("prefix");
  options.delimiter = request.Query("delimiter");
  options.start_after = request.Query("key-marker");
  STRATA_ASSIGN_OR_RETURN(options.max_keys, ParseMaxItems(request, "max-uploads"));
  const std::string_view upload_marker =
      options.start_after.empty() ? std::string_view() : request.Query("upload-id-marker");
  object::UploadsPage page;
  if (options.max_keys > 0) {
    STRATA_ASSIGN_OR_RETURN(page, call.store().ListUploads(call.bucket, options, upload_marker));
  }

  const NameWriter names(url_encoded);
  XmlWriter xml("ListMultipartUploadsResult");
  xml.Text("Bucket", request.bucket);
  names.Text("KeyMarker", options.start_after, xml);
  xml.Text("UploadIdMarker", upload_marker);
  if (page.truncated) {
    names.Text("NextKeyMarker", page.next_key_marker, xml);
    xml.Text("NextUploadIdMarker", page.next_upload_id_marker);
  }
  names.Text("Prefix", options.prefix, xml);
  if (!options.delimiter.empty()) names.Text("Delimiter", options.delimiter, xml);
  if (url_encoded) xml.Text("EncodingType", "url");
  xml.Number("MaxUploads", options.max_keys);
  xml.Bool("IsTruncated", page.truncated);
  const Owner owner = OwnerOf(call, call.bucket.owner);  // Every upload's.
  for (const object::UploadInfo& upload : page.uploads) {
    xml.Open("Upload");
    names.Text("Key", upload.key, xml);
    xml.Text("UploadId", upload.upload_id);
    AddOwner("Initiator", owner, xml);
    AddOwner("Owner", owner, xml);
    xml.Text("StorageClass", upload.metadata.storage_class);
    xml.Text("Initiated", FormatIsoDate(upload.created_ns));
    if (upload.checksum_algorithm) {
      xml.Text("ChecksumAlgorithm", object::ChecksumAlgorithmName(*upload.checksum_algorithm));
      xml.Text("ChecksumType", upload.full_object_checksum ? "FULL_OBJECT" : "COMPOSITE");
    }
    xml.Close();
  }
  AddCommonPrefixes(page.common_prefixes, names, xml);
  return XmlReply(xml.Finish());
}

}  // namespace strata::s3
