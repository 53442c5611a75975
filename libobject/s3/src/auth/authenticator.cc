// SPDX-License-Identifier: Apache-2.0
#include "auth/authenticator.h"

#include <algorithm>
#include <utility>

#include "http/encoding.h"
#include "http/errors.h"
#include "http/http_date.h"
#include "http/text.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

constexpr uint64_t kNanosPerSecond = 1'000'000'000;
constexpr uint64_t kMaxSkewNanos = 15 * 60 * kNanosPerSecond;
constexpr int64_t kEntryLifeNanos = 3 * static_cast<int64_t>(kNanosPerSecond);
constexpr size_t kMaxEntries = 10'000;

constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
constexpr std::string_view kStreamingSigned = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
constexpr std::string_view kStreamingSignedTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
constexpr std::string_view kStreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

// The headers that make the request must be signed, or a man in the middle could add some.
absl::Status CheckSignedHeaders(const Request& request, const SignatureClaim& claim,
                                bool presigned) {
  for (const HttpHeader& header : request.head.headers) {
    if (header.name.substr(0, 6) != "x-amz-") continue;
    if (header.in_query) continue;  // The whole query is signed.
    if (presigned && header.name == "x-amz-content-sha256") continue;
    if (std::find(claim.signed_headers.begin(), claim.signed_headers.end(), header.name) ==
        claim.signed_headers.end()) {
      return MakeError(ErrorCode::kAccessDenied,
                       Concat({"The header ", header.name, " is not signed."}));
    }
  }
  return absl::OkStatus();
}

// A header-signed request's time: x-amz-date, else Date.
absl::StatusOr<std::string> TimestampOf(const Request& request) {
  if (const std::string* date = request.head.Find("x-amz-date")) {
    if (!ParseBasicDate(*date)) {
      return MakeError(ErrorCode::kAccessDenied,
                       "x-amz-date must be of the form YYYYMMDDTHHMMSSZ.");
    }
    return *date;
  }
  const std::string_view date = request.Header("date");
  if (ParseBasicDate(date)) return std::string(date);
  if (const std::optional<uint64_t> time = ParseHttpDate(date)) return FormatBasicDate(*time);
  return MakeError(ErrorCode::kAccessDenied,
                   "A signed request needs a valid Date or x-amz-date header.");
}

absl::StatusOr<PayloadRule> PayloadRuleOf(std::string_view payload_hash) {
  PayloadRule rule;
  if (payload_hash == kUnsignedPayload) return rule;
  if (payload_hash.substr(0, 10) == "STREAMING-") {
    rule.aws_chunked = true;
    rule.trailer =
        payload_hash == kStreamingSignedTrailer || payload_hash == kStreamingUnsignedTrailer;
    if (payload_hash == kStreamingSigned || payload_hash == kStreamingSignedTrailer) {
      rule.signer.emplace();
    } else if (!rule.trailer) {
      return MakeError(ErrorCode::kNotImplemented,
                       "This streaming form of x-amz-content-sha256 is not implemented.");
    }
    return rule;
  }
  rule.sha256 = FromHex(payload_hash, HexLetters::kAny);
  if (!rule.sha256 || rule.sha256->size() != 32) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- form or the "
                     "SHA-256 of the body in hexadecimal.");
  }
  return rule;
}

}  // namespace

Authenticator::Authenticator(Options options) : options_(std::move(options)) {}

absl::StatusOr<Authenticated> Authenticator::Authenticate(const Request& request) {
  const std::string_view authorization = Trim(request.Header("authorization"));
  const bool presigned = request.HasQuery("X-Amz-Algorithm") ||
                         request.HasQuery("X-Amz-Signature") ||
                         request.HasQuery("X-Amz-Credential");
  if (presigned && !authorization.empty()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "Only one of the Authorization header and X-Amz- parameters may be given.");
  }
  if (!presigned && authorization.empty()) {
    if (request.HasQuery("AWSAccessKeyId") && request.HasQuery("Signature")) {
      return MakeError(ErrorCode::kInvalidRequest,
                       "Signature version 2 is not supported. Please use AWS4-HMAC-SHA256.");
    }
    return MakeError(ErrorCode::kAccessDenied);
  }
  if (!presigned && authorization.substr(0, 4) == "AWS ") {
    return MakeError(ErrorCode::kInvalidRequest,
                     "Signature version 2 is not supported. Please use AWS4-HMAC-SHA256.");
  }
  if (!presigned && authorization.substr(0, 4) != "AWS4") {
    return MakeError(ErrorCode::kInvalidArgument, "Unsupported authorization type.");
  }
  if (request.HasQuery("X-Amz-Security-Token") ||
      request.head.Find("x-amz-security-token") != nullptr) {
    return MakeError(ErrorCode::kInvalidToken, "Session tokens are not issued here.");
  }

  SignatureClaim claim;
  std::string timestamp;
  std::string_view payload_hash = request.Header("x-amz-content-sha256");
  if (presigned) {
    STRATA_ASSIGN_OR_RETURN(claim, ParsePresignedQuery(request.query));
    timestamp = claim.timestamp;
    if (const std::string* value = request.FindQuery("X-Amz-Content-Sha256")) payload_hash = *value;
    if (payload_hash.empty()) payload_hash = kUnsignedPayload;
  } else {
    STRATA_ASSIGN_OR_RETURN(claim, ParseAuthorizationHeader(authorization));
    STRATA_ASSIGN_OR_RETURN(timestamp, TimestampOf(request));
    if (payload_hash.empty()) {
      return MakeError(ErrorCode::kMissingSecurityHeader,
                       "The header x-amz-content-sha256 is missing.");
    }
  }
  STRATA_RETURN_IF_ERROR(CheckSignedHeaders(request, claim, presigned));
  STRATA_RETURN_IF_ERROR(CheckScope(claim, timestamp));
  STRATA_RETURN_IF_ERROR(CheckTime(claim, timestamp));
  STRATA_ASSIGN_OR_RETURN(const Signer signer, FindSigner(claim));

  const std::string canonical = CanonicalRequest(request.head, request.path, request.query,
                                                 claim.signed_headers, payload_hash);
  const std::string expected =
      Sign(signer.signing_key, StringToSign(timestamp, claim.scope, canonical));
  if (!EqualsConstantTime(expected, claim.signature)) {
    return MakeError(ErrorCode::kSignatureDoesNotMatch);
  }

  Authenticated result;
  result.caller = signer.caller;
  STRATA_ASSIGN_OR_RETURN(result.payload, PayloadRuleOf(payload_hash));
  if (result.payload.signer) {
    result.payload.signer =
        ChunkSigner{signer.signing_key, timestamp, claim.scope.Text(), claim.signature};
  }
  return result;
}

absl::Status Authenticator::CheckScope(const SignatureClaim& claim,
                                       std::string_view timestamp) const {
  const bool presigned = claim.expires_s > 0;
  const ErrorCode code = presigned ? ErrorCode::kAuthorizationQueryParametersError
                                   : ErrorCode::kAuthorizationHeaderMalformed;
  if (!options_.region.empty() && claim.scope.region != options_.region) {
    return MakeRegionError(code, claim.scope.region, options_.region);
  }
  if (timestamp.substr(0, 8) != claim.scope.date) {
    return MakeError(code, "The Credential's date is not the request's.");
  }
  return absl::OkStatus();
}

absl::Status Authenticator::CheckTime(const SignatureClaim& claim,
                                      std::string_view timestamp) const {
  const std::optional<uint64_t> signed_at = ParseBasicDate(timestamp);
  if (!signed_at) {
    return MakeError(ErrorCode::kAuthorizationQueryParametersError,
                     "X-Amz-Date must be of the form YYYYMMDDTHHMMSSZ.");
  }
  const auto now = static_cast<uint64_t>(options_.clock->WallNanos());
  const bool presigned = claim.expires_s > 0;
  if (presigned) {
    if (*signed_at > now + kMaxSkewNanos) {
      return MakeError(ErrorCode::kAccessDenied, "The request is not valid yet.");
    }
    if (now > *signed_at + claim.expires_s * kNanosPerSecond) {
      return MakeError(ErrorCode::kAccessDenied, "The request has expired.");
    }
    return absl::OkStatus();
  }
  const uint64_t skew = *signed_at > now ? *signed_at - now : now - *signed_at;
  if (skew > kMaxSkewNanos) return MakeError(ErrorCode::kRequestTimeTooSkewed);
  return absl::OkStatus();
}

absl::StatusOr<Authenticator::Signer> Authenticator::FindSigner(const SignatureClaim& claim) {
  const std::string scope = claim.scope.Text();
  const int64_t now = options_.clock->MonotonicNanos();
  {
    MutexLock lock(&mutex_);
    const auto found = entries_.find(claim.access_key);
    if (found != entries_.end() && now - found->second.read_at_ns < kEntryLifeNanos) {
      Entry& entry = found->second;
      if (entry.signing_scope != scope) {
        entry.signing_key = DeriveSigningKey(entry.key.secret_key, claim.scope);
        entry.signing_scope = scope;
      }
      return Signer{entry.caller, entry.signing_key};
    }
  }
  Entry entry;
  STRATA_ASSIGN_OR_RETURN(entry.key, options_.store->FindAccessKey(claim.access_key));
  absl::StatusOr<object::User> user = options_.store->GetUser(entry.key.user_id);
  if (!user.ok()) {
    // The user went between the two reads.
    if (absl::IsNotFound(user.status())) return MakeError(ErrorCode::kInvalidAccessKeyId);
    return user.status();
  }
  entry.caller = {user->id, user->display_name, user->admin, user->created_ns};
  entry.read_at_ns = now;
  entry.signing_scope = scope;
  entry.signing_key = DeriveSigningKey(entry.key.secret_key, claim.scope);
  Signer signer{entry.caller, entry.signing_key};

  MutexLock lock(&mutex_);
  if (entries_.size() >= kMaxEntries) entries_.clear();
  entries_[claim.access_key] = std::move(entry);
  return signer;
}

}  // namespace strata::s3
