// SPDX-License-Identifier: Apache-2.0
#include "protocol/known_headers.h"

#include <array>

#include "http/errors.h"
#include "http/http_date.h"
#include "http/text.h"
#include "protocol/checksum_headers.h"
#include "protocol/object_headers.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

using Check = absl::Status (*)(const HttpHeader& header);

struct KnownHeader {
  std::string_view name;  // With '*' at its end: all that begin so.
  enum class Treatment {
    kPasses,  // Some operations act on it; elsewhere it does no harm.
    kTaken,   // By operations with one of `uses`; other writes are refused, other reads ignore it.
    kAbsent,  // Not implemented.
  } treatment;
  HeaderUses uses = 0;
  Check check = nullptr;  // Of the value, where the header is let through.
};

absl::Status CheckAcl(const HttpHeader& header) {
  // Buckets behave as with object ownership "bucket owner enforced".
  if (header.value == "private" || header.value == "bucket-owner-full-control") {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kAccessControlListNotSupported);
}

absl::Status RefuseGrant(const HttpHeader& /*header*/) {
  return MakeError(ErrorCode::kAccessControlListNotSupported);
}

absl::Status CheckOwnership(const HttpHeader& header) {
  if (header.value == "BucketOwnerEnforced") return absl::OkStatus();
  if (header.value == "BucketOwnerPreferred" || header.value == "ObjectWriter") {
    return MakeError(ErrorCode::kNotImplemented,
                     "No other object ownership than BucketOwnerEnforced is implemented.");
  }
  return MakeError(ErrorCode::kInvalidArgument, "x-amz-object-ownership is not known.");
}

absl::Status CheckObjectLock(const HttpHeader& header) {
  if (EqualsIgnoreCase(header.value, "false")) return absl::OkStatus();
  return MakeError(ErrorCode::kNotImplemented, "Object lock is not implemented.");
}

absl::Status CheckAlgorithmName(const HttpHeader& header) {
  return ParseStoredAlgorithm(header.value).status();
}

// An empty list would be a condition that is not checked.
absl::Status CheckEtags(const HttpHeader& header) {
  if (!ParseEtagList(header.value).empty()) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidArgument, Concat({header.name, " names no ETag."}));
}

absl::Status CheckDate(const HttpHeader& header) {
  if (ParseHttpDate(header.value)) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidArgument, Concat({header.name, " is not a date."}));
}

using enum KnownHeader::Treatment;

// The first row that matches counts.
constexpr auto kHeaders = std::to_array<KnownHeader>({
    {"content-range", kTaken},  // By none: it asks to write a part of an object.
    {"if-match", kTaken, kTakesIfMatch, CheckEtags},
    {"if-modified-since", kTaken},
    {"if-none-match", kTaken, kTakesIfNoneMatch, CheckEtags},
    {"if-unmodified-since", kTaken, kTakesIfUnmodifiedSince, CheckDate},

    {"x-amz-acl", kPasses, 0, CheckAcl},
    {"x-amz-bucket-namespace", kAbsent},
    {"x-amz-bucket-object-lock-enabled", kTaken, kTakesBucketSettings, CheckObjectLock},
    {"x-amz-bucket-object-lock-token", kAbsent},
    {"x-amz-bypass-governance-retention", kPasses},  // Nothing is under retention.
    {"x-amz-cf-id", kPasses},
    {"x-amz-checksum-algorithm", kPasses, 0, CheckAlgorithmName},
    {"x-amz-checksum-crc32", kTaken, kTakesChecksum},
    {"x-amz-checksum-crc32c", kTaken, kTakesChecksum},
    {"x-amz-checksum-crc64nvme", kTaken, kTakesChecksum},
    {"x-amz-checksum-mode", kPasses},
    {"x-amz-checksum-sha1", kTaken, kTakesChecksum},
    {"x-amz-checksum-sha256", kTaken, kTakesChecksum},
    {"x-amz-checksum-type", kPasses},
    {"x-amz-checksum-*", kPasses, 0, RefuseUnknownChecksum},
    {"x-amz-client-token", kAbsent},
    {"x-amz-confirm-remove-self-bucket-access", kPasses},
    {"x-amz-content-sha256", kPasses},
    {"x-amz-copy-source", kTaken, kTakesCopySource},
    {"x-amz-copy-source-if-match", kTaken, kTakesCopySource, CheckEtags},
    {"x-amz-copy-source-if-modified-since", kTaken, kTakesCopySource, CheckDate},
    {"x-amz-copy-source-if-none-match", kTaken, kTakesCopySource, CheckEtags},
    {"x-amz-copy-source-if-unmodified-since", kTaken, kTakesCopySource, CheckDate},
    {"x-amz-copy-source-range", kTaken, kTakesCopyRange},
    {"x-amz-copy-source-server-side-encryption-customer-*", kAbsent},
    {"x-amz-create-session-mode", kAbsent},
    {"x-amz-date", kPasses},
    {"x-amz-decoded-content-length", kPasses},
    {"x-amz-expected-bucket-owner", kPasses},
    {"x-amz-fwd-*", kAbsent},
    {"x-amz-grant-*", kPasses, 0, RefuseGrant},
    {"x-amz-if-match-*", kAbsent},
    {"x-amz-max-parts", kPasses},
    {"x-amz-meta-*", kPasses},
    {"x-amz-metadata-directive", kTaken, kTakesCopyDirectives},
    {"x-amz-mfa", kPasses},  // Nothing here asks for it.
    {"x-amz-mp-object-size", kTaken, kTakesObjectSize},
    {"x-amz-object-annotation-directive", kAbsent},
    {"x-amz-object-attributes", kPasses},
    {"x-amz-object-if-match", kAbsent},
    {"x-amz-object-lock-*", kAbsent},
    {"x-amz-object-ownership", kTaken, kTakesBucketSettings, CheckOwnership},
    {"x-amz-optional-object-attributes", kPasses},
    {"x-amz-part-number-marker", kPasses},
    {"x-amz-rename-source*", kAbsent},
    {"x-amz-request-payer", kPasses},
    {"x-amz-request-route", kAbsent},
    {"x-amz-request-token", kAbsent},
    {"x-amz-sdk-*", kPasses},
    {"x-amz-security-token", kPasses},
    {"x-amz-server-side-encryption*", kAbsent},
    {"x-amz-skip-destination-validation", kPasses},
    {"x-amz-source-expected-bucket-owner", kTaken, kTakesCopySource},
    {"x-amz-storage-class", kPasses},
    {"x-amz-tagging", kPasses},
    {"x-amz-tagging-directive", kTaken, kTakesCopyDirectives},
    {"x-amz-te", kPasses},
    {"x-amz-trailer", kPasses},
    {"x-amz-transition-default-minimum-object-size", kPasses},
    {"x-amz-user-agent", kPasses},
    {"x-amz-website-redirect-location", kPasses},
    {"x-amz-write-offset-bytes", kAbsent},
});

const KnownHeader* FindHeader(std::string_view name) {
  for (const KnownHeader& header : kHeaders) {
    const bool prefix = header.name.back() == '*';
    if (prefix ? name.starts_with(header.name.substr(0, header.name.size() - 1))
               : name == header.name) {
      return &header;
    }
  }
  return nullptr;
}

absl::Status NotImplementedFor(std::string_view header, std::string_view operation) {
  return MakeError(ErrorCode::kNotImplemented,
                   Concat({"The header ", header, " is not implemented for ", operation, "."}));
}

}  // namespace

bool IsRead(std::string_view method) { return method == "GET" || method == "HEAD"; }

absl::Status CheckHeaders(const Request& request, std::string_view operation, HeaderUses uses) {
  const bool read = IsRead(request.head.method);
  for (const HttpHeader& header : request.head.headers) {
    const KnownHeader* known = FindHeader(header.name);
    if (known == nullptr) {
      if (header.name.starts_with("x-amz-") && !read) {
        return NotImplementedFor(header.name, operation);
      }
      continue;
    }
    if (known->treatment == KnownHeader::Treatment::kAbsent) {
      return NotImplementedFor(header.name, operation);
    }
    if (known->treatment == KnownHeader::Treatment::kTaken && (known->uses & uses) == 0) {
      if (read) continue;
      return NotImplementedFor(header.name, operation);
    }
    if (known->check != nullptr) STRATA_RETURN_IF_ERROR(known->check(header));
  }
  return absl::OkStatus();
}

}  // namespace strata::s3
