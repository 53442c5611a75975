// SPDX-License-Identifier: Apache-2.0
#include "records/version_ids.h"

#include <array>

#include "absl/strings/str_format.h"
#include "strata/base/endian.h"
#include "strata/base/hex.h"

namespace strata::object {

std::string VersionText(uint64_t sequence, uint64_t nonce) {
  std::array<std::byte, 16> bytes;
  StoreBe64(bytes.data(), sequence);
  StoreBe64(bytes.data() + 8, nonce);
  return ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string VersionIdOf(const ObjectRecord& record) {
  return record.is_null ? "null" : VersionText(record.sequence, record.nonce);
}

std::optional<VersionRef> ParseVersionId(std::string_view text) {
  if (text == "null") return VersionRef{.is_null = true};
  const std::optional<std::string> bytes = FromHex(text, HexLetters::kLower);
  if (!bytes.has_value() || bytes->size() != 16) return std::nullopt;
  const auto* at = reinterpret_cast<const std::byte*>(bytes->data());
  return VersionRef{.sequence = LoadBe64(at), .nonce = LoadBe64(at + 8)};
}

std::string EtagOf(const ObjectRecord& record) {
  std::string etag = ToHex(record.md5);
  if (record.part_count > 0) etag += absl::StrFormat("-%d", record.part_count);
  return etag;
}

ObjectInfo InfoOf(std::string_view key, const ObjectRecord& record, bool is_latest) {
  ObjectInfo info;
  info.key = key;
  info.version_id = VersionIdOf(record);
  info.is_latest = is_latest;
  info.is_delete_marker = record.is_delete_marker;
  info.size_bytes = record.size_bytes;
  info.etag = EtagOf(record);
  info.modified_ns = record.modified_ns;
  info.owner = record.owner;
  info.metadata = record.metadata;
  info.checksum = record.checksum;
  info.part_count = record.part_count;
  return info;
}

}  // namespace strata::object
