// SPDX-License-Identifier: Apache-2.0
//
// Users, access keys and buckets.
#include "records/records.h"
#include "strata/base/status_macros.h"
#include "strata/kv/record_codec.h"

namespace strata::object {
namespace {

struct BucketFields {
  static constexpr kv::RecordKind kKind = {.kind = 'B', .version = 1, .name = "bucket"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& bucket) {
    fields.Keep(bucket.newer_fields);
    fields.Integer(1, bucket.id);
    fields.Require(1);
    fields.Text(2, bucket.owner);
    fields.Integer(3, bucket.created_ns);
    fields.Enum(4, bucket.versioning, Versioning::kSuspended);
  }
};

struct UserFields {
  static constexpr kv::RecordKind kKind = {.kind = 'U', .version = 1, .name = "user"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& user) {
    fields.Text(1, user.display_name);
    fields.Truth(2, user.admin);
    fields.Integer(3, user.created_ns);
  }
};

struct AccessKeyFields {
  static constexpr kv::RecordKind kKind = {.kind = 'K', .version = 1, .name = "access key"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& key) {
    fields.Text(1, key.secret_key);
    fields.Text(2, key.user_id);
    fields.Integer(3, key.created_ns);
    fields.Text(4, key.sealed_secret);
  }
};

}  // namespace

std::string Encode(const BucketRecord& record) { return kv::EncodeRecord<BucketFields>(record); }

absl::StatusOr<BucketRecord> DecodeBucket(std::string_view value) {
  BucketRecord record;
  STRATA_RETURN_IF_ERROR(kv::DecodeRecord<BucketFields>(value, &record));
  return record;
}

std::string Encode(const User& user) { return kv::EncodeRecord<UserFields>(user); }

absl::StatusOr<User> DecodeUser(std::string_view value) {
  User user;
  STRATA_RETURN_IF_ERROR(kv::DecodeRecord<UserFields>(value, &user));
  return user;
}

std::string Encode(const AccessKeyRecord& record) {
  return kv::EncodeRecord<AccessKeyFields>(record);
}

absl::StatusOr<AccessKeyRecord> DecodeAccessKey(std::string_view value) {
  AccessKeyRecord record;
  STRATA_RETURN_IF_ERROR(kv::DecodeRecord<AccessKeyFields>(value, &record));
  if (!record.secret_key.empty() && !record.sealed_secret.empty()) {
    return absl::DataLossError("an access key has its secret twice");
  }
  return record;
}

}  // namespace strata::object
