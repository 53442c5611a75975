// SPDX-License-Identifier: Apache-2.0
//
// x-amz-copy-source: what CopyObject and UploadPartCopy copy from.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "operations/call.h"
#include "strata/object/types.h"

namespace strata::s3 {

// The header: "/bucket/key?versionId=..." with the slash or without, percent-encoded. Sets bucket,
// key and version_id. kInvalidArgument.
absl::StatusOr<object::CopySource> DecodeCopySource(std::string_view header);

// The same of a request, and its x-amz-copy-source-if-* conditions. Access to the source is
// checked: kAccessDenied, kNoSuchBucket.
absl::StatusOr<object::CopySource> ParseCopySource(const Call& call);

// A copy whose source does not meet its conditions is refused, never "not modified".
absl::Status CopyError(const absl::Status& status);

}  // namespace strata::s3
