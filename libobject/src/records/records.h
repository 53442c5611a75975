// SPDX-License-Identifier: Apache-2.0
//
// The records behind every table of key_layout.h, and their encodings; docs/formats/object.md gives
// each tag. Decoding never trusts its input: DataLoss names what is malformed, Unimplemented what a
// newer version wrote. What decodes, encodes to the same bytes; the fields that were passed over
// are kept in buckets and objects, which are written again, and not in other records.
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "records/key_layout.h"
#include "strata/dedup/store.h"
#include "strata/object/types.h"

namespace strata::object {

struct BucketRecord {
  uint64_t id = 0;  // Random: a bucket made again under the same name never sees old keys.
  std::string owner;
  uint64_t created_ns = 0;
  Versioning versioning = Versioning::kOff;
  std::string newer_fields{};  // That a newer program wrote and this one passes over.
};

// A stretch of an object's content. Nothing of size 0 has a stream.
struct ContentPiece {
  uint64_t size_bytes = 0;
  dedup::StreamId stream;
  std::string checksum{};  // Raw, by the algorithm of the object's checksum; of parts alone.
  friend bool operator==(const ContentPiece&, const ContentPiece&) = default;
};

// Pieces in the object's own record, so that a listing stays light; more go to a manifest.
inline constexpr size_t kMaxInlinePieces = 16;

// One version of an object, or a delete marker.
struct ObjectRecord {
  uint64_t sequence = 0;  // Grows with each version of a key; near the time of its making, in ns.
  uint64_t nonce = 0;     // With the sequence, the version id.
  bool is_null = false;   // The "null" version.
  bool is_delete_marker = false;
  uint64_t size_bytes = 0;
  std::string md5;  // 16 raw bytes; of the parts' MD5s when part_count > 0.
  uint32_t part_count = 0;
  uint64_t modified_ns = 0;
  std::string owner;
  std::vector<ContentPiece> pieces;
  std::optional<RecordId> manifest_id;  // Then `pieces` is empty here.
  std::optional<Checksum> checksum;
  uint64_t older_null_sequence = 0;  // In a head: the null version's among the older; 0: none.
  uint64_t new_bytes = 0;            // What BucketUsage sums.
  uint64_t stored_bytes = 0;
  Metadata metadata;
  std::string newer_fields;
};

struct UploadRecord {
  std::string owner;
  uint64_t created_ns = 0;
  std::optional<ChecksumAlgorithm> checksum_algorithm;
  bool full_object_checksum = false;
  Metadata metadata;
};

struct PartRecord {
  ContentPiece piece;
  std::string md5;  // 16 raw bytes.
  uint64_t modified_ns = 0;
  std::optional<Checksum> checksum;
  uint64_t new_bytes = 0;
  uint64_t stored_bytes = 0;
};

// What a finished upload answers when it is completed again.
struct CompletedRecord {
  std::string key;
  std::string parts_digest;  // SHA-256 of the list of parts it was completed with.
  std::string object;        // The encoded ObjectRecord, without its content.
};

// Work left for ReapStreams().
struct ReapRecord {
  std::vector<dedup::StreamId> streams{};
  std::optional<RecordId> manifest_id{};  // Whose streams they are: readers may still hold it.
  std::string expired_key{};              // A key to delete.
};

// The access key itself is in the key. One of the secrets is empty.
struct AccessKeyRecord {
  std::string secret_key;     // As given, where the store has no encryption key.
  std::string sealed_secret;  // By SecretSeal.
  std::string user_id;
  uint64_t created_ns = 0;
};

std::string Encode(const BucketRecord& record);
std::string Encode(const ObjectRecord& record);
std::string Encode(const UploadRecord& record);
std::string Encode(const PartRecord& record);
std::string Encode(const CompletedRecord& record);
std::string Encode(const ReapRecord& record);
std::string Encode(const AccessKeyRecord& record);
std::string Encode(const User& user);  // The id is in the key.
std::string EncodeManifest(const std::vector<ContentPiece>& pieces);

absl::StatusOr<BucketRecord> DecodeBucket(std::string_view value);
absl::StatusOr<ObjectRecord> DecodeObject(std::string_view value);
absl::StatusOr<UploadRecord> DecodeUpload(std::string_view value);
absl::StatusOr<PartRecord> DecodePart(std::string_view value);
absl::StatusOr<CompletedRecord> DecodeCompleted(std::string_view value);
absl::StatusOr<ReapRecord> DecodeReap(std::string_view value);
absl::StatusOr<User> DecodeUser(std::string_view value);
absl::StatusOr<AccessKeyRecord> DecodeAccessKey(std::string_view value);
absl::StatusOr<std::vector<ContentPiece>> DecodeManifest(std::string_view value);

}  // namespace strata::object
