// SPDX-License-Identifier: Apache-2.0
#include "protocol/checksum_headers.h"

#include <array>
#include <utility>

#include "http/encoding.h"
#include "http/errors.h"
#include "http/text.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

using object::ChecksumAlgorithm;

struct AlgorithmRow {
  ChecksumAlgorithm algorithm;
  std::string_view header;
  std::string_view element;
  size_t value_bytes;
};

constexpr std::array<AlgorithmRow, 5> kAlgorithms = {{
    {ChecksumAlgorithm::kCrc32, "x-amz-checksum-crc32", "ChecksumCRC32", 4},
    {ChecksumAlgorithm::kCrc32c, "x-amz-checksum-crc32c", "ChecksumCRC32C", 4},
    {ChecksumAlgorithm::kCrc64Nvme, "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 8},
    {ChecksumAlgorithm::kSha1, "x-amz-checksum-sha1", "ChecksumSHA1", 20},
    {ChecksumAlgorithm::kSha256, "x-amz-checksum-sha256", "ChecksumSHA256", 32},
}};

const AlgorithmRow* RowOf(ChecksumAlgorithm algorithm) {
  for (const AlgorithmRow& row : kAlgorithms) {
    if (row.algorithm == algorithm) return &row;
  }
  return nullptr;
}

// The algorithm that x-amz-trailer announces. nullopt: none.
absl::StatusOr<std::optional<ChecksumAlgorithm>> TrailerAlgorithm(const Request& request) {
  const std::string* trailer = request.head.Find("x-amz-trailer");
  if (trailer == nullptr) return std::nullopt;
  // Nothing else can be made of a trailer than one checksum, so nothing else may be promised.
  const std::optional<ChecksumAlgorithm> algorithm = AlgorithmOfHeader(ToLower(Trim(*trailer)));
  if (!algorithm) {
    return MakeError(ErrorCode::kInvalidRequest,
                     "The value specified in the x-amz-trailer header is not supported.");
  }
  return algorithm;
}

}  // namespace

absl::StatusOr<ContentChecksum> ParseContentChecksum(const Request& request) {
  ContentChecksum checksum;
  if (const std::string* md5 = request.head.Find("content-md5")) {
    checksum.md5 = Base64Decode(*md5);
    if (!checksum.md5 || checksum.md5->size() != 16) return MakeError(ErrorCode::kInvalidDigest);
  }
  for (const HttpHeader& header : request.head.headers) {
    const std::optional<ChecksumAlgorithm> algorithm = AlgorithmOfHeader(header.name);
    if (!algorithm) continue;
    if (checksum.algorithm) {
      return MakeError(ErrorCode::kInvalidRequest,
                       "Expecting a single x-amz-checksum- header. Multiple checksum types are "
                       "not allowed.");
    }
    checksum.algorithm = algorithm;
    STRATA_ASSIGN_OR_RETURN(checksum.value, ParseChecksumValue(*algorithm, header.value));
  }
  STRATA_ASSIGN_OR_RETURN(const std::optional<ChecksumAlgorithm> in_trailer,
                          TrailerAlgorithm(request));
  if (checksum.algorithm && in_trailer) {
    return MakeError(ErrorCode::kInvalidRequest,
                     "A checksum is expected in a header or in the trailer, not in both.");
  }
  if (in_trailer) checksum.algorithm = in_trailer;

  if (const std::string* name = request.head.Find("x-amz-sdk-checksum-algorithm")) {
    const absl::StatusOr<ChecksumAlgorithm> announced = object::ParseChecksumAlgorithm(*name);
    if (!announced.ok()) {
      return MakeError(ErrorCode::kInvalidRequest,
                       "The x-amz-sdk-checksum-algorithm is not known.");
    }
    const bool is_md5 = *announced == ChecksumAlgorithm::kMd5;
    if (is_md5 ? !checksum.md5.has_value() : checksum.algorithm != *announced) {
      return MakeError(ErrorCode::kInvalidRequest,
                       "x-amz-sdk-checksum-algorithm is given, but no such x-amz-checksum- header "
                       "or trailer.");
    }
  }
  return checksum;
}

absl::StatusOr<object::ContentClaims> ClaimsOf(const ContentChecksum& checksum,
                                               const std::vector<HttpHeader>& trailers) {
  object::ContentClaims claims;
  claims.md5 = checksum.md5;
  claims.checksum = checksum.value;
  for (const HttpHeader& header : trailers) {
    const std::optional<ChecksumAlgorithm> algorithm = AlgorithmOfHeader(header.name);
    if (!algorithm || claims.checksum || algorithm != checksum.algorithm) {
      return MakeError(ErrorCode::kMalformedTrailer,
                       "The trailer has a header that x-amz-trailer does not announce.");
    }
    STRATA_ASSIGN_OR_RETURN(claims.checksum, ParseChecksumValue(*algorithm, header.value));
  }
  if (checksum.algorithm && !claims.checksum) {
    return MakeError(ErrorCode::kMalformedTrailer,
                     "The checksum that x-amz-trailer announces did not come.");
  }
  return claims;
}

absl::StatusOr<std::string> ParseChecksumValue(ChecksumAlgorithm algorithm, std::string_view text) {
  std::optional<std::string> value = Base64Decode(text);
  const AlgorithmRow* row = RowOf(algorithm);
  if (!value || row == nullptr || value->size() != row->value_bytes) {
    // No content has a checksum of such a value.
    return MakeError(ErrorCode::kBadDigest,
                     Concat({"The value of x-amz-checksum-",
                             ToLower(object::ChecksumAlgorithmName(algorithm)), " is invalid."}));
  }
  return *std::move(value);
}

std::optional<ChecksumAlgorithm> AlgorithmOfHeader(std::string_view header_name) {
  for (const AlgorithmRow& row : kAlgorithms) {
    if (row.header == header_name) return row.algorithm;
  }
  return std::nullopt;
}

absl::Status RefuseUnknownChecksum(const HttpHeader& header) {
  return MakeError(ErrorCode::kInvalidRequest,
                   Concat({"The checksum of ", header.name,
                           " cannot be verified here. CRC32, CRC32C, CRC64NVME, SHA1 and SHA256 "
                           "can."}));
}

absl::StatusOr<ChecksumAlgorithm> ParseStoredAlgorithm(std::string_view name) {
  const absl::StatusOr<ChecksumAlgorithm> algorithm = object::ParseChecksumAlgorithm(name);
  if (!algorithm.ok() || RowOf(*algorithm) == nullptr) {
    return MakeError(ErrorCode::kInvalidRequest, "The checksum algorithm is not known.");
  }
  return *algorithm;
}

std::string_view ChecksumElementName(ChecksumAlgorithm algorithm) {
  const AlgorithmRow* row = RowOf(algorithm);
  return row == nullptr ? std::string_view("ChecksumMD5") : row->element;
}

std::string ChecksumText(const object::Checksum& checksum) {
  std::string text = Base64Encode(checksum.value);
  if (checksum.part_count > 0) text += Concat({"-", std::to_string(checksum.part_count)});
  return text;
}

std::string_view ChecksumTypeName(const object::Checksum& checksum) {
  return checksum.part_count > 0 ? "COMPOSITE" : "FULL_OBJECT";
}

void AddChecksumHeaders(const object::Checksum& checksum, Reply& reply) {
  AddChecksumHeaders(checksum, ChecksumTypeName(checksum), reply);
}

void AddChecksumHeaders(const object::Checksum& checksum, std::string_view type, Reply& reply) {
  const AlgorithmRow* row = RowOf(checksum.algorithm);
  if (row == nullptr) return;
  reply.Add(row->header, ChecksumText(checksum));
  reply.Add("x-amz-checksum-type", type);
}

void AddChecksumElement(const object::Checksum& checksum, XmlWriter& xml) {
  const AlgorithmRow* row = RowOf(checksum.algorithm);
  if (row != nullptr) xml.Text(row->element, ChecksumText(checksum));
}

absl::StatusOr<std::optional<std::string>> ChecksumOfElement(const XmlElement& element) {
  std::optional<std::string> value;
  for (const AlgorithmRow& row : kAlgorithms) {
    const XmlElement* child = element.Child(row.element);
    if (child == nullptr || child->text.empty()) continue;
    if (value) {
      return MakeError(ErrorCode::kInvalidRequest,
                       Concat({element.name, " has checksums of more than one algorithm."}));
    }
    STRATA_ASSIGN_OR_RETURN(value, ParseChecksumValue(row.algorithm, child->text));
  }
  return value;
}

}  // namespace strata::s3
