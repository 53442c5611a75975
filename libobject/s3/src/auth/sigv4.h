// SPDX-License-Identifier: Apache-2.0
//
// AWS Signature Version 4 for S3, as pure functions: what a request says of its signature, and what
// the signature ought to be. Who the signer is and whether the time is right: authenticator.h.
// Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "http/http.h"
#include "http/uri_coding.h"

namespace strata::s3 {

inline constexpr std::string_view kSigV4Algorithm = "AWS4-HMAC-SHA256";

// "20130524/us-east-1/s3/aws4_request"
struct CredentialScope {
  std::string date;  // YYYYMMDD
  std::string region;
  std::string service;

  std::string Text() const;
};

// What a request says of its signature.
struct SignatureClaim {
  std::string access_key;
  CredentialScope scope;
  std::vector<std::string> signed_headers;  // Lower case, in order.
  std::string signature;                    // 64 hexadecimal digits.

  // Presigned URLs alone carry these two inside.
  std::string timestamp;   // 20130524T000000Z
  uint64_t expires_s = 0;  // 1..604800
};

// "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...".
// kAuthorizationHeaderMalformed, with what is wrong.
absl::StatusOr<SignatureClaim> ParseAuthorizationHeader(std::string_view header);

// X-Amz-Algorithm, -Credential, -Date, -Expires, -SignedHeaders, -Signature.
// kAuthorizationQueryParametersError, with what is wrong.
absl::StatusOr<SignatureClaim> ParsePresignedQuery(const QueryParameters& query);

// `path`: decoded. A parameter named X-Amz-Signature is left out. `payload_hash`: the value of
// x-amz-content-sha256, whatever it is. A signed header that is not there counts as empty.
std::string CanonicalRequest(const HttpHead& head, std::string_view path,
                             const QueryParameters& query,
                             const std::vector<std::string>& signed_headers,
                             std::string_view payload_hash);

std::string StringToSign(std::string_view timestamp, const CredentialScope& scope,
                         std::string_view canonical_request);

// 32 raw bytes, good for one day, region and service.
std::string DeriveSigningKey(std::string_view secret_key, const CredentialScope& scope);

// In hexadecimal.
std::string Sign(std::string_view signing_key, std::string_view string_to_sign);

}  // namespace strata::s3
