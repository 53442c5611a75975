// SPDX-License-Identifier: Apache-2.0
#include "protocol/listing_parameters.h"

#include <algorithm>
#include <cstring>

#include "http/encoding.h"
#include "http/errors.h"
#include "http/text.h"
#include "http/uri_coding.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/base/utf8.h"

namespace strata::s3 {
namespace {

constexpr size_t kMaxItems = 1000;
constexpr size_t kTokenChecksumBytes = 4;
constexpr std::string_view kTokenMarker = "\xF4\x8F\xBF\xBD";  // U+10FFFD

std::string ChecksumOf(std::string_view text) {
  std::string checksum(kTokenChecksumBytes, '\0');
  StoreLe32(reinterpret_cast<std::byte*>(checksum.data()), Crc32c(std::as_bytes(std::span(text))));
  return checksum;
}

}  // namespace

absl::StatusOr<bool> ParseEncodingType(const Request& request) {
  const std::string* type = request.FindQuery("encoding-type");
  if (type == nullptr || type->empty()) return false;
  if (*type == "url") return true;
  return MakeError(ErrorCode::kInvalidArgument, "Invalid Encoding Method specified in Request.");
}

absl::StatusOr<size_t> ParseMaxItems(const Request& request, std::string_view name) {
  return ParseMaxItems(request.FindQuery(name), name);
}

absl::StatusOr<size_t> ParseMaxItems(const std::string* text, std::string_view name) {
  if (text == nullptr || text->empty()) return kMaxItems;
  const std::optional<uint64_t> value = ParseDecimal(*text);
  if (!value || *value > INT32_MAX) {
    return MakeError(ErrorCode::kInvalidArgument,
                     Concat({"Argument ", name, " must be an integer between 0 and 2147483647."}));
  }
  return std::min<size_t>(*value, kMaxItems);
}

void NameWriter::Text(std::string_view element, std::string_view name, XmlWriter& xml) const {
  if (url_encoded_) {
    xml.Text(element, UriEncode(name, Slash::kKeep));
  } else {
    xml.Text(element, name);
  }
}

void AddCommonPrefixes(const std::vector<std::string>& prefixes, const NameWriter& names,
                       XmlWriter& xml) {
  for (const std::string& prefix : prefixes) {
    xml.Open("CommonPrefixes");
    names.Text("Prefix", prefix, xml);
    xml.Close();
  }
}

std::string EncodeMarker(const std::string& start_after) {
  if (IsUtf8(start_after)) return start_after;
  return Concat({kTokenMarker, EncodeContinuationToken(start_after)});
}

std::string DecodeMarker(std::string_view marker) {
  if (marker.starts_with(kTokenMarker)) {
    const std::string_view token = marker.substr(kTokenMarker.size());
    if (std::optional<std::string> position = DecodeContinuationToken(token)) return *position;
  }
  return std::string(marker);
}

std::string EncodeContinuationToken(std::string_view start_after) {
  return WebSafeBase64Encode(Concat({ChecksumOf(start_after), start_after}));
}

std::optional<std::string> DecodeContinuationToken(std::string_view token) {
  std::optional<std::string> bytes = WebSafeBase64Decode(token);
  if (!bytes || bytes->size() < kTokenChecksumBytes) return std::nullopt;
  std::string start_after = bytes->substr(kTokenChecksumBytes);
  if (bytes->compare(0, kTokenChecksumBytes, ChecksumOf(start_after)) != 0) return std::nullopt;
  return start_after;
}

}  // namespace strata::s3
