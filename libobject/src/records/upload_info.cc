// SPDX-License-Identifier: Apache-2.0
#include "records/upload_info.h"

#include <cstring>
#include <string>

#include "absl/strings/str_format.h"
#include "strata/base/hex.h"
#include "strata/object/error.h"

namespace strata::object {

absl::Status NoSuchUpload(std::string_view upload_id) {
  return MakeError(Reason::kNoSuchUpload,
                   absl::StrFormat("there is no multipart upload '%s' for this key", upload_id));
}

std::optional<RecordId> ParseUploadId(std::string_view text) {
  const std::optional<std::string> bytes = FromHex(text, HexLetters::kLower);
  RecordId id;
  if (!bytes.has_value() || bytes->size() != id.size()) return std::nullopt;
  std::memcpy(id.data(), bytes->data(), id.size());
  return id;
}

UploadInfo UploadInfoOf(std::string_view bucket, std::string_view key, const RecordId& id,
                        const UploadRecord& record) {
  return {.bucket = std::string(bucket),
          .key = std::string(key),
          .upload_id = ToHex(AsText(id)),
          .owner = record.owner,
          .created_ns = record.created_ns,
          .metadata = record.metadata,
          .checksum_algorithm = record.checksum_algorithm,
          .full_object_checksum = record.full_object_checksum};
}

}  // namespace strata::object
