// SPDX-License-Identifier: Apache-2.0
#include "index/growing_filter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
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

GrowingFilter::GrowingFilter(FilterOptions options, Parts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      saved_(options_.saved),
      filter_(/*expected=*/0) {}

void GrowingFilter::Adopt(SummaryFilter filter) {
  MutexLock lock(parts_.mutex);
  filter_ = std::move(filter);
  filled_to_.reset();
  parts_.visit_unsealed([this](const Fingerprint& fingerprint) { Add(fingerprint); });
}

void GrowingFilter::SetFilledTo(const Fingerprint& last) {
  MutexLock lock(parts_.mutex);
  filled_to_ = last;
  whole_.store(last == kLastFingerprint);
}

void GrowingFilter::Prepare(size_t lookups) {
  if (in_use_.load() || !filling_.TryLock()) return;
  lookups_ += lookups;
  if (!in_use_.load() && saved_.has_value()) {
    absl::Status status = CheckWorthLoading(*saved_);
    const bool is_due = status.ok() && lookups_ >= LookupsToLoad(*saved_);
    if (is_due) status = Load(*saved_);
    if (!status.ok()) {
      Log(parts_.log, LogLevel::kWarning,
          absl::StrFormat("dedup: the summary filter is filled again from the chunk index: %s",
                          std::string(status.message())));
      saved_.reset();  // The next one that is kept takes its place.
    } else if (is_due) {
      in_use_.store(true);
    }
  }
  if (!in_use_.load() && !saved_.has_value()) {
    Adopt(SummaryFilter(options_.expected_chunks));
    in_use_.store(true);
  }
  filling_.Unlock();
}

// In lookups, what loading costs.
size_t GrowingFilter::LookupsToLoad(const FilterRecord& record) const {
  return record.piece_count() * kLookupsPerPiece +
         options_.containers_since_saved * kLookupsPerContainer;
}

absl::Status GrowingFilter::CheckWorthLoading(const FilterRecord& record) const {
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

absl::Status GrowingFilter::Load(const FilterRecord& record) {
  SummaryFilter filter(record.layers);
  STRATA_RETURN_IF_ERROR(LoadPieces(record, &filter));
  // Containers that are sealed from here on are added where they are entered; those that were
  // before are in the table as sealed.
  Adopt(std::move(filter));
  STRATA_RETURN_IF_ERROR(AddContainersFrom(record.first_unknown_container));
  keys_when_saved_ = record.count();
  SetFilledTo(record.filled_to);
  return absl::OkStatus();
}

absl::Status GrowingFilter::LoadPieces(const FilterRecord& record, SummaryFilter* filter) {
  std::vector<SummaryFilter::PieceId> pieces;
  for (size_t layer = 0; layer < record.layers.size(); ++layer) {
    const size_t count = SummaryFilter::PieceCount(record.layers[layer].capacity);
    for (size_t index = 0; index < count; ++index) pieces.push_back({layer, index});
  }
  const std::unique_ptr<kv::Snapshot> snapshot = parts_.kv->NewSnapshot();
  for (size_t first = 0; first < pieces.size(); first += kPiecesPerRead) {
    const size_t end = std::min(first + kPiecesPerRead, pieces.size());
    std::vector<std::string> keys;
    for (size_t i = first; i < end; ++i) keys.push_back(FilterPieceKey(pieces[i]));
    STRATA_ASSIGN_OR_RETURN(const std::vector<std::optional<std::string>> values,
                            snapshot->MultiGet(*options_.space, keys));
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

absl::Status GrowingFilter::AddContainersFrom(uint64_t first_container) {
  for (const auto& [id, info] : parts_.table->List()) {
    if (id < first_container || !info.record.sealed) continue;
    const absl::StatusOr<ContainerContents> contents =
        parts_.container_reader->ReadContents(id, info.record);
    // Garbage collection copied what is alive to a container that is not sealed yet, or that is
    // added where it is entered.
    if (absl::IsNotFound(contents.status()) && !parts_.table->Contains(id)) continue;
    STRATA_RETURN_IF_ERROR(contents.status());
    MutexLock lock(parts_.mutex);
    for (const Fingerprint& fingerprint : contents->chunks) Add(fingerprint);
  }
  return absl::OkStatus();
}

absl::Status GrowingFilter::Advance(size_t misses) {
  if (misses == 0 || !in_use_.load() || whole_.load() || !filling_.TryLock()) {
    return absl::OkStatus();
  }
  absl::Status status;
  fill_credit_keys_ += misses * kFillKeysPerMiss;
  while (status.ok() && fill_credit_keys_ >= kFillPageKeys && !whole_.load()) {
    fill_credit_keys_ -= kFillPageKeys;
    status = FillPage();
  }
  filling_.Unlock();
  return status;
}

absl::Status GrowingFilter::FillPage() {
  kv::Range range;
  {
    MutexLock lock(parts_.mutex);
    if (filled_to_.has_value()) range.begin = ChunkKey(*filled_to_) + '\0';
  }
  STRATA_ASSIGN_OR_RETURN(
      kv::Page page,
      parts_.kv->NewSnapshot()->List(parts_.chunks, range,
                                     {.max_items = kFillPageKeys, .max_bytes = kFillPageBytes}));
  Fingerprint last;
  {
    MutexLock lock(parts_.mutex);
    for (const kv::KeyValue& item : page.items) {
      STRATA_ASSIGN_OR_RETURN(last, ParseChunkKey(item.key));
      Add(last);
    }
  }
  // What others enter at the same time they add to the filter, too, on either side of this place.
  SetFilledTo(page.more ? last : kLastFingerprint);
  return absl::OkStatus();
}

absl::Status GrowingFilter::DropSaved() {
  if (!options_.space.has_value()) return absl::OkStatus();
  {
    MutexLock filling(&filling_);
    saved_.reset();
    keys_when_saved_ = 0;
    MutexLock lock(parts_.mutex);
    filter_.MarkAllChanged();
  }
  kv::WriteBatch batch;
  batch.Delete(parts_.containers, kFilterKey);
  batch.DeleteRange(*options_.space, {});
  return parts_.kv->Write(batch, kv::Durability::kSync);
}

void GrowingFilter::Save(uint64_t first_unknown_container, bool closing) {
  if (!options_.space.has_value() || !in_use_.load() || !filling_.TryLock()) return;
  const absl::Status status = SaveIfGrown(first_unknown_container, closing);
  filling_.Unlock();
  if (status.ok()) return;
  Log(parts_.log, LogLevel::kWarning,
      absl::StrFormat("dedup: the summary filter was not kept for the next opening: %s",
                      std::string(status.message())));
}

absl::Status GrowingFilter::SaveIfGrown(uint64_t first_unknown_container, bool closing) {
  FilterRecord record;
  {
    MutexLock lock(parts_.mutex);
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
    MutexLock lock(parts_.mutex);
    filter_.MarkAllChanged();
  }
  return status;
}

absl::Status GrowingFilter::WritePieces(const FilterRecord& record) {
  // Not one transaction: it may be too large for that. The record, which comes last, makes the
  // pieces count.
  kv::WriteBatch batch;
  if (!saved_.has_value()) {
    batch.Delete(parts_.containers, kFilterKey);
    batch.DeleteRange(*options_.space, {});
  }
  for (size_t layer = 0; layer < record.layers.size(); ++layer) {
    const size_t count = SummaryFilter::PieceCount(record.layers[layer].capacity);
    for (size_t index = 0; index < count; ++index) {
      const SummaryFilter::PieceId piece{layer, index};
      std::string lines;
      {
        MutexLock lock(parts_.mutex);
        if (!filter_.TakeChanged(piece)) continue;
        lines = filter_.Piece(piece);
      }
      batch.Put(*options_.space, FilterPieceKey(piece), EncodeFilterPiece(record.id, piece, lines));
      if (batch.size_bytes() < kMaxWriteBytes) continue;
      STRATA_RETURN_IF_ERROR(parts_.kv->Write(batch, kv::Durability::kAsync));
      batch.Clear();
    }
  }
  batch.Put(parts_.containers, kFilterKey, EncodeFilterRecord(record));
  return parts_.kv->Write(batch, kv::Durability::kAsync);
}

}  // namespace strata::dedup
