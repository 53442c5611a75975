// SPDX-License-Identifier: Apache-2.0
//
// Who may do what: the one place that decides. Today a bucket's owner and administrators may do
// everything with it, and nobody else anything.
// Pure.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "auth/authenticator.h"
#include "strata/object/types.h"

namespace strata::s3 {

// `expected_owner`: the value of x-amz-expected-bucket-owner, empty where there is none.
// kAccessDenied.
absl::Status Authorize(const Caller& caller, const object::BucketInfo& bucket,
                       std::string_view expected_owner);

}  // namespace strata::s3
