// SPDX-License-Identifier: Apache-2.0
#include "containers/chunk_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "containers/read_ahead.h"
#include "format/salvage.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr int kMostMoves = 16;  // A chunk is not moved this often while somebody looks for it.

// One meaning per code: damage is DataLoss, whatever the parser called it.
absl::StatusCode CodeOf(const absl::Status& cause) {
  return absl::IsNotFound(cause) || absl::IsOutOfRange(cause) ? absl::StatusCode::kDataLoss
                                                              : cause.code();
}

}  // namespace

std::string ChunkReader::DamageMessage(const ChunkPlace& place, uint32_t slot,
                                       const absl::Status& cause) const {
  const uint64_t offset = SlotOffset(slot, options_.superblock->container_bytes) +
                          uint64_t{place.offset_units} * kUnitBytes;
  return absl::StrFormat("dedup: container %d is damaged at byte %d of the device: %s",
                         place.container_id, offset, std::string(cause.message()));
}

absl::Status ChunkReader::Damaged(const ChunkPlace& place, uint32_t slot,
                                  const absl::Status& cause) {
  const std::string message = DamageMessage(place, slot, cause);
  const absl::StatusCode code = CodeOf(cause);
  if (code == absl::StatusCode::kDataLoss) {
    CountCorruption();
    // Where it cannot be written down it counts as long as the store is open.
    (void)options_.index->MarkLost(place.container_id, place.offset_units, /*ordinals=*/{});
  }
  return absl::Status(code, message);
}

absl::StatusOr<std::shared_ptr<const LoadedRegion>> ChunkReader::Salvage(
    const ChunkPlace& place, uint32_t slot, std::span<const std::byte> bytes,
    const absl::Status& cause) {
  absl::StatusOr<SalvagedRegion> salvaged = SalvageRegion(bytes, *options_.codec, options_.cipher);
  if (!salvaged.ok() || salvaged->header.container_id != place.container_id ||
      salvaged->header.offset_units != place.offset_units) {
    return Damaged(place, slot, cause);
  }
  const std::vector<uint16_t> lost = salvaged->lost();
  if (lost.size() == salvaged->claimed.size()) return Damaged(place, slot, cause);
  CountCorruption();
  if (!lost.empty()) {
    (void)options_.index->MarkLost(place.container_id, place.offset_units, lost);
  }
  auto loaded = std::make_shared<LoadedRegion>();
  loaded->raw_bytes = salvaged->header.raw_bytes;
  loaded->codec = salvaged->header.codec;
  loaded->deferred = salvaged->header.deferred;
  loaded->dense = salvaged->header.dense();
  loaded->settings = salvaged->header.settings;
  loaded->raw = std::move(salvaged->raw);
  loaded->table = std::move(salvaged->actual);
  loaded->SetOffsets();
  loaded->damage = DamageMessage(place, slot, cause);
  return loaded;
}

std::optional<ChunkBytes> ChunkBytes::Next(const Fingerprint& fingerprint,
                                           uint32_t size_bytes) const {
  if (region == nullptr || ordinal + 1 >= region->table.size()) return std::nullopt;
  const ChunkEntry& next = region->table[ordinal + 1];
  if (next.fingerprint != fingerprint || next.size_bytes != size_bytes) return std::nullopt;
  return ChunkBytes{region, ordinal + 1, region->chunk(ordinal + 1)};
}

std::optional<uint64_t> ChunkReader::DeviceOffset(const ChunkPlace& place) const {
  const std::optional<uint32_t> slot = options_.table->SlotOf(place.container_id);
  if (!slot.has_value() || !Fits(place)) return std::nullopt;
  return SlotOffset(*slot, options_.superblock->container_bytes) +
         uint64_t{place.offset_units} * kUnitBytes;
}

bool ChunkReader::Fits(const ChunkPlace& place) const {
  return (uint64_t{place.offset_units} + place.size_units) * kUnitBytes <=
         options_.superblock->container_bytes;
}

absl::StatusOr<std::shared_ptr<const LoadedRegion>> ChunkReader::ReadRegion(const ChunkPlace& place,
                                                                            ReadAhead* ahead) {
  const RegionCache::Key key = KeyOf(place);
  if (ahead != nullptr) {
    if (std::shared_ptr<const LoadedRegion> expected = ahead->Take(place)) {
      cache_.Insert(key, expected);
      return expected;
    }
  }
  if (std::shared_ptr<const LoadedRegion> cached = cache_.Find(key)) return cached;
  const ContainerTable::ReadGuard guard(options_.table, place.container_id);
  if (!guard) return absl::NotFoundError("the container is gone");
  const uint32_t slot = guard.record().slot;
  if (!Fits(place)) {
    return Damaged(place, slot, absl::DataLossError("a place behind the container's end"));
  }
  const uint64_t offset = SlotOffset(slot, options_.superblock->container_bytes) +
                          uint64_t{place.offset_units} * kUnitBytes;
  const size_t size = size_t{place.size_units} * kUnitBytes;
  absl::StatusOr<DeviceBytes> bytes = options_.io->Read(offset, size);
  absl::Status damage = bytes.status();
  if (absl::IsDataLoss(damage)) bytes = options_.io->ReadByBlock(offset, size);
  if (!bytes.ok()) return Damaged(place, slot, damage);
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> region = Load(place, bytes->span());
  if (!region.ok()) {
    if (damage.ok()) damage = region.status();
    if (CodeOf(damage) != absl::StatusCode::kDataLoss) return Damaged(place, slot, damage);
    STRATA_ASSIGN_OR_RETURN(region, Salvage(place, slot, bytes->span(), damage));
  }
  cache_.Insert(key, *region);
  return region;
}

absl::StatusOr<std::shared_ptr<const LoadedRegion>> ChunkReader::Load(
    const ChunkPlace& place, std::span<const std::byte> bytes) const {
  STRATA_ASSIGN_OR_RETURN(DecodedRegion region, DecodeRegion(bytes, options_.cipher));
  if (region.header.container_id != place.container_id ||
      region.header.offset_units != place.offset_units) {
    return absl::DataLossError("a region of another container or place");
  }
  auto loaded = std::make_shared<LoadedRegion>();
  loaded->raw_bytes = region.header.raw_bytes;
  loaded->codec = region.header.codec;
  loaded->deferred = region.header.deferred;
  loaded->dense = region.header.dense();
  loaded->settings = region.header.settings;
  loaded->raw = std::make_unique_for_overwrite<std::byte[]>(loaded->raw_bytes);
  STRATA_RETURN_IF_ERROR(options_.codec->Decompress(region.header.codec, region.payload,
                                                    {loaded->raw.get(), loaded->raw_bytes}));
  loaded->table = std::move(region.table);
  loaded->SetOffsets();
  return loaded;
}

absl::StatusOr<ChunkBytes> ChunkReader::Read(const Fingerprint& fingerprint, uint32_t size_bytes,
                                             ReadAhead* ahead) {
  absl::Status damage;
  ChunkPlace damaged_place;
  for (int move = 0; move < kMostMoves; ++move) {
    const absl::StatusOr<FoundChunk> found = options_.index->Find(fingerprint);
    if (absl::IsNotFound(found.status())) {
      CountCorruption();
      return absl::DataLossError(found.status().message());
    }
    STRATA_RETURN_IF_ERROR(found.status());
    const ChunkPlace& place = found->place;
    if (!damage.ok() && place == damaged_place) return damage;
    absl::StatusOr<std::shared_ptr<const LoadedRegion>> region = ReadRegion(place, ahead);
    if (absl::IsNotFound(region.status())) continue;
    if (absl::IsDataLoss(region.status())) {
      // There may be another copy, which the index finds now that this container is known as
      // damaged.
      damage = region.status();
      damaged_place = place;
      continue;
    }
    STRATA_RETURN_IF_ERROR(region.status());
    if (place.ordinal >= (*region)->table.size() ||
        (*region)->table[place.ordinal].fingerprint != fingerprint ||
        (*region)->table[place.ordinal].size_bytes != size_bytes) {
      CountCorruption();
      if (!(*region)->damage.empty()) {
        damage = absl::DataLossError((*region)->damage);
        damaged_place = place;
        continue;
      }
      return absl::DataLossError(absl::StrFormat(
          "dedup: container %d does not hold chunk %s where the index says; rebuild the index",
          place.container_id, fingerprint.ToHex()));
    }
    const std::span<const std::byte> bytes = (*region)->chunk(place.ordinal);
    return ChunkBytes{*std::move(region), place.ordinal, bytes};
  }
  CountCorruption();
  return absl::DataLossError(absl::StrFormat(
      "dedup: chunk %s: the index leads to containers that are not there; rebuild the index",
      fingerprint.ToHex()));
}

absl::StatusOr<ContainerContents> ChunkReader::ReadFooter(uint64_t container_id,
                                                          const ContainerRecord& record) {
  const uint64_t container_bytes = options_.superblock->container_bytes;
  const uint64_t slot_offset = SlotOffset(record.slot, static_cast<uint32_t>(container_bytes));
  if (record.footer_bytes < kContainerTrailerBytes || record.footer_bytes > container_bytes) {
    return absl::DataLossError(
        absl::StrFormat("dedup: the record of container %d is damaged", container_id));
  }
  const ContainerTable::ReadGuard guard(options_.table, container_id);
  if (!guard) return absl::NotFoundError("the container is gone");
  const auto read = [&]() -> absl::StatusOr<ContainerContents> {
    STRATA_ASSIGN_OR_RETURN(const DeviceBytes bytes,
                            options_.io->Read(slot_offset + container_bytes - record.footer_bytes,
                                              record.footer_bytes));
    size_t footer_bytes = 0;
    STRATA_ASSIGN_OR_RETURN(DecodedFooter footer,
                            DecodeFooter(bytes.span(), options_.cipher, &footer_bytes));
    if (footer.container_id != container_id) {
      return absl::DataLossError("the footer is another container's");
    }
    return std::move(footer.contents);
  };
  absl::StatusOr<ContainerContents> contents = read();
  if (!contents.ok()) {
    return absl::Status(
        CodeOf(contents.status()),
        absl::StrFormat("dedup: container %d, footer before byte %d of the device: %s",
                        container_id, slot_offset + container_bytes,
                        std::string(contents.status().message())));
  }
  return contents;
}

absl::StatusOr<ContainerContents> ChunkReader::ReadContents(uint64_t container_id,
                                                            const ContainerRecord& record) {
  absl::StatusOr<ContainerContents> contents = ReadFooter(container_id, record);
  if (!absl::IsDataLoss(contents.status())) return contents;
  const absl::StatusOr<DeviceBytes> slot = ReadSlot(container_id);
  if (!slot.ok()) return absl::IsNotFound(slot.status()) ? slot.status() : contents.status();
  absl::StatusOr<ContainerScan> scan =
      ScanContainer(slot->span(), options_.superblock->block_bytes, options_.cipher);
  if (!scan.ok() || scan->header.id != container_id ||
      scan->contents.chunks.size() != record.chunk_count) {
    return contents.status();
  }
  return std::move(scan->contents);
}

absl::StatusOr<DeviceBytes> ChunkReader::ReadSlot(uint64_t container_id) {
  const ContainerTable::ReadGuard guard(options_.table, container_id);
  if (!guard) return absl::NotFoundError("the container is gone");
  const uint32_t container_bytes = options_.superblock->container_bytes;
  return options_.io->Read(SlotOffset(guard.record().slot, container_bytes), container_bytes);
}

}  // namespace strata::dedup
