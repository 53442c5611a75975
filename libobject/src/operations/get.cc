// SPDX-License-Identifier: Apache-2.0
//
// Reading an object: its record names the streams, each stream is read through a dedup::Reader.
#include <algorithm>
#include <list>
#include <utility>

#include "absl/strings/str_format.h"
#include "operations/object_store.h"
#include "records/names.h"
#include "records/version_ids.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "transactions/conditions.h"

namespace strata::object {
namespace {

// An object found in a snapshot may be gone when its streams are opened: then look again.
constexpr int kMaxOpenAttempts = 16;

// Of an object with a manifest, at most this many streams are open in a reader.
constexpr size_t kMaxOpenStreams = 4;

constexpr size_t kMaxPartsPerPage = 1000;

std::optional<Checksum> ChecksumOfPart(const std::optional<Checksum>& of_object,
                                       const ContentPiece& part) {
  if (!of_object.has_value() || part.checksum.empty()) return std::nullopt;
  return Checksum{of_object->algorithm, part.checksum, 0};
}

class ContentReader final : public ObjectReader {
 public:
  ContentReader(ObjectStore* store, ObjectInfo info, std::vector<ContentPiece> pieces,
                std::optional<RecordId> pinned)
      : store_(store), info_(std::move(info)), pieces_(std::move(pieces)), pinned_(pinned) {
    uint64_t offset_bytes = 0;
    for (const ContentPiece& piece : pieces_) {
      offset_bytes += piece.size_bytes;
      ends_.push_back(offset_bytes);
    }
    size_bytes_ = info_.size_bytes;
    checksum_ = info_.checksum;
    if (pinned_.has_value()) store_->pins().Pin(*pinned_);
  }

  ~ContentReader() override {
    if (pinned_.has_value()) store_->pins().Unpin(*pinned_);
  }
  ContentReader(const ContentReader&) = delete;
  ContentReader& operator=(const ContentReader&) = delete;

  // NotFound: a stream is gone. With a pin, streams are opened when they are read instead.
  absl::Status OpenStreams() {
    if (pinned_.has_value()) return absl::OkStatus();
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (pieces_[i].size_bytes == 0) continue;
      STRATA_RETURN_IF_ERROR(StreamOf(i).status());
    }
    return absl::OkStatus();
  }

  // REQUIRES: 1 <= part_number <= the number of pieces, or 1 of an empty object.
  void CoverPart(uint32_t part_number) {
    if (ends_.empty()) return;
    offset_bytes_ = part_number > 1 ? ends_[part_number - 2] : 0;
    size_bytes_ = pieces_[part_number - 1].size_bytes;
    if (info_.part_count > 0) checksum_ = ChecksumOfPart(info_.checksum, pieces_[part_number - 1]);
  }

  uint64_t piece_bytes() const { return ends_.empty() ? 0 : ends_.back(); }

  const ObjectInfo& info() const override { return info_; }
  uint64_t offset_bytes() const override { return offset_bytes_; }
  uint64_t size_bytes() const override { return size_bytes_; }
  const std::optional<Checksum>& checksum() const override { return checksum_; }

  absl::StatusOr<size_t> Read(uint64_t offset_bytes, std::span<std::byte> out) override {
    if (offset_bytes > info_.size_bytes) {
      return MakeError(Reason::kInvalidRange,
                       absl::StrFormat("offset %d is behind the object's %d bytes", offset_bytes,
                                       info_.size_bytes));
    }
    size_t filled = 0;
    auto piece = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), offset_bytes) -
                                     ends_.begin());
    while (filled < out.size() && piece < pieces_.size()) {
      const uint64_t begin = ends_[piece] - pieces_[piece].size_bytes;
      const uint64_t at = offset_bytes + filled - begin;
      const size_t wanted = static_cast<size_t>(
          std::min<uint64_t>(out.size() - filled, pieces_[piece].size_bytes - at));
      if (wanted > 0) {
        STRATA_RETURN_IF_ERROR(ReadPiece(piece, at, out.subspan(filled, wanted)));
      }
      filled += wanted;
      ++piece;
    }
    return filled;
  }

 private:
  struct OpenStream {
    size_t piece;
    std::unique_ptr<dedup::Reader> reader;
  };

  absl::Status ReadPiece(size_t piece, uint64_t offset_bytes, std::span<std::byte> out) {
    const absl::StatusOr<dedup::Reader*> reader = StreamOf(piece);
    if (absl::IsNotFound(reader.status())) {
      return MakeError(Reason::kDamaged, "an object's stream is missing");
    }
    if (!reader.ok()) return FromStorage(reader.status(), "opening content");
    const absl::StatusOr<size_t> read = (*reader)->Read(offset_bytes, out);
    if (!read.ok()) return FromStorage(read.status(), "reading content");
    if (*read != out.size()) {
      return MakeError(Reason::kDamaged, "a stream is shorter than its object says");
    }
    return absl::OkStatus();
  }

  // The most recently used stream is in front. Without a pin none is ever closed.
  absl::StatusOr<dedup::Reader*> StreamOf(size_t piece) {
    const auto found = std::find_if(open_.begin(), open_.end(),
                                    [&](const OpenStream& open) { return open.piece == piece; });
    if (found != open_.end()) {
      open_.splice(open_.begin(), open_, found);
      return open_.front().reader.get();
    }
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<dedup::Reader> reader,
                            store_->backing().dedup->OpenReader(pieces_[piece].stream));
    if (pinned_.has_value() && open_.size() == kMaxOpenStreams) open_.pop_back();
    open_.push_front({piece, std::move(reader)});
    return open_.front().reader.get();
  }

  ObjectStore* const store_;
  const ObjectInfo info_;
  const std::vector<ContentPiece> pieces_;
  const std::optional<RecordId> pinned_;
  std::vector<uint64_t> ends_;  // Of each piece, in the object.
  uint64_t offset_bytes_ = 0;
  uint64_t size_bytes_ = 0;
  std::optional<Checksum> checksum_;
  std::list<OpenStream> open_;
};

absl::Status CheckPartNumber(const ObjectRecord& record, uint32_t part_number) {
  if (part_number <= std::max<uint32_t>(record.part_count, 1)) return absl::OkStatus();
  return MakeError(Reason::kInvalidPartNumber,
                   absl::StrFormat("the object has no part %d", part_number));
}

}  // namespace

absl::StatusOr<ObjectInfo> ObjectStore::Head(BucketRef bucket, std::string_view key,
                                             const GetOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckObjectKey(key));
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record, RequireBucket(*snapshot, bucket));
  STRATA_ASSIGN_OR_RETURN(
      const FoundVersion found,
      FindVersion(*snapshot, backing_.space, bucket_record.id, key, options.version_id));
  STRATA_RETURN_IF_ERROR(CheckReadConditions(options.conditions, found.record));
  STRATA_RETURN_IF_ERROR(CheckPartNumber(found.record, options.part_number));
  return InfoOf(key, found.record, found.is_latest);
}

absl::StatusOr<std::unique_ptr<ObjectReader>> ObjectStore::OpenReader(BucketRef bucket,
                                                                      std::string_view key,
                                                                      const GetOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckObjectKey(key));
  for (int attempt = 0; attempt < kMaxOpenAttempts; ++attempt) {
    const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
    STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record, RequireBucket(*snapshot, bucket));
    STRATA_ASSIGN_OR_RETURN(
        FoundVersion found,
        FindVersion(*snapshot, backing_.space, bucket_record.id, key, options.version_id));
    const ObjectRecord& record = found.record;
    STRATA_RETURN_IF_ERROR(CheckReadConditions(options.conditions, record));
    STRATA_RETURN_IF_ERROR(CheckPartNumber(record, options.part_number));

    std::vector<ContentPiece> pieces = record.pieces;
    if (record.manifest_id.has_value()) {
      STRATA_ASSIGN_OR_RETURN(pieces,
                              ReadManifest(*snapshot, bucket_record.id, *record.manifest_id));
    }
    auto reader = std::make_unique<ContentReader>(this, InfoOf(key, record, found.is_latest),
                                                  std::move(pieces), record.manifest_id);
    if (reader->piece_bytes() != record.size_bytes) {
      return MakeError(Reason::kDamaged,
                       absl::StrFormat("the pieces of '%s' do not add up to its size", key));
    }
    if (record.manifest_id.has_value()) {
      // Pinned now. What was removed before the pin shows by its missing manifest.
      STRATA_ASSIGN_OR_RETURN(
          const std::optional<std::string> manifest,
          backing_.kv->NewSnapshot()->Get(backing_.space,
                                          ManifestKey(bucket_record.id, *record.manifest_id)));
      if (!manifest.has_value()) continue;
    }
    const absl::Status opened = reader->OpenStreams();
    if (absl::IsNotFound(opened)) continue;
    if (!opened.ok()) return FromStorage(opened, "opening content");
    if (options.part_number > 0) reader->CoverPart(options.part_number);
    return reader;
  }
  return MakeError(Reason::kDamaged, absl::StrFormat("the content of '%s' is missing", key));
}

absl::StatusOr<ObjectPartsPage> ObjectStore::ListObjectParts(BucketRef bucket, std::string_view key,
                                                             const GetOptions& options,
                                                             const PartsOptions& parts) {
  STRATA_RETURN_IF_ERROR(CheckObjectKey(key));
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record, RequireBucket(*snapshot, bucket));
  STRATA_ASSIGN_OR_RETURN(
      const FoundVersion found,
      FindVersion(*snapshot, backing_.space, bucket_record.id, key, options.version_id));
  STRATA_RETURN_IF_ERROR(CheckReadConditions(options.conditions, found.record));
  ObjectPartsPage page;
  page.object = InfoOf(key, found.record, found.is_latest);
  if (found.record.part_count == 0) return page;

  std::vector<ContentPiece> pieces = found.record.pieces;
  if (found.record.manifest_id.has_value()) {
    STRATA_ASSIGN_OR_RETURN(pieces,
                            ReadManifest(*snapshot, bucket_record.id, *found.record.manifest_id));
  }
  const size_t limit = std::min(parts.max_parts, kMaxPartsPerPage);
  for (size_t i = parts.part_number_marker; i < pieces.size(); ++i) {
    if (page.parts.size() == limit) {
      page.truncated = true;
      break;
    }
    PartInfo part;
    part.part_number = static_cast<uint32_t>(i + 1);
    part.size_bytes = pieces[i].size_bytes;
    part.checksum = ChecksumOfPart(page.object.checksum, pieces[i]);
    page.parts.push_back(std::move(part));
  }
  return page;
}

}  // namespace strata::object
