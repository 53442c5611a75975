// SPDX-License-Identifier: Apache-2.0
//
// How uploads and parts are named and described to callers.
// Pure; thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "records/records.h"
#include "strata/object/types.h"

namespace strata::object {

absl::Status NoSuchUpload(std::string_view upload_id);

// 32 hexadecimal digits.
std::optional<RecordId> ParseUploadId(std::string_view text);

UploadInfo UploadInfoOf(std::string_view bucket, std::string_view key, const RecordId& id,
                        const UploadRecord& record);

}  // namespace strata::object
