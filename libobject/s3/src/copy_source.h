// SPDX-License-Identifier: Apache-2.0
//
// x-amz-copy-source: what CopyObject and UploadPartCopy copy from.
#pragma once

#include "absl/status/statusor.h"
#include "call.h"
#include "strata/object/types.h"

namespace strata::s3 {

// "/bucket/key?versionId=..." with the slash or without, percent-encoded, and the
// x-amz-copy-source-if-* conditions. kInvalidArgument. Access to the source is checked:
// kAccessDenied, kNoSuchBucket.
absl::StatusOr<object::CopySource> ParseCopySource(const Call& call);

// A copy whose source does not meet its conditions is refused, never "not modified".
absl::Status CopyError(const absl::Status& status);

}  // namespace strata::s3
