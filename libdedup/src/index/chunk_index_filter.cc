// SPDX-License-Identifier: Apache-2.0
//
// The chunk index's care for its summary filter: where it comes from after an opening, and how it
// is kept. The filter may never say that a chunk is new which the index holds, for what follows
// from a chunk's being stored twice (CommitSealed()) would be left out.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "index/chunk_index.h"
#include "strata/base/endian.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr size_t kFillPageBytes = 4u << 20;
// A lookup in vain costs about as much as reading so many keys in a row. Who pays as much for the
// filter as for what it did not spare pays at most twice what the best plan would have cost.
constexpr size_t kFillKeysPerMiss = 8;

// What loading costs, in lookups: for each piece, and for each container that the filter lacks.
constexpr size_t kLookupsPerPiece = 1;
constexpr size_t kLookupsPerContainer = 8;
constexpr size_t kPiecesPerRead = 16;

// A filter is kept when it has grown by a share of itself, and by so many keys at least. What it
// lacks then is read from footers by the next opening.
constexpr uint64_t kMinGrowth = 65536;
constexpr uint64_t kMinGrowthAtClosing = 4096;
constexpr uint64_t kGrowthShare = 64;
constexpr uint64_t kGrowthShareAtClosing = 1024;
constexpr size_t kMaxWriteBytes = 1u << 20;

}  // namespace

void ChunkIndex::UseFilter(SummaryFilter filter) {
  MutexLock lock(&mutex_);
  filter_ = std::move(filter);
  filled_to_.reset();
  for (const auto& [fingerprint, unsealed] : unsealed_) AddToFilter(fingerprint);
}

void ChunkIndex::SetFilledTo(const Fingerprint& last) {
  MutexLock lock(&mutex_);
  filled_to_ = last;
  filter_whole_.store(last == kLastFingerprint);
}

void ChunkIndex::PrepareFilter(size_t lookups) {
  if (filter_in_use_.load() || !filling_.TryLock()) return;
  lookups_ += lookups;
  if (!filter_in_use_.load() && saved_.has_value()) {
    absl::Status status = CheckWorthLoading(*saved_);
    const bool is_due = status.ok() && lookups_ >= LookupsToLoad(*saved_);
    if (is_due) status = LoadFilter(*saved_);
    if (!status.ok()) {
      Log(options_.log, LogLevel::kWarning,
          absl::StrFormat("dedup: the summary filter is filled again from the chunk index: %s",
                          std::string(status.message())));
      saved_.reset();  // The next one that is kept takes its place.
    } else if (is_due) {
      filter_in_use_.store(true);
    }
  }
  if (!filter_in_use_.load() && !saved_.has_value()) {
    UseFilter(SummaryFilter(options_.expected_chunks));
    filter_in_use_.store(true);
  }
  filling_.Unlock();
}

// In lookups, what loading costs.
size_t ChunkIndex::LookupsToLoad(const FilterRecord& record) const {
  return record.piece_count() * kLookupsPerPiece +
         options_.containers_since_saved * kLookupsPerContainer;
}

absl::Status ChunkIndex::CheckWorthLoading(const FilterRecord& record) const {
  const uint64_t stored = options_.expected_chunks;
  if (record.count() > 2 * stored + 2 * kMinGrowth) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "it holds %d chunks, of which at most %d are left", record.count(), stored));
  }
  if (record.capacity() > 4 * (record.count() + stored) + 16 * kMinGrowth) {
    return absl::DataLossError(absl::StrFormat("it has room for %d chunks and holds %d",
                                               record.capacity(), record.count()));
  }
  if (options_.chunks_since_saved > record.count() / 4 + 4 * kMinGrowth) {
    return absl::FailedPreconditionError(
        absl::StrFormat("it lacks %d chunks of newer containers", options_.chunks_since_saved));
  }
  return absl::OkStatus();
}

absl::Status ChunkIndex::LoadFilter(const FilterRecord& record) {
  SummaryFilter filter(record.layers);
  STRATA_RETURN_IF_ERROR(LoadPieces(record, &filter));
  // Containers that are sealed from here on are added where they are entered; those that were
  // before are in the table as sealed.
  UseFilter(std::move(filter));
  STRATA_RETURN_IF_ERROR(AddContainersFrom(record.first_unknown_container));
  keys_when_saved_ = record.count();
  SetFilledTo(record.filled_to);
  return absl::OkStatus();
}

absl::Status ChunkIndex::LoadPieces(const FilterRecord& record, SummaryFilter* filter) {
  std::vector<SummaryFilter::PieceId> pieces;
  for (size_t layer = 0; layer < record.layers.size(); ++layer) {
    const size_t count = SummaryFilter::PieceCount(record.layers[layer].capacity);
    for (size_t index = 0; index < count; ++index) pieces.push_back({layer, index});
  }
  const std::unique_ptr<kv::Snapshot> snapshot = options_.kv->NewSnapshot();
  for (size_t first = 0; first < pieces.size(); first += kPiecesPerRead) {
    const size_t end = std::min(first + kPiecesPerRead, pieces.size());
    std::vector<std::string> keys;
    for (size_t i = first; i < end; ++i) keys.push_back(FilterPieceKey(pieces[i]));
    STRATA_ASSIGN_OR_RETURN(const std::vector<std::optional<std::string>> values,
                            snapshot->MultiGet(*options_.filter, keys));
    for (size_t i = first; i < end; ++i) {
      const std::optional<std::string>& value = values[i - first];
      const std::string name =
          absl::StrFormat("piece %d of layer %d", pieces[i].index, pieces[i].layer);
      if (!value.has_value()) return absl::DataLossError(name + " is missing");
      const absl::StatusOr<std::string_view> lines =
          DecodeFilterPiece(record.id, pieces[i], *value);
      if (!lines.ok() || !filter->SetPiece(pieces[i], *lines)) {
        return absl::DataLossError(name + " is damaged, or not of this filter");
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ChunkIndex::AddContainersFrom(uint64_t first_container) {
  for (const auto& [id, info] : options_.table->List()) {
    if (id < first_container || !info.record.sealed) continue;
    const absl::StatusOr<ContainerContents> contents =
        options_.container_reader->ReadContents(id, info.record);
    // Garbage collection copied what is alive to a container that is not sealed yet, or that is
    // added where it is entered.
    if (absl::IsNotFound(contents.status()) && !options_.table->Contains(id)) continue;
    STRATA_RETURN_IF_ERROR(contents.status());
    MutexLock lock(&mutex_);
    for (const Fingerprint& fingerprint : contents->chunks) AddToFilter(fingerprint);
  }
  return absl::OkStatus();
}

absl::Status ChunkIndex::AdvanceFilter(size_t misses) {
  if (misses == 0 || !filter_in_use_.load() || filter_whole_.load() || !filling_.TryLock()) {
    return absl::OkStatus();
  }
  absl::Status status;
  fill_credit_keys_ += misses * kFillKeysPerMiss;
  while (status.ok() && fill_credit_keys_ >= kFillPageKeys && !filter_whole_.load()) {
    fill_credit_keys_ -= kFillPageKeys;
    status = FillPage();
  }
  filling_.Unlock();
  return status;
}

absl::Status ChunkIndex::FillPage() {
  kv::Range range;
  {
    MutexLock lock(&mutex_);
    if (filled_to_.has_value()) range.begin = ChunkKey(*filled_to_) + '\0';
  }
  STRATA_ASSIGN_OR_RETURN(
      kv::Page page,
      options_.kv->NewSnapshot()->List(options_.chunks, range,
                                       {.max_items = kFillPageKeys, .max_bytes = kFillPageBytes}));
  Fingerprint last;
  {
    MutexLock lock(&mutex_);
    for (const kv::KeyValue& item : page.items) {
      STRATA_ASSIGN_OR_RETURN(last, ParseChunkKey(item.key));
      AddToFilter(last);
    }
  }
  // What others enter at the same time they add to the filter, too, on either side of this place.
  SetFilledTo(page.more ? last : kLastFingerprint);
  return absl::OkStatus();
}

absl::Status ChunkIndex::DropSavedFilter() {
  if (!options_.filter.has_value()) return absl::OkStatus();
  {
    MutexLock filling(&filling_);
    saved_.reset();
    keys_when_saved_ = 0;
    MutexLock lock(&mutex_);
    filter_.MarkAllChanged();
  }
  kv::WriteBatch batch;
  batch.Delete(options_.containers, kFilterKey);
  batch.DeleteRange(*options_.filter, {});
  return options_.kv->Write(batch, kv::Durability::kSync);
}

void ChunkIndex::SaveFilter(uint64_t first_unknown_container, bool closing) {
  if (!options_.filter.has_value() || !filter_in_use_.load() || !filling_.TryLock()) return;
  const absl::Status status = SaveFilterIfGrown(first_unknown_container, closing);
  filling_.Unlock();
  if (status.ok()) return;
  Log(options_.log, LogLevel::kWarning,
      absl::StrFormat("dedup: the summary filter was not kept for the next opening: %s",
                      std::string(status.message())));
}

absl::Status ChunkIndex::SaveFilterIfGrown(uint64_t first_unknown_container, bool closing) {
  FilterRecord record;
  {
    MutexLock lock(&mutex_);
    if (!filled_to_.has_value()) return absl::OkStatus();
    record.filled_to = *filled_to_;
    record.layers = filter_.layers();
  }
  const uint64_t keys = record.count();
  const uint64_t least = closing ? std::max(kMinGrowthAtClosing, keys / kGrowthShareAtClosing)
                                 : std::max(kMinGrowth, keys / kGrowthShare);
  if (keys - keys_when_saved_ < least) return absl::OkStatus();
  keys_when_saved_ = keys;
  if (options_.admit != nullptr) {
    STRATA_RETURN_IF_ERROR(options_.admit(record.piece_count() * SummaryFilter::kPieceBytes));
  }
  if (!saved_.has_value()) {
    std::array<std::byte, sizeof(record.id)> id;
    STRATA_RETURN_IF_ERROR(SecureRandomBytes(id));
    record.id = LoadLe64(id.data());
  } else {
    record.id = saved_->id;
  }
  record.opening = options_.opening;
  record.first_unknown_container = first_unknown_container;
  const absl::Status status = WritePieces(record);
  if (status.ok()) {
    saved_ = std::move(record);
  } else {  // Which of them are there nobody knows; the record that was there still holds.
    MutexLock lock(&mutex_);
    filter_.MarkAllChanged();
  }
  return status;
}

absl::Status ChunkIndex::WritePieces(const FilterRecord& record) {
  // Not one transaction: it may be too large for that. The record, which comes last, makes the
  // pieces count.
  kv::WriteBatch batch;
  if (!saved_.has_value()) {
    batch.Delete(options_.containers, kFilterKey);
    batch.DeleteRange(*options_.filter, {});
  }
  for (size_t layer = 0; layer < record.layers.size(); ++layer) {
    const size_t count = SummaryFilter::PieceCount(record.layers[layer].capacity);
    for (size_t index = 0; index < count; ++index) {
      const SummaryFilter::PieceId piece{layer, index};
      std::string lines;
      {
        MutexLock lock(&mutex_);
        if (!filter_.TakeChanged(piece)) continue;
        lines = filter_.Piece(piece);
      }
      batch.Put(*options_.filter, FilterPieceKey(piece),
                EncodeFilterPiece(record.id, piece, lines));
      if (batch.size_bytes() < kMaxWriteBytes) continue;
      STRATA_RETURN_IF_ERROR(options_.kv->Write(batch, kv::Durability::kAsync));
      batch.Clear();
    }
  }
  batch.Put(options_.containers, kFilterKey, EncodeFilterRecord(record));
  return options_.kv->Write(batch, kv::Durability::kAsync);
}

}  // namespace strata::dedup
