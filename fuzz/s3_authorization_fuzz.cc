// SPDX-License-Identifier: Apache-2.0
//
// The Authorization header and the query of a presigned URL. What is accepted is complete.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "auth/sigv4.h"
#include "http/uri_coding.h"
#include "strata/base/check.h"

namespace {

void CheckClaim(const absl::StatusOr<strata::s3::SignatureClaim>& claim) {
  if (!claim.ok()) return;
  STRATA_CHECK(!claim->access_key.empty(), "a claim without an access key");
  STRATA_CHECK(claim->scope.date.size() == 8, "a claim without a date");
  STRATA_CHECK(claim->signature.size() == 64, "a claim without a signature");
  STRATA_CHECK(!claim->signed_headers.empty(), "a claim that signs no header");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckClaim(strata::s3::ParseAuthorizationHeader(text));
  if (const auto query = strata::s3::ParseQuery(text)) {
    CheckClaim(strata::s3::ParsePresignedQuery(*query));
  }
  return 0;
}
