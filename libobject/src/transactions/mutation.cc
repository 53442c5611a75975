// SPDX-License-Identifier: Apache-2.0
#include "transactions/mutation.h"

#include <utility>

#include "strata/base/status_macros.h"
#include "strata/object/error.h"

namespace strata::object {
namespace {

// More streams than this in one transaction make others wait.
constexpr size_t kMaxRemovedAtOnce = 100;

}  // namespace

Mutation::Mutation(const Backing& backing, bool defer_removals)
    : backing_(backing),
      defer_removals_(defer_removals),
      now_ns_(backing.NowNs()),
      txn_(backing.kv->Begin()) {}

absl::Status Mutation::Put(std::string_view key, std::string_view value) {
  return txn_->Put(backing_.space, key, value);
}

absl::Status Mutation::Delete(std::string_view key) { return txn_->Delete(backing_.space, key); }

dedup::StreamId Mutation::CopyStream(const dedup::StreamId& source) {
  const dedup::StreamId copy = backing_.dedup->NewStreamId();
  change_.copy.emplace_back(source, copy);
  return copy;
}

absl::Status Mutation::RemoveContent(uint64_t bucket_id, const ObjectRecord& record) {
  if (record.manifest_id.has_value()) {
    STRATA_ASSIGN_OR_RETURN(const std::vector<ContentPiece> pieces, Pieces(bucket_id, record));
    ReapRecord reap{.manifest_id = record.manifest_id};
    for (const ContentPiece& piece : pieces) {
      if (piece.size_bytes > 0) reap.streams.push_back(piece.stream);
    }
    STRATA_RETURN_IF_ERROR(Delete(ManifestKey(bucket_id, *record.manifest_id)));
    return RemoveLater(reap);
  }
  std::vector<dedup::StreamId> streams;
  for (const ContentPiece& piece : record.pieces) {
    if (piece.size_bytes > 0) streams.push_back(piece.stream);
  }
  return RemoveStreams(std::move(streams));
}

absl::Status Mutation::RemoveStreams(std::vector<dedup::StreamId> streams) {
  if (streams.empty()) return absl::OkStatus();
  if (defer_removals_ || streams.size() > kMaxRemovedAtOnce) {
    return RemoveLater({.streams = std::move(streams)});
  }
  RemoveStreamsNow(streams);
  return absl::OkStatus();
}

void Mutation::RemoveStreamsNow(const std::vector<dedup::StreamId>& streams) {
  change_.remove.insert(change_.remove.end(), streams.begin(), streams.end());
}

absl::Status Mutation::ExpireLater(std::string key, uint64_t due_ns) {
  return Put(ReapKey(due_ns, backing_.ids->Next64()),
             Encode(ReapRecord{.expired_key = std::move(key)}));
}

absl::Status Mutation::RemoveLater(const ReapRecord& record) {
  // Due at once, by any clock.
  return Put(ReapKey(0, backing_.ids->Next64()), Encode(record));
}

absl::StatusOr<std::vector<ContentPiece>> Mutation::Pieces(uint64_t bucket_id,
                                                           const ObjectRecord& record) {
  if (!record.manifest_id.has_value()) return record.pieces;
  STRATA_ASSIGN_OR_RETURN(
      std::optional<std::vector<ContentPiece>> pieces,
      ReadRecord(*txn_, space(), ManifestKey(bucket_id, *record.manifest_id), DecodeManifest));
  if (!pieces.has_value()) return MakeError(Reason::kDamaged, "an object's manifest is missing");
  return *std::move(pieces);
}

absl::Status Mutation::SetPieces(uint64_t bucket_id, std::vector<ContentPiece> pieces,
                                 ObjectRecord* record) {
  if (pieces.size() <= kMaxInlinePieces) {
    record->manifest_id.reset();
    record->pieces = std::move(pieces);
    return absl::OkStatus();
  }
  record->manifest_id = backing_.NewRecordId();
  record->pieces.clear();
  return Put(ManifestKey(bucket_id, *record->manifest_id), EncodeManifest(pieces));
}

absl::Status Mutation::Commit() {
  if (change_.add.empty() && change_.copy.empty() && change_.remove.empty()) {
    return txn_->Commit(kv::Durability::kSync);
  }
  return backing_.dedup->Commit(*txn_, change_, kv::Durability::kSync);
}

}  // namespace strata::object
