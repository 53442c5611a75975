// SPDX-License-Identifier: Apache-2.0
//
// Listing the uploads of a bucket and the parts of an upload.
#include <algorithm>
#include <utility>

#include "operations/listing.h"
#include "operations/object_store.h"
#include "records/upload_info.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"
#include "transactions/range_cursor.h"

namespace strata::object {
namespace {

constexpr size_t kMaxPartsPerPage = 1000;

absl::StatusOr<RecordId> RequireUploadId(std::string_view text) {
  const std::optional<RecordId> id = ParseUploadId(text);
  if (id.has_value()) return *id;
  return MakeError(Reason::kInvalidArgument, "the upload id marker is not an upload id");
}

}  // namespace

absl::StatusOr<UploadsPage> ObjectStore::ListUploads(BucketRef bucket, const ListOptions& options,
                                                     std::string_view upload_id_marker) {
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record, RequireBucket(*snapshot, bucket));
  const size_t limit = PageLimit(options);
  UploadsPage page;
  if (limit == 0) return page;

  RangeCursor cursor(snapshot.get(), backing_.space,
                     PrefixRangeIn(Table::kUpload, bucket_record.id, options.prefix));
  if (!options.start_after.empty()) {
    if (upload_id_marker.empty() || options.start_after.size() > ObjectLimits::kMaxKeyBytes) {
      cursor.SeekTo(BehindStart(Table::kUpload, bucket_record.id, options));
    } else {
      STRATA_ASSIGN_OR_RETURN(const RecordId marker, RequireUploadId(upload_id_marker));
      cursor.SeekTo(UploadKey(bucket_record.id, options.start_after, marker) + '\0');
    }
  }
  for (;;) {
    STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* item, cursor.Peek());
    if (item == nullptr) return page;
    if (page.uploads.size() + page.common_prefixes.size() == limit) {
      page.truncated = true;
      return page;
    }
    STRATA_ASSIGN_OR_RETURN(const ParsedObjectKey parsed, RequireObjectKey(item->key));
    std::optional<std::string> group = GroupOf(parsed.key, options);
    if (group.has_value()) {
      cursor.SeekTo(BehindPrefix(Table::kUpload, bucket_record.id, *group));
      page.next_key_marker = *group;
      page.next_upload_id_marker.clear();
      page.common_prefixes.push_back(*std::move(group));
      continue;
    }
    const absl::StatusOr<UploadRecord> record = DecodeUpload(item->value);
    if (!record.ok()) return FromStorage(record.status(), "decoding an upload");
    const std::optional<RecordId> id = ParseUploadId(ToHex(parsed.suffix));
    if (!id.has_value()) return MakeError(Reason::kDamaged, "a stored upload's key is malformed");
    page.uploads.push_back(UploadInfoOf(bucket.name, parsed.key, *id, *record));
    page.next_key_marker = parsed.key;
    page.next_upload_id_marker = page.uploads.back().upload_id;
    cursor.Advance();
  }
}

absl::StatusOr<PartsPage> ObjectStore::ListParts(const UploadRef& named,
                                                 const PartsOptions& options) {
  const auto [part_number_marker, max_parts] = options;
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const FoundUpload upload, FindUpload(*snapshot, named));
  STRATA_ASSIGN_OR_RETURN(const UploadRecord record, RequireUpload(*snapshot, upload));
  PartsPage page;
  page.upload = UploadInfoOf(upload.bucket, upload.key, upload.id, record);
  if (max_parts == 0 || part_number_marker >= ObjectLimits::kMaxPartNumber) return page;

  kv::Range range = PartRange(upload.bucket_id, upload.id);
  range.begin = PartKey(upload.bucket_id, upload.id, part_number_marker + 1);
  RangeCursor cursor(snapshot.get(), backing_.space, std::move(range));
  for (;; cursor.Advance()) {
    STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* item, cursor.Peek());
    if (item == nullptr) return page;
    if (page.parts.size() == std::min(max_parts, kMaxPartsPerPage)) {
      page.truncated = true;
      return page;
    }
    absl::StatusOr<PartRecord> part = DecodePart(item->value);
    if (!part.ok()) return FromStorage(part.status(), "decoding a part");
    const std::optional<uint32_t> part_number = PartNumberInKey(item->key);
    if (!part_number.has_value()) {
      return MakeError(Reason::kDamaged, "a stored part's key is malformed");
    }
    page.parts.push_back({.part_number = *part_number,
                          .size_bytes = part->piece.size_bytes,
                          .etag = ToHex(part->md5),
                          .modified_ns = part->modified_ns,
                          .checksum = std::move(part->checksum)});
  }
}

}  // namespace strata::object
