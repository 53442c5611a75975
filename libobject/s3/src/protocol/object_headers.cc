// SPDX-License-Identifier: Apache-2.0
#include "protocol/object_headers.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "http/errors.h"
#include "http/header_text.h"
#include "http/http_date.h"
#include "http/text.h"
#include "http/uri_coding.h"
#include "strata/base/status_macros.h"
#include "strata/base/utf8.h"

namespace strata::s3 {
namespace {

constexpr std::string_view kMetaPrefix = "x-amz-meta-";
constexpr size_t kMaxTags = 10;
constexpr size_t kMaxTagKeyCharacters = 128;
constexpr size_t kMaxTagValueCharacters = 256;

constexpr std::array<std::string_view, 11> kStorageClasses = {
    "STANDARD", "STANDARD_IA",     "ONEZONE_IA",        "INTELLIGENT_TIERING",
    "GLACIER",  "GLACIER_IR",      "DEEP_ARCHIVE",      "OUTPOSTS",
    "SNOW",     "EXPRESS_ONEZONE", "REDUCED_REDUNDANCY"};

// "gzip,aws-chunked" without the part that is only about the transfer; the rest as it came.
std::string WithoutAwsChunked(std::string_view content_encoding) {
  std::string kept;
  bool is_first = true;
  for (std::string_view piece : Split(content_encoding, ',')) {
    if (EqualsIgnoreCase(Trim(piece), "aws-chunked")) continue;
    if (!is_first) kept += ',';
    kept += piece;
    is_first = false;
  }
  return std::string(Trim(kept));
}

// HTTP's dates end at the second and objects' do not: the whole second counts as the date.
std::optional<uint64_t> EndOfSecond(std::optional<uint64_t> time_ns) {
  if (time_ns) *time_ns += 999'999'999;
  return time_ns;
}

void AddIfSet(std::string_view name, std::string_view value, Reply& reply) {
  if (!value.empty()) reply.Add(name, value);
}

}  // namespace

absl::StatusOr<object::Metadata> ParseMetadata(const Request& request) {
  object::Metadata metadata;
  if (const std::string* type = request.head.Find("content-type"); type && !type->empty()) {
    metadata.content_type = *type;
  }
  metadata.cache_control = request.Header("cache-control");
  metadata.content_disposition = request.Header("content-disposition");
  metadata.content_encoding = WithoutAwsChunked(request.Header("content-encoding"));
  metadata.content_language = request.Header("content-language");
  metadata.expires = request.Header("expires");
  metadata.website_redirect_location = request.Header("x-amz-website-redirect-location");
  if (const std::string* storage_class = request.head.Find("x-amz-storage-class")) {
    bool known = false;
    for (std::string_view name : kStorageClasses) known = known || name == *storage_class;
    if (!known) return MakeError(ErrorCode::kInvalidStorageClass);
    metadata.storage_class = *storage_class;
  }
  for (const HttpHeader& header : request.head.headers) {
    if (header.name.substr(0, kMetaPrefix.size()) != kMetaPrefix) continue;
    std::string name = header.name.substr(kMetaPrefix.size());
    std::string value = DecodeHeaderText(header.value);
    const auto [entry, added] = metadata.user.emplace(std::move(name), value);
    if (!added) entry->second += Concat({",", value});  // RFC 9110, section 5.3.
  }
  if (const std::string* tagging = request.head.Find("x-amz-tagging")) {
    STRATA_ASSIGN_OR_RETURN(metadata.tags, ParseTagging(*tagging));
  }
  return metadata;
}

absl::StatusOr<std::map<std::string, std::string>> ParseTagging(std::string_view text) {
  const std::optional<QueryParameters> parameters = ParseQuery(text);
  if (!parameters) return MakeError(ErrorCode::kInvalidTag, "The tagging is not well encoded.");
  std::map<std::string, std::string> tags;
  for (const auto& [key, value] : *parameters) {
    if (!tags.emplace(key, value).second) {
      return MakeError(ErrorCode::kInvalidTag, "There are two tags of one key.");
    }
  }
  STRATA_RETURN_IF_ERROR(CheckTags(tags));
  return tags;
}

absl::Status CheckTags(const std::map<std::string, std::string>& tags) {
  if (tags.size() > kMaxTags) {
    return MakeError(ErrorCode::kInvalidTag, "An object has at most ten tags.");
  }
  for (const auto& [key, value] : tags) {
    const std::optional<size_t> key_characters = CountUtf8(key);
    const std::optional<size_t> value_characters = CountUtf8(value);
    if (key.empty() || !key_characters || *key_characters > kMaxTagKeyCharacters ||
        !value_characters || *value_characters > kMaxTagValueCharacters) {
      return MakeError(ErrorCode::kInvalidTag, "A tag's key or value is empty or too long.");
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> ParseEtagList(std::string_view text) {
  std::vector<std::string> etags;
  for (std::string_view piece : Split(text, ',')) {
    piece = Trim(piece);
    if (piece.substr(0, 2) == "W/") piece.remove_prefix(2);
    if (piece.size() >= 2 && piece.front() == '"' && piece.back() == '"') {
      piece = piece.substr(1, piece.size() - 2);
    }
    if (!piece.empty()) etags.emplace_back(piece);
  }
  return etags;
}

object::Conditions ParseConditions(const Request& request, std::string_view prefix) {
  object::Conditions conditions;
  conditions.if_match = ParseEtagList(request.Header(Concat({prefix, "if-match"})));
  conditions.if_none_match = ParseEtagList(request.Header(Concat({prefix, "if-none-match"})));
  conditions.if_modified_since_ns =
      EndOfSecond(ParseHttpDate(request.Header(Concat({prefix, "if-modified-since"}))));
  conditions.if_unmodified_since_ns =
      EndOfSecond(ParseHttpDate(request.Header(Concat({prefix, "if-unmodified-since"}))));
  return conditions;
}

std::string QuotedEtag(std::string_view etag) { return Concat({"\"", etag, "\""}); }

void AddObjectHeaders(const object::BucketInfo& bucket, const object::ObjectInfo& info,
                      Reply& reply) {
  const object::Metadata& metadata = info.metadata;
  reply.Add("Last-Modified", FormatHttpDate(info.modified_ns));
  reply.Add("ETag", QuotedEtag(info.etag));
  reply.Add("Accept-Ranges", "bytes");
  reply.Add("Content-Type", metadata.content_type);
  AddIfSet("Cache-Control", metadata.cache_control, reply);
  AddIfSet("Content-Disposition", metadata.content_disposition, reply);
  AddIfSet("Content-Encoding", metadata.content_encoding, reply);
  AddIfSet("Content-Language", metadata.content_language, reply);
  AddIfSet("Expires", metadata.expires, reply);
  AddIfSet("x-amz-website-redirect-location", metadata.website_redirect_location, reply);
  if (metadata.storage_class != "STANDARD") {
    AddIfSet("x-amz-storage-class", metadata.storage_class, reply);
  }
  for (const auto& [name, value] : metadata.user) {
    reply.Add(Concat({kMetaPrefix, name}), EncodeHeaderText(value));
  }
  if (!metadata.tags.empty()) {
    reply.Add("x-amz-tagging-count", std::to_string(metadata.tags.size()));
  }
  AddVersionHeader(bucket, info.version_id, reply);
}

void AddVersionHeader(const object::BucketInfo& bucket, std::string_view version_id, Reply& reply) {
  // Versioning may have been enabled since the bucket was looked at; there is no way back.
  if (bucket.versioning != object::Versioning::kOff || version_id != "null") {
    AddIfSet("x-amz-version-id", version_id, reply);
  }
}

void ApplyResponseOverrides(const Request& request, Reply& reply) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kOverrides = {{
      {"response-content-type", "Content-Type"},
      {"response-content-language", "Content-Language"},
      {"response-expires", "Expires"},
      {"response-cache-control", "Cache-Control"},
      {"response-content-disposition", "Content-Disposition"},
      {"response-content-encoding", "Content-Encoding"},
  }};
  for (const auto& [parameter, header] : kOverrides) {
    const std::string* value = request.FindQuery(parameter);
    if (value == nullptr) continue;
    std::erase_if(reply.headers,
                  [name = header](const HttpHeader& given) { return given.name == name; });
    reply.Add(header, *value);
  }
}

}  // namespace strata::s3
