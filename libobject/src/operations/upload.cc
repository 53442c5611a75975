// SPDX-License-Identifier: Apache-2.0
//
// Multipart uploads up to their end: creating them, writing parts, aborting. A part is a durable
// dedup stream of its own from the moment its Finish() returns.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "content/crc.h"
#include "operations/object_store.h"
#include "records/names.h"
#include "records/upload_info.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"
#include "transactions/conditions.h"
#include "transactions/range_cursor.h"

namespace strata::object {
namespace {

constexpr size_t kCopyBufferBytes = 1u << 20;

absl::Status CheckPartNumber(uint32_t part_number) {
  if (part_number >= 1 && part_number <= ObjectLimits::kMaxPartNumber) return absl::OkStatus();
  return MakeError(
      Reason::kInvalidPartNumber,
      absl::StrFormat("part number %d is not in 1..%d", part_number, ObjectLimits::kMaxPartNumber));
}

class PartWriter final : public ObjectWriter {
 public:
  PartWriter(ObjectStore* store, ObjectStore::FoundUpload upload, uint32_t part_number,
             std::optional<ChecksumAlgorithm> checksum)
      : store_(store),
        upload_(std::move(upload)),
        part_number_(part_number),
        intake_(store->backing().dedup, checksum) {}

  void OmitSha256() override { intake_.OmitSha256(); }

  absl::Status Write(std::span<const std::byte> data) override { return intake_.Write(data); }

  absl::StatusOr<ObjectInfo> Finish(const ContentClaims& claims) override {
    STRATA_ASSIGN_OR_RETURN(const TakenContent content, intake_.Finish(claims));
    STRATA_ASSIGN_OR_RETURN(const PartRecord part,
                            store_->CommitPart(upload_, part_number_, content));
    ObjectInfo info;
    info.key = upload_.key;
    info.size_bytes = part.piece.size_bytes;
    info.etag = ToHex(part.md5);
    info.modified_ns = part.modified_ns;
    info.checksum = part.checksum;
    return info;
  }

 private:
  ObjectStore* const store_;
  const ObjectStore::FoundUpload upload_;
  const uint32_t part_number_;
  ContentIntake intake_;
};

}  // namespace

absl::StatusOr<ObjectStore::FoundUpload> ObjectStore::FindUpload(kv::Reader& reader,
                                                                 const UploadRef& upload) {
  STRATA_RETURN_IF_ERROR(CheckObjectKey(upload.key));
  STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket, RequireBucket(reader, upload.bucket));
  const std::optional<RecordId> id = ParseUploadId(upload.upload_id);
  if (!id.has_value()) return NoSuchUpload(upload.upload_id);
  return FoundUpload{std::string(upload.bucket.name), bucket.id, std::string(upload.key), *id};
}

absl::StatusOr<UploadRecord> ObjectStore::RequireUpload(kv::Reader& reader,
                                                        const FoundUpload& upload) {
  STRATA_ASSIGN_OR_RETURN(
      std::optional<UploadRecord> record,
      ReadRecord(reader, backing_.space, UploadKey(upload.bucket_id, upload.key, upload.id),
                 DecodeUpload));
  if (record.has_value()) return *std::move(record);
  return NoSuchUpload(ToHex(AsText(upload.id)));
}

absl::StatusOr<UploadInfo> ObjectStore::CreateUpload(BucketRef bucket, std::string_view key,
                                                     const UploadOptions& options) {
  const PutOptions& put = options.put;
  STRATA_RETURN_IF_ERROR(CheckObjectKey(key));
  STRATA_RETURN_IF_ERROR(CheckOwner(put.owner));
  STRATA_RETURN_IF_ERROR(CheckMetadata(put.metadata));
  UploadRecord record;
  record.owner = put.owner;
  record.checksum_algorithm = put.checksum_algorithm;
  record.full_object_checksum = options.full_object_checksum;
  record.metadata = put.metadata;
  if (record.checksum_algorithm == ChecksumAlgorithm::kCrc64Nvme) {
    record.full_object_checksum = true;  // S3 knows no composite form of it.
  }
  if (record.full_object_checksum &&
      (!record.checksum_algorithm.has_value() || !IsCrc(*record.checksum_algorithm))) {
    return MakeError(Reason::kInvalidArgument,
                     "a checksum over the full object of an upload must be a CRC");
  }
  const RecordId id = backing_.NewRecordId();
  STRATA_RETURN_IF_ERROR(Mutate(key, [&](Mutation& mutation) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record,
                            RequireBucket(mutation.txn(), bucket));
    record.created_ns = mutation.now_ns();
    return mutation.Put(UploadKey(bucket_record.id, key, id), Encode(record));
  }));
  return UploadInfoOf(bucket.name, key, id, record);
}

absl::StatusOr<UploadInfo> ObjectStore::GetUpload(const UploadRef& upload) {
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const FoundUpload found, FindUpload(*snapshot, upload));
  STRATA_ASSIGN_OR_RETURN(const UploadRecord record, RequireUpload(*snapshot, found));
  return UploadInfoOf(found.bucket, found.key, found.id, record);
}

absl::StatusOr<std::unique_ptr<ObjectWriter>> ObjectStore::NewPartWriter(
    const UploadRef& upload, uint32_t part_number, std::optional<ChecksumAlgorithm> checksum) {
  STRATA_RETURN_IF_ERROR(CheckPartNumber(part_number));
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(FoundUpload found, FindUpload(*snapshot, upload));
  STRATA_ASSIGN_OR_RETURN(const UploadRecord record, RequireUpload(*snapshot, found));
  if (!checksum.has_value()) checksum = record.checksum_algorithm;
  if (record.checksum_algorithm.has_value() && checksum != record.checksum_algorithm) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrFormat("the upload was created with %s checksums, not %s",
                                     ChecksumAlgorithmName(*record.checksum_algorithm),
                                     ChecksumAlgorithmName(*checksum)));
  }
  return std::make_unique<PartWriter>(this, std::move(found), part_number, checksum);
}

absl::StatusOr<PartRecord> ObjectStore::CommitPart(const FoundUpload& upload, uint32_t part_number,
                                                   const TakenContent& content) {
  PartRecord part;
  part.piece = content.piece;
  part.md5 = content.md5;
  part.checksum = content.checksum;
  part.new_bytes = content.new_bytes;
  part.stored_bytes = content.stored_bytes;
  const std::string part_key = PartKey(upload.bucket_id, upload.id, part_number);
  STRATA_RETURN_IF_ERROR(Mutate(part_key, [&](Mutation& mutation) -> absl::Status {
    // Its completion and its abort delete the upload's record: they conflict with this.
    STRATA_RETURN_IF_ERROR(RequireUpload(mutation.txn(), upload).status());
    STRATA_ASSIGN_OR_RETURN(const std::optional<PartRecord> old,
                            ReadRecord(mutation.txn(), mutation.space(), part_key, DecodePart));
    if (old.has_value() && old->piece.size_bytes > 0) {
      STRATA_RETURN_IF_ERROR(mutation.RemoveStreams({old->piece.stream}));
    }
    if (content.writer != nullptr) mutation.AddStream(content.writer);
    part.modified_ns = mutation.now_ns();
    return mutation.Put(part_key, Encode(part));
  }));
  return part;
}

absl::StatusOr<PartInfo> ObjectStore::CopyPart(const PartSource& source, const UploadRef& upload,
                                               uint32_t part_number) {
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectWriter> writer,
                          NewPartWriter(upload, part_number, std::nullopt));
  const CopySource& object = source.object;
  absl::StatusOr<std::unique_ptr<ObjectReader>> reader =
      OpenReader(object.bucket_ref(), object.key,
                 {.version_id = object.version_id, .conditions = object.conditions});
  if (ReasonOf(reader.status()) == Reason::kNotModified) {
    return MakeError(Reason::kPreconditionFailed, std::string(reader.status().message()));
  }
  STRATA_RETURN_IF_ERROR(reader.status());

  const uint64_t source_bytes = (*reader)->info().size_bytes;
  auto [offset_bytes, remaining_bytes] = source.range.value_or(ByteRange{0, source_bytes});
  if (source.range.has_value() && (remaining_bytes == 0 || offset_bytes > source_bytes ||
                                   remaining_bytes > source_bytes - offset_bytes)) {
    return MakeError(
        Reason::kInvalidRange,
        absl::StrFormat("the range is not inside of the source's %d bytes", source_bytes));
  }
  writer->OmitSha256();
  std::vector<std::byte> buffer(std::min<uint64_t>(kCopyBufferBytes, remaining_bytes));
  while (remaining_bytes > 0) {
    const std::span<std::byte> chunk =
        std::span(buffer).first(std::min<uint64_t>(buffer.size(), remaining_bytes));
    STRATA_ASSIGN_OR_RETURN(const size_t read, (*reader)->Read(offset_bytes, chunk));
    STRATA_RETURN_IF_ERROR(writer->Write(chunk.first(read)));
    offset_bytes += read;
    remaining_bytes -= read;
  }
  STRATA_ASSIGN_OR_RETURN(ObjectInfo info, writer->Finish({}));
  return PartInfo{.part_number = part_number,
                  .size_bytes = info.size_bytes,
                  .etag = std::move(info.etag),
                  .modified_ns = info.modified_ns,
                  .checksum = std::move(info.checksum)};
}

absl::Status ObjectStore::AbortUpload(const UploadRef& named) {
  return Mutate(named.upload_id, [&](Mutation& mutation) -> absl::Status {
    kv::Transaction& txn = mutation.txn();
    STRATA_ASSIGN_OR_RETURN(const FoundUpload upload, FindUpload(txn, named));
    STRATA_RETURN_IF_ERROR(RequireUpload(txn, upload).status());
    std::vector<dedup::StreamId> streams;
    RangeCursor parts(&txn, mutation.space(), PartRange(upload.bucket_id, upload.id));
    for (;; parts.Advance()) {
      STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* item, parts.Peek());
      if (item == nullptr) break;
      const absl::StatusOr<PartRecord> part = DecodePart(item->value);
      if (!part.ok()) return FromStorage(part.status(), "decoding a part");
      if (part->piece.size_bytes > 0) streams.push_back(part->piece.stream);
    }
    STRATA_RETURN_IF_ERROR(mutation.RemoveStreams(std::move(streams)));
    STRATA_RETURN_IF_ERROR(
        txn.DeleteRange(mutation.space(), PartRange(upload.bucket_id, upload.id)));
    return mutation.Delete(UploadKey(upload.bucket_id, upload.key, upload.id));
  });
}

}  // namespace strata::object
