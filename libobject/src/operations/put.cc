// SPDX-License-Identifier: Apache-2.0
//
// Writing an object: the content goes into a dedup stream first, durably; one transaction then
// makes the object that refers to it visible.
#include <utility>

#include "absl/strings/str_format.h"
#include "operations/object_store.h"
#include "records/names.h"
#include "records/version_ids.h"
#include "strata/base/status_macros.h"
#include "transactions/conditions.h"

namespace strata::object {
namespace {

class PutWriter final : public ObjectWriter {
 public:
  PutWriter(ObjectStore* store, BucketRef bucket, std::string_view key, const PutOptions& options)
      : store_(store),
        bucket_(bucket.name),
        bucket_id_(bucket.id),
        key_(key),
        options_(options),
        intake_(store->backing().dedup, options.checksum_algorithm) {}

  void OmitSha256() override { intake_.OmitSha256(); }

  absl::Status Write(std::span<const std::byte> data) override { return intake_.Write(data); }

  absl::StatusOr<ObjectInfo> Finish(const ContentClaims& claims) override {
    STRATA_ASSIGN_OR_RETURN(const TakenContent content, intake_.Finish(claims));
    return store_->CommitPut({bucket_, bucket_id_}, key_, options_, content);
  }

 private:
  ObjectStore* const store_;
  const std::string bucket_;
  const uint64_t bucket_id_;
  const std::string key_;
  const PutOptions options_;
  ContentIntake intake_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ObjectWriter>> ObjectStore::NewWriter(BucketRef bucket,
                                                                     std::string_view key,
                                                                     const PutOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckObjectKey(key));
  STRATA_RETURN_IF_ERROR(CheckOwner(options.owner));
  STRATA_RETURN_IF_ERROR(CheckMetadata(options.metadata));
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const BucketRecord record, RequireBucket(*snapshot, bucket));
  if (!AsksNothing(options.conditions)) {
    // The transaction decides; this spares the sender the content when it is lost already.
    STRATA_ASSIGN_OR_RETURN(
        const std::optional<ObjectRecord> head,
        ReadRecord(*snapshot, backing_.space, CurrentKey(record.id, key), DecodeObject));
    STRATA_RETURN_IF_ERROR(CheckWriteConditions(
        options.conditions, head.has_value() && !head->is_delete_marker ? &*head : nullptr));
  }
  return std::make_unique<PutWriter>(this, BucketRef(bucket.name, record.id), key, options);
}

absl::StatusOr<ObjectInfo> ObjectStore::CommitPut(BucketRef bucket, const std::string& key,
                                                  const PutOptions& options,
                                                  const TakenContent& content) {
  ObjectRecord record;
  record.size_bytes = content.piece.size_bytes;
  record.md5 = content.md5;
  record.owner = options.owner;
  record.checksum = content.checksum;
  record.new_bytes = content.new_bytes;
  record.stored_bytes = content.stored_bytes;
  record.metadata = options.metadata;
  if (content.piece.size_bytes > 0) record.pieces = {content.piece};

  const absl::Status status = Mutate(key, [&](Mutation& mutation) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record,
                            RequireBucket(mutation.txn(), bucket));
    STRATA_ASSIGN_OR_RETURN(KeyVersions versions,
                            KeyVersions::Load(&mutation, bucket_record.id, key));
    STRATA_RETURN_IF_ERROR(CheckWriteConditions(options.conditions, versions.current()));
    record.modified_ns = mutation.now_ns();
    if (content.writer != nullptr) mutation.AddStream(content.writer);
    return versions.Add(bucket_record.versioning, &record);
  });
  if (absl::IsAborted(status) && !AsksNothing(options.conditions)) {
    return MakeError(Reason::kConditionalConflict,
                     absl::StrFormat("others keep changing '%s'", key));
  }
  STRATA_RETURN_IF_ERROR(status);
  return InfoOf(key, record, true);
}

}  // namespace strata::object
