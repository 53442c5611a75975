// SPDX-License-Identifier: Apache-2.0
//
// Where each record lives in the store's kv space; docs/formats/object.md, "Keys", is the table.
// The first byte names the table, numbers are big-endian so that they sort, and object keys are
// escaped so that one key never runs into what follows it, and the order of keys is kept. Pure;
// thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "strata/kv/store.h"

namespace strata::object {

// 16 random or time-ordered bytes.
using RecordId = std::array<char, 16>;

inline std::string_view AsText(const RecordId& id) { return {id.data(), id.size()}; }

// 0x00 becomes 0x00 0xFF. A prefix of a key gives a prefix of the escaped key.
std::string EscapeKey(std::string_view key);

enum class Table : char {
  kFormat = 'F',
  kUser = 'U',
  kAccessKey = 'K',
  kUserAccessKey = 'k',
  kBucket = 'b',
  kBucketOfOwner = 'o',
  kCurrent = 'c',
  kOlder = 'v',
  kManifest = 'm',
  kUpload = 'u',
  kPart = 'p',
  kCompleted = 'd',
  kReap = 'r',
};

std::string FormatKey();
std::string UserKey(std::string_view user_id);
std::string AccessKeyKey(std::string_view access_key);
std::string UserAccessKeyKey(std::string_view user_id, std::string_view access_key);
std::string BucketKey(std::string_view bucket);
std::string BucketOfOwnerKey(std::string_view owner, std::string_view bucket);
std::string CurrentKey(uint64_t bucket_id, std::string_view key);
std::string OlderKey(uint64_t bucket_id, std::string_view key, uint64_t sequence);
std::string ManifestKey(uint64_t bucket_id, const RecordId& manifest_id);
std::string UploadKey(uint64_t bucket_id, std::string_view key, const RecordId& upload_id);
std::string PartKey(uint64_t bucket_id, const RecordId& upload_id, uint32_t part_number);
std::string CompletedKey(uint64_t bucket_id, const RecordId& upload_id);
std::string ReapKey(uint64_t due_ns, uint64_t nonce);

// Everything in `table`, of one bucket, of one key, or of one upload.
kv::Range TableRange(Table table);
kv::Range BucketRange(Table table, uint64_t bucket_id);
kv::Range OlderRange(uint64_t bucket_id, std::string_view key);
kv::Range PartRange(uint64_t bucket_id, const RecordId& upload_id);
kv::Range UserAccessKeyRange(std::string_view user_id);
kv::Range BucketOfOwnerRange(std::string_view owner);

// Tables that begin with bucket id and escaped key (kCurrent, kOlder, kUpload):
// the keys that start with `prefix`; the first place behind these; the first place behind one key.
kv::Range PrefixRangeIn(Table table, uint64_t bucket_id, std::string_view prefix);
std::string BehindPrefix(Table table, uint64_t bucket_id, std::string_view prefix);
std::string BehindKey(Table table, uint64_t bucket_id, std::string_view key);

// What a key of kCurrent, kOlder or kUpload says.
struct ParsedObjectKey {
  std::string key;
  std::string suffix;  // Behind the key: nothing, the inverted sequence, the upload id.
};
std::optional<ParsedObjectKey> ParseObjectKey(std::string_view stored);

// The version sequence in a kOlder suffix. REQUIRES: 8 bytes.
uint64_t SequenceOfSuffix(std::string_view suffix);

// The last '\0'-free component of kUserAccessKey and kBucketOfOwner keys, and the name in kUser,
// kAccessKey and kBucket.
std::string_view NameInKey(std::string_view stored);

// The part number at the end of a kPart key; the time in a kReap key. nullopt: not of that form.
std::optional<uint32_t> PartNumberInKey(std::string_view stored);
std::optional<uint64_t> DueTimeInKey(std::string_view stored);

}  // namespace strata::object
