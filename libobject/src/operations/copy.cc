// SPDX-License-Identifier: Apache-2.0
//
// Copying an object: new streams with the same content, no data moved. Only a checksum that the
// source lacks makes its content be read.
#include <utility>

#include "absl/strings/str_format.h"
#include "operations/object_store.h"
#include "records/names.h"
#include "records/version_ids.h"
#include "strata/base/status_macros.h"
#include "transactions/conditions.h"

namespace strata::object {
namespace {

constexpr size_t kCopyBufferBytes = 1u << 20;
constexpr int kMaxCopyAttempts = 8;

bool HasChecksum(const std::optional<Checksum>& checksum, ChecksumAlgorithm algorithm) {
  return checksum.has_value() && checksum->algorithm == algorithm;
}

// The new object's record, but for content and version.
ObjectRecord CopiedRecord(const ObjectRecord& source, const CopyOptions& options, uint64_t now_ns) {
  ObjectRecord copy;
  copy.size_bytes = source.size_bytes;
  copy.md5 = source.md5;
  copy.part_count = source.part_count;
  copy.modified_ns = now_ns;
  copy.owner = options.put.owner;
  copy.checksum = source.checksum;
  const Metadata& given = options.put.metadata;
  copy.metadata = options.directives.replace_metadata ? given : source.metadata;
  copy.metadata.tags = options.directives.replace_tags ? given.tags : source.metadata.tags;
  copy.metadata.storage_class = given.storage_class;
  copy.metadata.website_redirect_location = given.website_redirect_location;
  return copy;
}

}  // namespace

absl::StatusOr<Checksum> ObjectStore::ChecksumContent(ObjectReader* reader,
                                                      ChecksumAlgorithm algorithm) {
  const std::unique_ptr<Digest> digest = Digest::Create(algorithm);
  std::vector<std::byte> buffer(kCopyBufferBytes);
  for (uint64_t offset_bytes = 0; offset_bytes < reader->info().size_bytes;) {
    STRATA_ASSIGN_OR_RETURN(const size_t read, reader->Read(offset_bytes, buffer));
    digest->Update(std::span(buffer).first(read));
    offset_bytes += read;
  }
  return Checksum{algorithm, digest->Finish(), 0};
}

absl::StatusOr<ObjectInfo> ObjectStore::CopyOnce(const CopySource& source, BucketRef bucket,
                                                 std::string_view key, const CopyOptions& options) {
  std::optional<Checksum> computed;
  std::string computed_etag;
  if (options.put.checksum_algorithm.has_value()) {
    STRATA_ASSIGN_OR_RETURN(
        const std::unique_ptr<ObjectReader> reader,
        OpenReader(source.bucket_ref(), source.key, {.version_id = source.version_id}));
    if (!HasChecksum(reader->info().checksum, *options.put.checksum_algorithm)) {
      STRATA_ASSIGN_OR_RETURN(computed,
                              ChecksumContent(reader.get(), *options.put.checksum_algorithm));
      computed_etag = reader->info().etag;
    }
  }

  ObjectRecord record;
  STRATA_RETURN_IF_ERROR(Mutate(key, [&](Mutation& mutation) -> absl::Status {
    kv::Transaction& txn = mutation.txn();
    STRATA_ASSIGN_OR_RETURN(const BucketRecord from, RequireBucket(txn, source.bucket_ref()));
    STRATA_ASSIGN_OR_RETURN(const FoundVersion found, FindVersion(txn, mutation.space(), from.id,
                                                                  source.key, source.version_id));
    STRATA_RETURN_IF_ERROR(CheckCopySourceConditions(source.conditions, found.record));
    if (computed.has_value() && EtagOf(found.record) != computed_etag) {
      return absl::AbortedError("the source changed while it was read");
    }

    STRATA_ASSIGN_OR_RETURN(const BucketRecord to, RequireBucket(txn, bucket));
    STRATA_ASSIGN_OR_RETURN(KeyVersions versions, KeyVersions::Load(&mutation, to.id, key));
    STRATA_RETURN_IF_ERROR(CheckWriteConditions(options.put.conditions, versions.current()));
    record = CopiedRecord(found.record, options, mutation.now_ns());
    STRATA_ASSIGN_OR_RETURN(std::vector<ContentPiece> pieces,
                            mutation.Pieces(from.id, found.record));
    for (ContentPiece& piece : pieces) {
      if (piece.size_bytes > 0) piece.stream = mutation.CopyStream(piece.stream);
      if (computed.has_value()) piece.checksum.clear();
    }
    if (computed.has_value()) record.checksum = computed;
    STRATA_RETURN_IF_ERROR(mutation.SetPieces(to.id, std::move(pieces), &record));
    return versions.Add(to.versioning, &record);
  }));
  return InfoOf(key, record, true);
}

absl::StatusOr<ObjectInfo> ObjectStore::Copy(const CopySource& source, BucketRef bucket,
                                             std::string_view key, const CopyOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckObjectKey(source.key));
  STRATA_RETURN_IF_ERROR(CheckObjectKey(key));
  STRATA_RETURN_IF_ERROR(CheckOwner(options.put.owner));
  STRATA_RETURN_IF_ERROR(CheckMetadata(options.put.metadata));
  absl::StatusOr<ObjectInfo> info;
  for (int attempt = 0; attempt < kMaxCopyAttempts; ++attempt) {
    info = CopyOnce(source, bucket, key, options);
    if (!absl::IsAborted(info.status())) break;
  }
  if (absl::IsAborted(info.status()) && !AsksNothing(options.put.conditions)) {
    return MakeError(Reason::kConditionalConflict,
                     absl::StrFormat("others keep changing '%s'", key));
  }
  return info;
}

}  // namespace strata::object
