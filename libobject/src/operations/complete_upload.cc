// SPDX-License-Identifier: Apache-2.0
//
// Completing a multipart upload: its parts become the pieces of an object, in one transaction that
// moves no data. What it answered is kept for a day, for a client that did not hear it.
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "operations/object_store.h"
#include "records/digests.h"
#include "records/upload_info.h"
#include "records/version_ids.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"
#include "strata/kv/record_codec.h"
#include "transactions/conditions.h"
#include "transactions/range_cursor.h"

namespace strata::object {
namespace {

absl::Status CheckOrder(const std::vector<CompletedPart>& parts) {
  if (parts.empty()) return MakeError(Reason::kInvalidPart, "no part is listed");
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].part_number <= parts[i - 1].part_number) {
      return MakeError(Reason::kInvalidPartOrder,
                       absl::StrFormat("part %d is listed behind part %d", parts[i].part_number,
                                       parts[i - 1].part_number));
    }
  }
  return absl::OkStatus();
}

// What tells one completion of an upload from another.
std::string DigestOfParts(const std::vector<CompletedPart>& parts) {
  std::string text;
  for (const CompletedPart& part : parts) {
    kv::AppendVarint(&text, part.part_number);
    kv::AppendCounted(&text, part.etag);
  }
  return DigestOf(ChecksumAlgorithm::kSha256, text);
}

using PartMap = std::map<uint32_t, PartRecord>;

absl::StatusOr<PartMap> ReadParts(Mutation* mutation, const ObjectStore::FoundUpload& upload) {
  PartMap parts;
  RangeCursor cursor(&mutation->txn(), mutation->space(), PartRange(upload.bucket_id, upload.id));
  for (;; cursor.Advance()) {
    STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* item, cursor.Peek());
    if (item == nullptr) return parts;
    absl::StatusOr<PartRecord> part = DecodePart(item->value);
    if (!part.ok()) return FromStorage(part.status(), "decoding a part");
    const std::optional<uint32_t> part_number = PartNumberInKey(item->key);
    if (!part_number.has_value()) {
      return MakeError(Reason::kDamaged, "a stored part's key is malformed");
    }
    parts.emplace_hint(parts.end(), *part_number, *std::move(part));
  }
}

// Moves the listed parts out of *stored, in order. The parts that stay are not part of the object.
absl::StatusOr<std::vector<PartRecord>> TakeListed(const std::vector<CompletedPart>& listed,
                                                   PartMap* stored) {
  std::vector<PartRecord> taken;
  for (const CompletedPart& wanted : listed) {
    const auto at = stored->find(wanted.part_number);
    if (at == stored->end()) {
      return MakeError(Reason::kInvalidPart,
                       absl::StrFormat("part %d was not uploaded", wanted.part_number));
    }
    PartRecord& part = at->second;
    if (ToHex(part.md5) != wanted.etag) {
      return MakeError(Reason::kInvalidPart,
                       absl::StrFormat("part %d has the ETag %s, not %s", wanted.part_number,
                                       ToHex(part.md5), wanted.etag));
    }
    if (wanted.checksum.has_value() &&
        (!part.checksum.has_value() || part.checksum->value != *wanted.checksum)) {
      return MakeError(Reason::kInvalidPart,
                       absl::StrFormat("part %d has another checksum", wanted.part_number));
    }
    const bool is_last = &wanted == &listed.back();
    if (!is_last && part.piece.size_bytes < ObjectLimits::kMinPartBytes) {
      return MakeError(
          Reason::kEntityTooSmall,
          absl::StrFormat("part %d has %d bytes; all parts but the last need %d",
                          wanted.part_number, part.piece.size_bytes, ObjectLimits::kMinPartBytes));
    }
    taken.push_back(std::move(part));
    stored->erase(at);
  }
  return taken;
}

// The object's checksum out of its parts'.
std::optional<Checksum> JoinChecksums(const UploadRecord& upload,
                                      const std::vector<PartRecord>& parts) {
  if (!upload.checksum_algorithm.has_value()) return std::nullopt;
  std::vector<PartDigest> digests;
  for (const PartRecord& part : parts) {
    if (!part.checksum.has_value()) return std::nullopt;
    digests.push_back({part.checksum->value, part.piece.size_bytes});
  }
  return upload.full_object_checksum ? FullObjectChecksum(*upload.checksum_algorithm, digests)
                                     : CompositeChecksum(*upload.checksum_algorithm, digests);
}

// The object's record, but for its pieces and version. kEntityTooLarge.
absl::StatusOr<ObjectRecord> JoinParts(const UploadRecord& upload,
                                       const std::vector<PartRecord>& parts) {
  ObjectRecord record;
  std::string md5s;
  for (const PartRecord& part : parts) {
    md5s += part.md5;
    record.size_bytes += part.piece.size_bytes;
    record.new_bytes += part.new_bytes;
    record.stored_bytes += part.stored_bytes;
  }
  if (record.size_bytes > ObjectLimits::kMaxObjectBytes) {
    return MakeError(Reason::kEntityTooLarge,
                     absl::StrFormat("the parts have %d bytes, at most %d are allowed",
                                     record.size_bytes, ObjectLimits::kMaxObjectBytes));
  }
  record.md5 = DigestOf(ChecksumAlgorithm::kMd5, md5s);
  record.part_count = static_cast<uint32_t>(parts.size());
  record.owner = upload.owner;
  record.metadata = upload.metadata;
  record.checksum = JoinChecksums(upload, parts);
  return record;
}

absl::Status CheckClaims(const ContentClaims& claims, const ObjectRecord& record) {
  if (claims.size_bytes.has_value() && *claims.size_bytes != record.size_bytes) {
    return MakeError(Reason::kWrongSize,
                     absl::StrFormat("the parts have %d bytes, %d were announced",
                                     record.size_bytes, *claims.size_bytes));
  }
  if (claims.checksum.has_value() &&
      (!record.checksum.has_value() || record.checksum->value != *claims.checksum)) {
    return MakeError(Reason::kBadDigest, "the object's checksum is not the one announced");
  }
  return absl::OkStatus();
}

// What an earlier completion with the same parts answered. kNoSuchUpload.
absl::StatusOr<ObjectRecord> FindCompleted(Mutation* mutation,
                                           const ObjectStore::FoundUpload& upload,
                                           const std::string& parts_digest) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<CompletedRecord> completed,
                          ReadRecord(mutation->txn(), mutation->space(),
                                     CompletedKey(upload.bucket_id, upload.id), DecodeCompleted));
  if (!completed.has_value() || completed->key != upload.key ||
      completed->parts_digest != parts_digest) {
    return NoSuchUpload(ToHex(AsText(upload.id)));
  }
  absl::StatusOr<ObjectRecord> record = DecodeObject(completed->object);
  if (!record.ok()) return FromStorage(record.status(), "decoding a completed upload");
  return record;
}

absl::Status RememberCompletion(Mutation* mutation, const ObjectStore::FoundUpload& upload,
                                const std::string& parts_digest, ObjectRecord record) {
  record.pieces.clear();
  record.manifest_id.reset();
  record.older_null_sequence = 0;
  const std::string key = CompletedKey(upload.bucket_id, upload.id);
  STRATA_RETURN_IF_ERROR(
      mutation->Put(key, Encode(CompletedRecord{upload.key, parts_digest, Encode(record)})));
  return mutation->ExpireLater(key, mutation->now_ns() + kKeepCompletedNs);
}

}  // namespace

absl::StatusOr<ObjectInfo> ObjectStore::CompleteUpload(const UploadRef& named,
                                                       const std::vector<CompletedPart>& listed,
                                                       const CompleteOptions& options) {
  const std::string_view key = named.key;
  STRATA_RETURN_IF_ERROR(CheckOrder(listed));
  const std::string parts_digest = DigestOfParts(listed);
  ObjectRecord record;
  const absl::Status status = Mutate(key, [&](Mutation& mutation) -> absl::Status {
    kv::Transaction& txn = mutation.txn();
    STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record, RequireBucket(txn, named.bucket));
    STRATA_ASSIGN_OR_RETURN(const FoundUpload upload, FindUpload(txn, named));
    const absl::StatusOr<UploadRecord> found = RequireUpload(txn, upload);
    if (ReasonOf(found.status()) == Reason::kNoSuchUpload) {
      STRATA_ASSIGN_OR_RETURN(record, FindCompleted(&mutation, upload, parts_digest));
      return absl::OkStatus();
    }
    STRATA_RETURN_IF_ERROR(found.status());

    STRATA_ASSIGN_OR_RETURN(PartMap stored, ReadParts(&mutation, upload));
    STRATA_ASSIGN_OR_RETURN(const std::vector<PartRecord> parts, TakeListed(listed, &stored));
    STRATA_ASSIGN_OR_RETURN(record, JoinParts(*found, parts));
    STRATA_RETURN_IF_ERROR(CheckClaims(options.claims, record));
    STRATA_ASSIGN_OR_RETURN(KeyVersions versions,
                            KeyVersions::Load(&mutation, bucket_record.id, key));
    STRATA_RETURN_IF_ERROR(CheckWriteConditions(options.conditions, versions.current()));

    std::vector<ContentPiece> pieces;
    for (const PartRecord& part : parts) {
      pieces.push_back(part.piece);
      if (record.checksum.has_value()) pieces.back().checksum = part.checksum->value;
    }
    std::vector<dedup::StreamId> unlisted;
    for (const auto& [number, part] : stored) {
      if (part.piece.size_bytes > 0) unlisted.push_back(part.piece.stream);
    }
    STRATA_RETURN_IF_ERROR(mutation.RemoveStreams(std::move(unlisted)));
    STRATA_RETURN_IF_ERROR(mutation.SetPieces(bucket_record.id, std::move(pieces), &record));
    record.modified_ns = mutation.now_ns();
    STRATA_RETURN_IF_ERROR(versions.Add(bucket_record.versioning, &record));
    STRATA_RETURN_IF_ERROR(mutation.Delete(UploadKey(bucket_record.id, key, upload.id)));
    STRATA_RETURN_IF_ERROR(
        txn.DeleteRange(mutation.space(), PartRange(bucket_record.id, upload.id)));
    return RememberCompletion(&mutation, upload, parts_digest, record);
  });
  if (absl::IsAborted(status) && !AsksNothing(options.conditions)) {
    return MakeError(Reason::kConditionalConflict,
                     absl::StrFormat("others keep changing '%s'", key));
  }
  STRATA_RETURN_IF_ERROR(status);
  return InfoOf(key, record, true);
}

}  // namespace strata::object
