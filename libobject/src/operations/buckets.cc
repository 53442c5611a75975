// SPDX-License-Identifier: Apache-2.0
//
// Buckets. Every change inside a bucket reads its record, and deleting a bucket reads its ranges:
// of a deletion and a change that race, one finds that the other came first.
#include <utility>

#include "absl/strings/str_format.h"
#include "operations/object_store.h"
#include "records/names.h"
#include "strata/base/status_macros.h"
#include "transactions/range_cursor.h"

namespace strata::object {
namespace {

// Of a thousand uploads each; a client that keeps making uploads keeps the bucket.
constexpr int kDeleteBucketRounds = 1000;

BucketInfo ToInfo(std::string_view name, const BucketRecord& record) {
  return {.name = std::string(name),
          .owner = record.owner,
          .created_ns = record.created_ns,
          .versioning = record.versioning,
          .id = record.id};
}

absl::Status AddVersion(std::string_view value, bool is_head, BucketUsage* usage) {
  const absl::StatusOr<ObjectRecord> record = DecodeObject(value);
  if (!record.ok()) return FromStorage(record.status(), "decoding an object");
  usage->object_count += is_head && !record->is_delete_marker;
  usage->version_count += 1;
  usage->logical_bytes += record->size_bytes;
  usage->new_bytes += record->new_bytes;
  usage->stored_bytes += record->stored_bytes;
  return absl::OkStatus();
}

}  // namespace

absl::Status ObjectStore::CreateBucket(std::string_view bucket, UserRef owner) {
  STRATA_RETURN_IF_ERROR(CheckBucketName(bucket));
  STRATA_RETURN_IF_ERROR(CheckOwner(owner.id));
  return Mutate(bucket, [&](Mutation& mutation) -> absl::Status {
    // Read here, the user's record conflicts with the deletion of the user.
    if (owner.created_ns != 0) STRATA_RETURN_IF_ERROR(RequireUser(mutation.txn(), owner).status());
    STRATA_ASSIGN_OR_RETURN(
        const std::optional<BucketRecord> old,
        ReadRecord(mutation.txn(), mutation.space(), BucketKey(bucket), DecodeBucket));
    if (old.has_value()) {
      return MakeError(
          old->owner == owner.id ? Reason::kBucketAlreadyOwnedByYou : Reason::kBucketAlreadyExists,
          absl::StrFormat("there is a bucket '%s' already", bucket));
    }
    BucketRecord record;
    while (record.id == 0) record.id = backing_.ids->Next64();
    record.owner = owner.id;
    record.created_ns = mutation.now_ns();
    STRATA_RETURN_IF_ERROR(mutation.Put(BucketOfOwnerKey(owner.id, bucket), ""));
    return mutation.Put(BucketKey(bucket), Encode(record));
  });
}

// Uploads are aborted one by one beforehand, so that no transaction grows with their number.
absl::Status ObjectStore::DeleteBucket(BucketRef bucket) {
  // One bucket in all rounds, even where the caller gave a name alone.
  STRATA_ASSIGN_OR_RETURN(const BucketRecord record,
                          RequireBucket(*backing_.kv->NewSnapshot(), bucket));
  bucket.id = record.id;
  bool only_uploads_left = false;
  absl::Status status;
  for (int round = 0; round < kDeleteBucketRounds; ++round) {
    status = DeleteEmptyBucket(bucket, &only_uploads_left);
    if (!only_uploads_left) break;
    STRATA_RETURN_IF_ERROR(AbortUploads(bucket));
  }
  return status;
}

absl::Status ObjectStore::DeleteEmptyBucket(BucketRef bucket, bool* only_uploads_left) {
  return Mutate(bucket.name, [&](Mutation& mutation) -> absl::Status {
    *only_uploads_left = false;
    kv::Transaction& txn = mutation.txn();
    STRATA_ASSIGN_OR_RETURN(const BucketRecord record, RequireBucket(txn, bucket));
    // A key with older versions has a current one: kOlder needs no look.
    for (const Table table : {Table::kCurrent, Table::kUpload}) {
      STRATA_ASSIGN_OR_RETURN(
          const kv::Page page,
          txn.List(mutation.space(), BucketRange(table, record.id), {.max_items = 1}));
      if (!page.items.empty()) {
        *only_uploads_left = table == Table::kUpload;
        return MakeError(Reason::kBucketNotEmpty,
                         absl::StrFormat("bucket '%s' still holds %s", bucket.name,
                                         *only_uploads_left ? "multipart uploads"
                                                            : "objects or older versions"));
      }
    }
    STRATA_RETURN_IF_ERROR(
        txn.DeleteRange(mutation.space(), BucketRange(Table::kCompleted, record.id)));
    STRATA_RETURN_IF_ERROR(mutation.Delete(BucketOfOwnerKey(record.owner, bucket.name)));
    return mutation.Delete(BucketKey(bucket.name));
  });
}

absl::Status ObjectStore::AbortUploads(BucketRef bucket) {
  STRATA_ASSIGN_OR_RETURN(const UploadsPage page, ListUploads(bucket, {}, {}));
  for (const UploadInfo& upload : page.uploads) {
    const absl::Status status = AbortUpload({bucket, upload.key, upload.upload_id});
    if (!status.ok() && ReasonOf(status) != Reason::kNoSuchUpload) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<BucketInfo> ObjectStore::GetBucket(BucketRef bucket) {
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const BucketRecord record, RequireBucket(*snapshot, bucket));
  return ToInfo(bucket.name, record);
}

absl::StatusOr<std::vector<BucketInfo>> ObjectStore::ListBuckets(std::string_view owner) {
  STRATA_RETURN_IF_ERROR(CheckOwner(owner));
  std::vector<BucketInfo> buckets;
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  RangeCursor cursor(snapshot.get(), backing_.space,
                     owner.empty() ? TableRange(Table::kBucket) : BucketOfOwnerRange(owner));
  for (;; cursor.Advance()) {
    STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* item, cursor.Peek());
    if (item == nullptr) return buckets;
    const std::string name(NameInKey(item->key));
    STRATA_ASSIGN_OR_RETURN(const BucketRecord record, RequireBucket(*snapshot, name));
    buckets.push_back(ToInfo(name, record));
  }
}

absl::Status ObjectStore::SetVersioning(BucketRef bucket, Versioning versioning) {
  return Mutate(bucket.name, [&](Mutation& mutation) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(BucketRecord record, RequireBucket(mutation.txn(), bucket));
    if (record.versioning == versioning) return absl::OkStatus();
    if (versioning == Versioning::kOff) {
      return MakeError(Reason::kInvalidArgument,
                       "versioning can be suspended, but not switched off again");
    }
    record.versioning = versioning;
    return mutation.Put(BucketKey(bucket.name), Encode(record));
  });
}

absl::StatusOr<BucketUsage> ObjectStore::GetBucketUsage(BucketRef bucket) {
  STRATA_ASSIGN_OR_RETURN(const BucketRecord record,
                          RequireBucket(*backing_.kv->NewSnapshot(), bucket));
  BucketUsage usage;
  for (const Table table : {Table::kCurrent, Table::kOlder}) {
    const absl::Status walked = kv::ForEach(
        *backing_.kv, backing_.space, BucketRange(table, record.id), [&](const kv::KeyValue& item) {
          return AddVersion(item.value, table == Table::kCurrent, &usage);
        });
    if (!walked.ok()) return FromStorage(walked, "listing");
  }
  return usage;
}

}  // namespace strata::object
