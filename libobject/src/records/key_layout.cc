// SPDX-License-Identifier: Apache-2.0
#include "records/key_layout.h"

#include <bit>

#include "strata/base/check.h"
#include "strata/base/endian.h"

namespace strata::object {
namespace {

constexpr char kEscape = '\0';
constexpr char kEscapedZero = '\xFF';
constexpr char kTerminator = '\x01';
constexpr size_t kBucketIdBytes = 8;

void AppendBe64(std::string* key, uint64_t value) {
  std::array<std::byte, 8> bytes;
  StoreBe64(bytes.data(), value);
  key->append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

uint64_t ReadBe64(std::string_view bytes) {
  return LoadBe64(reinterpret_cast<const std::byte*>(bytes.data()));
}

std::string Begin(Table table) { return std::string(1, static_cast<char>(table)); }

std::string Begin(Table table, uint64_t bucket_id) {
  std::string key;
  key.reserve(64);
  key.push_back(static_cast<char>(table));
  AppendBe64(&key, bucket_id);
  return key;
}

void AppendEscaped(std::string* stored, std::string_view key) {
  for (const char c : key) {
    stored->push_back(c);
    if (c == kEscape) stored->push_back(kEscapedZero);
  }
}

void AppendTerminated(std::string* stored, std::string_view key) {
  AppendEscaped(stored, key);
  stored->push_back(kEscape);
  stored->push_back(kTerminator);
}

}  // namespace

std::string EscapeKey(std::string_view key) {
  std::string escaped;
  escaped.reserve(key.size());
  AppendEscaped(&escaped, key);
  return escaped;
}

std::string FormatKey() { return Begin(Table::kFormat); }

std::string UserKey(std::string_view user_id) { return Begin(Table::kUser).append(user_id); }

std::string AccessKeyKey(std::string_view access_key) {
  return Begin(Table::kAccessKey).append(access_key);
}

std::string UserAccessKeyKey(std::string_view user_id, std::string_view access_key) {
  return UserAccessKeyRange(user_id).begin.append(access_key);
}

std::string BucketKey(std::string_view bucket) { return Begin(Table::kBucket).append(bucket); }

std::string BucketOfOwnerKey(std::string_view owner, std::string_view bucket) {
  return BucketOfOwnerRange(owner).begin.append(bucket);
}

std::string CurrentKey(uint64_t bucket_id, std::string_view key) {
  std::string stored = Begin(Table::kCurrent, bucket_id);
  AppendTerminated(&stored, key);
  return stored;
}

std::string OlderKey(uint64_t bucket_id, std::string_view key, uint64_t sequence) {
  std::string stored = Begin(Table::kOlder, bucket_id);
  AppendTerminated(&stored, key);
  AppendBe64(&stored, ~sequence);  // The newest first.
  return stored;
}

std::string ManifestKey(uint64_t bucket_id, const RecordId& manifest_id) {
  return Begin(Table::kManifest, bucket_id).append(AsText(manifest_id));
}

std::string UploadKey(uint64_t bucket_id, std::string_view key, const RecordId& upload_id) {
  std::string stored = Begin(Table::kUpload, bucket_id);
  AppendTerminated(&stored, key);
  return stored.append(AsText(upload_id));
}

std::string PartKey(uint64_t bucket_id, const RecordId& upload_id, uint32_t part_number) {
  std::string stored = Begin(Table::kPart, bucket_id).append(AsText(upload_id));
  stored.push_back(static_cast<char>(part_number >> 8));
  stored.push_back(static_cast<char>(part_number & 0xFF));
  return stored;
}

std::string CompletedKey(uint64_t bucket_id, const RecordId& upload_id) {
  return Begin(Table::kCompleted, bucket_id).append(AsText(upload_id));
}

std::string ReapKey(uint64_t due_ns, uint64_t nonce) {
  std::string stored = Begin(Table::kReap, due_ns);
  AppendBe64(&stored, nonce);
  return stored;
}

kv::Range TableRange(Table table) { return kv::PrefixRange(Begin(table)); }

kv::Range BucketRange(Table table, uint64_t bucket_id) {
  return kv::PrefixRange(Begin(table, bucket_id));
}

kv::Range OlderRange(uint64_t bucket_id, std::string_view key) {
  std::string stored = Begin(Table::kOlder, bucket_id);
  AppendTerminated(&stored, key);
  return kv::PrefixRange(stored);
}

kv::Range PartRange(uint64_t bucket_id, const RecordId& upload_id) {
  return kv::PrefixRange(Begin(Table::kPart, bucket_id).append(AsText(upload_id)));
}

kv::Range UserAccessKeyRange(std::string_view user_id) {
  std::string prefix = Begin(Table::kUserAccessKey).append(user_id);
  prefix.push_back('\0');
  return kv::PrefixRange(prefix);
}

kv::Range BucketOfOwnerRange(std::string_view owner) {
  std::string prefix = Begin(Table::kBucketOfOwner).append(owner);
  prefix.push_back('\0');
  return kv::PrefixRange(prefix);
}

kv::Range PrefixRangeIn(Table table, uint64_t bucket_id, std::string_view prefix) {
  std::string stored = Begin(table, bucket_id);
  AppendEscaped(&stored, prefix);
  return kv::PrefixRange(stored);
}

std::string BehindPrefix(Table table, uint64_t bucket_id, std::string_view prefix) {
  return PrefixRangeIn(table, bucket_id, prefix).end;
}

std::string BehindKey(Table table, uint64_t bucket_id, std::string_view key) {
  std::string stored = Begin(table, bucket_id);
  AppendEscaped(&stored, key);
  stored.push_back(kEscape);
  stored.push_back(static_cast<char>(kTerminator + 1));
  return stored;
}

std::optional<ParsedObjectKey> ParseObjectKey(std::string_view stored) {
  if (stored.size() < 1 + kBucketIdBytes) return std::nullopt;
  stored.remove_prefix(1 + kBucketIdBytes);
  ParsedObjectKey parsed;
  parsed.key.reserve(stored.size());
  for (size_t i = 0; i < stored.size(); ++i) {
    if (stored[i] != kEscape) {
      parsed.key.push_back(stored[i]);
      continue;
    }
    if (++i == stored.size()) return std::nullopt;
    if (stored[i] == kTerminator) {
      parsed.suffix = stored.substr(i + 1);
      return parsed;
    }
    if (stored[i] != kEscapedZero) return std::nullopt;
    parsed.key.push_back('\0');
  }
  return std::nullopt;
}

uint64_t SequenceOfSuffix(std::string_view suffix) {
  STRATA_CHECK(suffix.size() == 8, "a version's suffix has 8 bytes");
  return ~ReadBe64(suffix);
}

std::string_view NameInKey(std::string_view stored) {
  const size_t zero = stored.rfind('\0');
  return stored.substr(zero == std::string_view::npos ? 1 : zero + 1);
}

std::optional<uint32_t> PartNumberInKey(std::string_view stored) {
  if (stored.size() != 1 + kBucketIdBytes + sizeof(RecordId) + 2) return std::nullopt;
  return static_cast<unsigned char>(stored[stored.size() - 2]) << 8 |
         static_cast<unsigned char>(stored[stored.size() - 1]);
}

std::optional<uint64_t> DueTimeInKey(std::string_view stored) {
  if (stored.size() != 1 + 8 + 8) return std::nullopt;
  return ReadBe64(stored.substr(1, 8));
}

}  // namespace strata::object
