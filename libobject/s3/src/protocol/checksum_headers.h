// SPDX-License-Identifier: Apache-2.0
//
// Content-MD5 and the x-amz-checksum-* family, in headers and in trailers.
// Source: Amazon S3 User Guide, "Checking object integrity". Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "http/request.h"
#include "protocol/xml.h"
#include "strata/object/checksum.h"
#include "strata/object/types.h"

namespace strata::s3 {

// What a request promises about its content.
struct ContentChecksum {
  std::optional<std::string> md5;  // 16 raw bytes
  std::optional<object::ChecksumAlgorithm> algorithm;
  std::optional<std::string> value;  // Raw; not set: it comes in the trailer.

  bool empty() const { return !md5 && !algorithm; }
};

// kInvalidDigest: not an MD5. kInvalidRequest: not a checksum, several of them, or an algorithm
// announced without a value.
absl::StatusOr<ContentChecksum> ParseContentChecksum(const Request& request);

// With the value from the trailer, where it was to come there. kMalformedTrailer.
absl::StatusOr<object::ContentClaims> ClaimsOf(const ContentChecksum& checksum,
                                               const std::vector<HttpHeader>& trailers);

// Of a header x-amz-checksum-NAME that AlgorithmOfHeader() does not know: always an error.
// kInvalidRequest.
absl::Status RefuseUnknownChecksum(const HttpHeader& header);

// "CRC32" and so on, as in x-amz-checksum-algorithm: what can be stored with an object, so not MD5.
// kInvalidRequest.
absl::StatusOr<object::ChecksumAlgorithm> ParseStoredAlgorithm(std::string_view name);

// A value in Base64, of the algorithm's length. kInvalidRequest.
absl::StatusOr<std::string> ParseChecksumValue(object::ChecksumAlgorithm algorithm,
                                               std::string_view text);

// "x-amz-checksum-crc32", nullopt for other headers; and the algorithm's name in documents,
// "ChecksumCRC32".
std::optional<object::ChecksumAlgorithm> AlgorithmOfHeader(std::string_view header_name);
std::string_view ChecksumElementName(object::ChecksumAlgorithm algorithm);

// "sOO8/Q==", "sOO8/Q==-3" when composite; and FULL_OBJECT or COMPOSITE.
std::string ChecksumText(const object::Checksum& checksum);
std::string_view ChecksumTypeName(const object::Checksum& checksum);

void AddChecksumHeaders(const object::Checksum& checksum, Reply& reply);

// The same of a part, whose object's checksum is of this type.
void AddChecksumHeaders(const object::Checksum& checksum, std::string_view type, Reply& reply);
void AddChecksumElement(const object::Checksum& checksum, XmlWriter& xml);

// The checksum among the children of a document's element: ChecksumCRC32 and its like.
absl::StatusOr<std::optional<std::string>> ChecksumOfElement(const XmlElement& element);

}  // namespace strata::s3
