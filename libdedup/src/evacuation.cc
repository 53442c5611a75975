// SPDX-License-Identifier: Apache-2.0
#include "evacuation.h"

#include <algorithm>
#include <utility>

#include "containers/read_ahead.h"
#include "format/codec.h"
#include "format/journal_format.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

// A region that is shorter than this share of what its writer wanted is joined with others.
constexpr uint32_t kMinShare = 2;

}  // namespace

Evacuation::Evacuation(StoreCore* core, const LiveSet* live, Pacer* pacer,
                       const std::optional<CompressionSettings>& compress_as,
                       const std::optional<CompressionSettings>& recompress)
    : core_(core),
      live_(live),
      pacer_(pacer),
      data_(core, RegionKind::kData, &own_pins_, RegionBuilder::Owner::kCollection),
      nodes_(core, RegionKind::kRecipes, &own_pins_, RegionBuilder::Owner::kCollection) {
  if (compress_as.has_value()) {
    compress_as_ = Canonical(*compress_as);
  } else if (recompress.has_value()) {
    recompress_ = Canonical(*recompress);
  }
}

CompressionSettings Evacuation::SettingsFor(const LoadedRegion& region) const {
  CompressionSettings settings = CompressionOf(core_->options);
  if (compress_as_.has_value()) {
    settings = *compress_as_;
  } else if (recompress_.has_value() && !region.dense) {
    settings = *recompress_;
  } else if (region.settings.has_value()) {
    settings = *region.settings;
  } else if (region.codec != Compression::kNone && region.codec != settings.method) {
    settings.method = region.codec;
    settings.level = CompressionSettings().level;
  } else if (region.deferred && settings.method == Compression::kNone) {
    settings = CompressionSettings();
  }
  settings.region_bytes = std::min(settings.region_bytes, core_->superblock.container_bytes / 4);
  return Canonical(settings);
}

bool Evacuation::StaysAsItIs(const DecodedRegion& region) const {
  const RegionHeader& header = region.header;
  if (header.deferred) return false;
  const bool recipes = header.kind == RegionKind::kRecipes;
  if (!recipes && recompress_.has_value() && !header.dense()) return false;
  if (!recipes && compress_as_.has_value() && header.settings != compress_as_) return false;
  const uint32_t wanted_bytes =
      header.settings.value_or(CompressionOf(core_->options)).region_bytes;
  return header.raw_bytes >= wanted_bytes / kMinShare;
}

absl::Status Evacuation::CopyChunks(uint64_t container_id, const ContainerRecord& record,
                                    const ContainerContents& contents) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<bool> here,
                          core_->index->IsCurrentCopy(container_id, contents));
  std::vector<Copying> copies;
  std::vector<ChunkPlace> places;  // One for each of them.
  std::vector<bool> as_stored;
  size_t first_chunk = 0;
  for (const RegionExtent& extent : contents.regions) {
    Copying copying{extent, first_chunk, {}};
    for (uint32_t i = 0; i < extent.chunk_count; ++i) {
      if (!here[first_chunk + i] || !live_->Contains(contents.chunks[first_chunk + i])) continue;
      copying.ordinals.push_back(i);
    }
    first_chunk += extent.chunk_count;
    if (copying.ordinals.empty()) continue;
    places.push_back({container_id, extent.offset_units, extent.size_units, 0});
    as_stored.push_back(copying.whole() && !record.deferred);
    copies.push_back(std::move(copying));
  }
  ReadAhead ahead(core_->container_reader.get(), core_->workers.get());
  for (size_t current = 0; current < places.size(); ++current) {
    const Copying& copying = copies[current];
    const std::span<const Fingerprint> chunks =
        std::span(contents.chunks).subspan(copying.first_chunk, copying.extent.chunk_count);
    ahead.Follow(places, current, as_stored);
    pacer_->Spend(uint64_t{places[current].size_units} * kUnitBytes);
    if (as_stored[current]) {
      STRATA_ASSIGN_OR_RETURN(
          const bool copied,
          CopyStored(places[current], ahead.TakeStored(places[current]), chunks));
      if (copied) continue;
    }
    STRATA_ASSIGN_OR_RETURN(const std::shared_ptr<const LoadedRegion> region,
                            core_->reader->ReadRegion(places[current], &ahead));
    STRATA_RETURN_IF_ERROR(Gather(copying, chunks, *region));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Evacuation::CopyStored(const ChunkPlace& place,
                                            std::span<const std::byte> stored,
                                            std::span<const Fingerprint> chunks) {
  const absl::StatusOr<DecodedRegion> region = DecodeRegion(stored, core_->cipher.get());
  // Who reads the region says what is wrong with it, and saves what can be had.
  if (!region.ok() || region->header.container_id != place.container_id ||
      region->header.offset_units != place.offset_units || !StaysAsItIs(*region)) {
    return false;
  }
  const RegionBuilder& builder = BuilderFor(region->header.kind);
  const bool as_listed =
      std::equal(chunks.begin(), chunks.end(), region->table.begin(), region->table.end(),
                 [&builder](const Fingerprint& fingerprint, const ChunkEntry& entry) {
                   return fingerprint == entry.fingerprint && !builder.Holds(fingerprint);
                 });
  if (!as_listed) return false;
  STRATA_RETURN_IF_ERROR(Append(*region));
  return true;
}

absl::Status Evacuation::Append(const DecodedRegion& region) {
  CopyRegion(region, core_->cipher.get(), &whole_region_);
  STRATA_RETURN_IF_ERROR(
      core_->log->Append(&whole_region_, &own_pins_, /*may_use_reserve=*/true).status());
  whole_bytes_ += whole_region_.size_bytes();
  pacer_->Spend(whole_region_.size_bytes());
  return absl::OkStatus();
}

absl::Status Evacuation::Gather(const Copying& copying, std::span<const Fingerprint> chunks,
                                const LoadedRegion& region) {
  RegionBuilder& builder = BuilderFor(copying.extent.kind);
  if (copying.extent.kind == RegionKind::kData) {
    STRATA_RETURN_IF_ERROR(builder.SetCompression(SettingsFor(region)));
  }
  for (const uint32_t i : copying.ordinals) {
    if (i >= region.table.size() || region.table[i].fingerprint != chunks[i]) {
      return absl::DataLossError(region.damage.empty()
                                     ? "dedup: footer and region of a container do not agree"
                                     : region.damage);
    }
    if (builder.Holds(chunks[i])) continue;
    const uint64_t before = builder.stored_bytes();
    STRATA_RETURN_IF_ERROR(builder.Add(chunks[i], region.chunk(i)));
    pacer_->Spend(builder.stored_bytes() - before);
  }
  return absl::OkStatus();
}

// Regions of the journal go whole. A copy of a record is the record: rebuilding counts it once.
absl::Status Evacuation::CopyJournal(uint64_t container_id, const ContainerContents& contents) {
  for (const RegionExtent& extent : contents.regions) {
    if (extent.kind != RegionKind::kJournal) continue;
    const ChunkPlace place{container_id, extent.offset_units, extent.size_units, 0};
    const absl::StatusOr<std::shared_ptr<const LoadedRegion>> region =
        core_->reader->ReadRegion(place, /*ahead=*/nullptr);
    if (absl::IsDataLoss(region.status())) {
      STRATA_RETURN_IF_ERROR(core_->journal->NoteNeedsRepair());
    }
    STRATA_RETURN_IF_ERROR(region.status());
    const std::span<const std::byte> raw((*region)->raw.get(), (*region)->raw_bytes);
    STRATA_ASSIGN_OR_RETURN(const JournalPart part, DecodeJournalPart(raw));
    if (!core_->journal->Needs(part)) continue;
    EncodeRegion(RegionKind::kJournal, {}, raw, core_->options.compression,
                 core_->options.compression_level, *core_->codec, core_->cipher.get(),
                 &whole_region_);
    STRATA_RETURN_IF_ERROR(
        core_->log->Append(&whole_region_, &own_pins_, /*may_use_reserve=*/true).status());
    whole_bytes_ += whole_region_.size_bytes();
    pacer_->Spend(whole_region_.size_bytes());
  }
  return absl::OkStatus();
}

absl::Status Evacuation::Flush() {
  STRATA_RETURN_IF_ERROR(data_.Flush());
  return nodes_.Flush();
}

}  // namespace strata::dedup
