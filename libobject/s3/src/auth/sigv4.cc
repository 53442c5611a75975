// SPDX-License-Identifier: Apache-2.0
#include "auth/sigv4.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "http/encoding.h"
#include "http/errors.h"
#include "http/hash.h"
#include "http/text.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

constexpr std::string_view kTerminator = "aws4_request";
constexpr size_t kMaxSignedHeaders = 256;
constexpr uint64_t kMaxExpiresSeconds = 604'800;

// Parses with the error code of where the text stands.
class ClaimParser {
 public:
  explicit ClaimParser(ErrorCode code) : code_(code) {}

  absl::Status Wrong(std::string_view what) const { return MakeError(code_, what); }

  absl::Status Credential(std::string_view text, SignatureClaim& claim) const {
    // The access key may itself hold slashes: the last four pieces are the scope.
    std::vector<std::string_view> pieces = Split(text, '/');
    if (pieces.size() < 5 || pieces.back() != kTerminator) {
      return Wrong("The Credential must be of the form KEY/YYYYMMDD/REGION/s3/aws4_request.");
    }
    const size_t scope = pieces.size() - 4;
    claim.scope.date = pieces[scope];
    claim.scope.region = pieces[scope + 1];
    claim.scope.service = pieces[scope + 2];
    const size_t key_size = static_cast<size_t>(pieces[scope].data() - text.data()) - 1;
    claim.access_key = text.substr(0, key_size);
    if (claim.access_key.empty()) return Wrong("The Credential names no access key.");
    if (claim.scope.date.size() != 8 || !ParseDecimal(claim.scope.date)) {
      return Wrong("The Credential's date must be of the form YYYYMMDD.");
    }
    if (claim.scope.service != "s3") return Wrong("The Credential's service must be s3.");
    return absl::OkStatus();
  }

  absl::Status SignedHeaders(std::string_view text, SignatureClaim& claim) const {
    for (std::string_view name : Split(text, ';')) {
      if (name.empty()) return Wrong("SignedHeaders has an empty name.");
      claim.signed_headers.push_back(ToLower(name));
    }
    if (claim.signed_headers.size() > kMaxSignedHeaders) {
      return Wrong("SignedHeaders has too many names.");
    }
    if (std::find(claim.signed_headers.begin(), claim.signed_headers.end(), "host") ==
        claim.signed_headers.end()) {
      return Wrong("SignedHeaders must name host.");
    }
    return absl::OkStatus();
  }

  absl::Status Signature(std::string_view text, SignatureClaim& claim) const {
    if (text.size() != 64 || !FromHex(text, HexLetters::kAny)) {
      return Wrong("The Signature must be 64 hexadecimal digits.");
    }
    claim.signature = ToLower(text);
    return absl::OkStatus();
  }

 private:
  const ErrorCode code_;
};

// A header's values, joined, each with its runs of spaces made one.
std::string CanonicalHeaderValue(const HttpHead& head, std::string_view name) {
  std::string value;
  bool first = true;
  for (const HttpHeader& header : head.headers) {
    if (header.name != name || header.in_query) continue;
    if (!first) value += ',';
    first = false;
    bool after_space = false;
    for (char c : Trim(header.value)) {
      if (c == ' ' && after_space) continue;
      after_space = c == ' ';
      value += c;
    }
  }
  return value;
}

std::string CanonicalQuery(const QueryParameters& query) {
  QueryParameters encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query) {
    if (name == "X-Amz-Signature") continue;
    encoded.emplace_back(UriEncode(name, Slash::kEncode), UriEncode(value, Slash::kEncode));
  }
  std::sort(encoded.begin(), encoded.end());
  std::string text;
  for (const auto& [name, value] : encoded) {
    if (!text.empty()) text += '&';
    text += name;
    text += '=';
    text += value;
  }
  return text;
}

}  // namespace

std::string CredentialScope::Text() const {
  return Concat({date, "/", region, "/", service, "/", kTerminator});
}

absl::StatusOr<SignatureClaim> ParseAuthorizationHeader(std::string_view header) {
  const ClaimParser parser(ErrorCode::kAuthorizationHeaderMalformed);
  header = Trim(header);
  if (header.substr(0, kSigV4Algorithm.size()) != kSigV4Algorithm) {
    return parser.Wrong("The algorithm must be AWS4-HMAC-SHA256.");
  }
  SignatureClaim claim;
  bool credential = false, signed_headers = false, signature = false;
  for (std::string_view piece : Split(header.substr(kSigV4Algorithm.size()), ',')) {
    const auto [name, value] = SplitOnce(Trim(piece), '=');
    bool* seen = nullptr;
    absl::Status status;
    if (name == "Credential") {
      seen = &credential;
      status = parser.Credential(value, claim);
    } else if (name == "SignedHeaders") {
      seen = &signed_headers;
      status = parser.SignedHeaders(value, claim);
    } else if (name == "Signature") {
      seen = &signature;
      status = parser.Signature(value, claim);
    } else {
      return parser.Wrong("It has a part other than Credential, SignedHeaders and Signature.");
    }
    STRATA_RETURN_IF_ERROR(status);
    if (*seen) return parser.Wrong("It has one of its parts twice.");
    *seen = true;
  }
  if (!credential || !signed_headers || !signature) {
    return parser.Wrong("Credential, SignedHeaders and Signature are all needed.");
  }
  return claim;
}

absl::StatusOr<SignatureClaim> ParsePresignedQuery(const QueryParameters& query) {
  const ClaimParser parser(ErrorCode::kAuthorizationQueryParametersError);
  auto find = [&query](std::string_view name) -> const std::string* {
    for (const auto& [key, value] : query) {
      if (key == name) return &value;
    }
    return nullptr;
  };
  const std::string* algorithm = find("X-Amz-Algorithm");
  const std::string* credential = find("X-Amz-Credential");
  const std::string* date = find("X-Amz-Date");
  const std::string* expires = find("X-Amz-Expires");
  const std::string* signed_headers = find("X-Amz-SignedHeaders");
  const std::string* signature = find("X-Amz-Signature");
  if (!algorithm || !credential || !date || !expires || !signed_headers || !signature) {
    return parser.Wrong(
        "X-Amz-Algorithm, X-Amz-Credential, X-Amz-Date, X-Amz-Expires, X-Amz-SignedHeaders and "
        "X-Amz-Signature are all needed.");
  }
  if (*algorithm != kSigV4Algorithm) {
    return parser.Wrong("X-Amz-Algorithm must be AWS4-HMAC-SHA256.");
  }
  SignatureClaim claim;
  STRATA_RETURN_IF_ERROR(parser.Credential(*credential, claim));
  STRATA_RETURN_IF_ERROR(parser.SignedHeaders(*signed_headers, claim));
  STRATA_RETURN_IF_ERROR(parser.Signature(*signature, claim));
  const std::optional<uint64_t> seconds = ParseDecimal(*expires);
  if (!seconds || *seconds < 1 || *seconds > kMaxExpiresSeconds) {
    return parser.Wrong("X-Amz-Expires must be a number of seconds from 1 to 604800.");
  }
  claim.expires_s = *seconds;
  claim.timestamp = *date;
  return claim;
}

std::string CanonicalRequest(const HttpHead& head, std::string_view path,
                             const QueryParameters& query,
                             const std::vector<std::string>& signed_headers,
                             std::string_view payload_hash) {
  std::string text;
  text.reserve(512 + path.size());
  text += head.method;
  text += '\n';
  AppendUriEncoded(text, path, Slash::kKeep);
  text += '\n';
  text += CanonicalQuery(query);
  text += '\n';
  for (const std::string& name : signed_headers) {
    text += name;
    text += ':';
    text += CanonicalHeaderValue(head, name);
    text += '\n';
  }
  text += '\n';
  for (size_t i = 0; i < signed_headers.size(); ++i) {
    if (i > 0) text += ';';
    text += signed_headers[i];
  }
  text += '\n';
  text += payload_hash;
  return text;
}

std::string StringToSign(std::string_view timestamp, const CredentialScope& scope,
                         std::string_view canonical_request) {
  return Concat({kSigV4Algorithm, "\n", timestamp, "\n", scope.Text(), "\n",
                 ToHex(Sha256Of(canonical_request))});
}

std::string DeriveSigningKey(std::string_view secret_key, const CredentialScope& scope) {
  const std::string date_key = HmacSha256(Concat({"AWS4", secret_key}), scope.date);
  const std::string region_key = HmacSha256(date_key, scope.region);
  const std::string service_key = HmacSha256(region_key, scope.service);
  return HmacSha256(service_key, kTerminator);
}

std::string Sign(std::string_view signing_key, std::string_view string_to_sign) {
  return ToHex(HmacSha256(signing_key, string_to_sign));
}

}  // namespace strata::s3
