// SPDX-License-Identifier: Apache-2.0
#include "auth/access.h"

#include "http/errors.h"

namespace strata::s3 {

absl::Status Authorize(const Caller& caller, const object::BucketInfo& bucket,
                       std::string_view expected_owner) {
  if (!caller.admin && caller.user_id != bucket.owner) return MakeError(ErrorCode::kAccessDenied);
  if (!expected_owner.empty() && expected_owner != bucket.owner) {
    return MakeError(ErrorCode::kAccessDenied, "The bucket has another owner than expected.");
  }
  return absl::OkStatus();
}

}  // namespace strata::s3
