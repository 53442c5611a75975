// SPDX-License-Identifier: Apache-2.0
//
// What an object store speaks of: users, buckets, objects, versions, uploads, and the options of
// its calls. Times are nanoseconds since the Unix epoch. Keys are UTF-8, 1..1024 bytes, ordered as
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strata/object/checksum.h"

namespace strata::object {

// ---- Users

struct User {
  std::string id;  // 1..64 of [A-Za-z0-9._@-].
  std::string display_name;
  bool admin = false;  // May do anything to any bucket, and manage users.
  uint64_t created_ns = 0;
};

// A user in a call: by id alone, or that very user, as GetUser() handed it out. A user who was
// deleted and created again under the same id is another one.
struct UserRef {
  UserRef(const char* user_id) : id(user_id) {}         // NOLINT: names are users, too.
  UserRef(const std::string& user_id) : id(user_id) {}  // NOLINT
  UserRef(std::string_view user_id) : id(user_id) {}    // NOLINT
  UserRef(const User& user) : id(user.id), created_ns(user.created_ns) {}  // NOLINT
  UserRef(std::string_view user_id, uint64_t created) : id(user_id), created_ns(created) {}

  std::string_view id;      // Of what this was made of, which outlives it.
  uint64_t created_ns = 0;  // 0: the user need not exist.
};

struct AccessKey {
  std::string access_key;  // 3..128 characters, unique in the store.
  std::string secret_key;  // 8..128 characters.
  std::string user_id;
  uint64_t created_ns = 0;
};

// ---- Buckets

enum class Versioning : uint8_t {
  kOff = 0,
  kEnabled = 1,
  kSuspended = 2
};  // Once enabled, never off again.

struct BucketInfo {
  std::string name;
  std::string owner;  // A user id.
  uint64_t created_ns = 0;
  Versioning versioning = Versioning::kOff;
  uint64_t id = 0;  // Random, never 0, and of this bucket alone.
};

// A bucket in a call: by its name alone, or that very bucket, as GetBucket() handed it out. A
// bucket that was deleted and created again under the same name is another one, and may be another
// user's: a caller that decided something about a BucketInfo passes it on, and never its name.
struct BucketRef {
  BucketRef(const char* bucket) : name(bucket) {}                            // NOLINT
  BucketRef(const std::string& bucket) : name(bucket) {}                     // NOLINT
  BucketRef(std::string_view bucket) : name(bucket) {}                       // NOLINT
  BucketRef(const BucketInfo& bucket) : name(bucket.name), id(bucket.id) {}  // NOLINT
  BucketRef(std::string_view bucket, uint64_t bucket_id) : name(bucket), id(bucket_id) {}

  std::string_view name;  // Of what this was made of, which outlives it.
  uint64_t id = 0;        // 0: whichever bucket has the name.
};

struct BucketUsage {
  uint64_t object_count = 0;   // Current objects.
  uint64_t version_count = 0;  // All versions, delete markers included.
  uint64_t logical_bytes = 0;  // All versions.
  uint64_t new_bytes = 0;      // Of these, those without an equal chunk in store when they came.
  uint64_t stored_bytes = 0;   // What these took on the device.
};

// ---- Objects

// What is kept with the content, 8 KiB in all; user metadata 2 KiB (names lower-case, without their
// protocol's prefix).
struct Metadata {
  std::string content_type = "binary/octet-stream";
  std::string cache_control, content_disposition, content_encoding, content_language, expires;
  std::string website_redirect_location;
  std::string storage_class = "STANDARD";
  std::map<std::string, std::string> user;
  std::map<std::string, std::string> tags;  // At most 10.
};

struct ObjectInfo {
  std::string key;
  std::string version_id;  // "null" for versions made while versioning was not enabled.
  bool is_latest = true;
  bool is_delete_marker = false;
  uint64_t size_bytes = 0;
  std::string etag;  // No quotes: MD5 in hexadecimal, or MD5 of the parts' MD5s "-" part count.
  uint64_t modified_ns = 0;
  std::string owner;
  Metadata metadata;
  std::optional<Checksum> checksum;
  uint32_t part_count = 0;  // > 0: came as a multipart upload.
};

// Conditions on the object that a call meets; an empty field asks nothing. ETags without quotes;
// "*" is any object.
struct Conditions {
  std::vector<std::string> if_match{};
  std::vector<std::string> if_none_match{};
  std::optional<uint64_t> if_modified_since_ns{};
  std::optional<uint64_t> if_unmodified_since_ns{};
};

struct PutOptions {
  Metadata metadata{};
  std::string owner{};      // A user id.
  Conditions conditions{};  // Checked in the transaction that makes the object visible.
  std::optional<ChecksumAlgorithm> checksum_algorithm{};  // Besides MD5; stored with the object.
};

// What the sender says the content is, known at the end of it. BadDigest when it is not so; nothing
// is stored then.
struct ContentClaims {
  std::optional<std::string> md5{};       // 16 raw bytes.
  std::optional<std::string> checksum{};  // Raw bytes in PutOptions::checksum_algorithm.
  std::optional<std::string> sha256{};    // 32 raw bytes: the payload hash of a signed request.
  std::optional<uint64_t> size_bytes{};
};

struct GetOptions {
  std::string version_id{};  // Empty: the latest.
  Conditions conditions{};
  uint32_t part_number = 0;  // > 0: only that part of a multipart object.
};

struct DeleteResult {
  bool existed = false;
  bool delete_marker = false;  // A marker was made, or the deleted version was one.
  std::string version_id{};    // Of the marker made or the version deleted; empty: not versioned.
};

// What a copy takes from PutOptions::metadata instead of from its source. The storage class and the
// redirect location are always taken from there: S3 does not copy them.
struct CopyDirectives {
  bool replace_metadata = false;  // All but the tags.
  bool replace_tags = false;
};

struct CopySource {
  std::string bucket{}, key{}, version_id{};
  Conditions conditions{};
  uint64_t bucket_id = 0;  // As BucketRef::id.

  BucketRef bucket_ref() const { return {bucket, bucket_id}; }
};

struct CopyOptions {
  CopyDirectives directives{};
  PutOptions put{};
};

// ---- Listing

struct ListOptions {
  std::string prefix{};
  std::string delimiter{};       // Empty: none. Any string.
  std::string start_after{};     // Keys (and common prefixes) after this one. A last byte FF, which
                                 // no key has, asks for the prefix that it lies in, too.
  std::string version_marker{};  // ListVersions: with start_after as key, versions older than this
                                 // one come next.
  size_t max_keys = 1000;        // Objects and prefixes together, cut to 1000.
};

struct ListPage {
  std::vector<ObjectInfo> objects;  // Of the metadata only storage_class is filled in.
  std::vector<std::string> common_prefixes;
  // A page may be truncated before it is full, even when it is empty: a call looks at a limited
  // number of keys.
  bool truncated = false;
  std::string next_start_after;  // When truncated: ListOptions::start_after of the next page.
  std::string next_version_marker;
};

// ---- Multipart uploads

struct UploadInfo {
  std::string bucket, key, upload_id;
  std::string owner;
  uint64_t created_ns = 0;
  Metadata metadata;
  std::optional<ChecksumAlgorithm> checksum_algorithm;
  bool full_object_checksum = false;  // CRCs may cover the whole object instead of being composite.
};

// An upload in a call.
struct UploadRef {
  BucketRef bucket;
  std::string_view key, upload_id;  // Of what this was made of, which outlives it.
};

struct UploadOptions {
  PutOptions put{};                   // Without conditions: CompleteOptions has them.
  bool full_object_checksum = false;  // As UploadInfo's.
};

struct ByteRange {
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};

struct PartSource {
  CopySource object;
  std::optional<ByteRange> range{};  // nullopt: all of the object.
};

// Which parts a listing begins with, and how many it returns.
struct PartsOptions {
  uint32_t part_number_marker = 0;  // Parts after this one.
  size_t max_parts = 1000;
};

struct CompleteOptions {
  Conditions conditions{};  // On the object that the upload replaces.
  ContentClaims claims{};
};

struct PartInfo {
  uint32_t part_number = 0;  // 1..10000
  uint64_t size_bytes = 0;
  std::string etag;
  uint64_t modified_ns = 0;
  std::optional<Checksum> checksum;
};

struct CompletedPart {
  uint32_t part_number = 0;
  std::string etag;
  std::optional<std::string> checksum;  // Raw bytes; checked when given.
};

struct PartsPage {
  UploadInfo upload;
  std::vector<PartInfo> parts;
  bool truncated = false;  // Then PartsOptions::part_number_marker is parts.back().part_number.
};

// Parts of an object that came as a multipart upload, numbered from 1 without gaps.
struct ObjectPartsPage {
  ObjectInfo object;
  std::vector<PartInfo> parts;  // Without ETags and times, which are not kept.
  bool truncated = false;       // As in PartsPage.
};

struct UploadsPage {
  std::vector<UploadInfo> uploads;  // By key, then by time of creation.
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next_key_marker, next_upload_id_marker;
};

// Lengths and counts that S3 gives (Amazon S3 User Guide, "Multipart upload limits", "Object key
// naming").
struct ObjectLimits {
  static constexpr size_t kMaxKeyBytes = 1024;
  static constexpr size_t kMaxUserMetadataBytes = 2048;
  static constexpr uint64_t kMaxPutBytes = 5ull << 30;
  static constexpr uint64_t kMaxObjectBytes = 5ull << 40;
  static constexpr uint64_t kMinPartBytes = 5ull << 20;
  static constexpr uint32_t kMaxPartNumber = 10000;
  static constexpr size_t kMaxDeleteKeys = 1000;
  static constexpr size_t kMaxExaminedKeys = 100'000;  // By one call that lists.
};

}  // namespace strata::object
