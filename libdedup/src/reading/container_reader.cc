// SPDX-License-Identifier: Apache-2.0
#include "reading/container_reader.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "format/container_scan.h"
#include "format/layout.h"
#include "format/salvage.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

// One meaning per code: damage is DataLoss, whatever the parser called it.
absl::StatusCode CodeOf(const absl::Status& cause) {
  return absl::IsNotFound(cause) || absl::IsOutOfRange(cause) ? absl::StatusCode::kDataLoss
                                                              : cause.code();
}

}  // namespace

std::string ContainerReader::DamageMessage(const ChunkPlace& place, uint32_t slot,
                                           const absl::Status& cause) const {
  return absl::StrFormat("dedup: container %d is damaged at byte %d of the device: %s",
                         place.container_id, OffsetOf(place, slot), std::string(cause.message()));
}

absl::Status ContainerReader::Damaged(const ChunkPlace& place, uint32_t slot,
                                      const absl::Status& cause, RegionDamage* damage) const {
  const absl::StatusCode code = CodeOf(cause);
  if (code == absl::StatusCode::kDataLoss)
    *damage = {.found = true, .whole_region = true, .lost = {}};
  return absl::Status(code, DamageMessage(place, slot, cause));
}

absl::StatusOr<std::shared_ptr<const LoadedRegion>> ContainerReader::Salvage(
    const ChunkPlace& place, uint32_t slot, std::span<const std::byte> bytes,
    const absl::Status& cause, RegionDamage* damage) const {
  absl::StatusOr<SalvagedRegion> salvaged = SalvageRegion(bytes, *options_.codec, options_.cipher);
  if (!salvaged.ok() || salvaged->header.container_id != place.container_id ||
      salvaged->header.offset_units != place.offset_units) {
    return Damaged(place, slot, cause, damage);
  }
  std::vector<uint16_t> lost = salvaged->lost();
  if (lost.size() == salvaged->claimed.size()) return Damaged(place, slot, cause, damage);
  *damage = {.found = true, .whole_region = false, .lost = std::move(lost)};
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

bool ContainerReader::Fits(const ChunkPlace& place) const {
  return (uint64_t{place.offset_units} + place.size_units) * kUnitBytes <=
         options_.superblock->container_bytes;
}

uint64_t ContainerReader::OffsetOf(const ChunkPlace& place, uint32_t slot) const {
  return SlotOffset(slot, options_.superblock->container_bytes) +
         uint64_t{place.offset_units} * kUnitBytes;
}

std::optional<uint64_t> ContainerReader::DeviceOffset(const ChunkPlace& place) const {
  const std::optional<uint32_t> slot = options_.table->SlotOf(place.container_id);
  if (!slot.has_value() || !Fits(place)) return std::nullopt;
  return OffsetOf(place, *slot);
}

absl::StatusOr<std::shared_ptr<const LoadedRegion>> ContainerReader::ReadRegion(
    const ChunkPlace& place, RegionDamage* damage) {
  if (std::shared_ptr<const LoadedRegion> cached = Cached(place)) return cached;
  const ContainerTable::ReadGuard guard(options_.table, place.container_id);
  if (!guard) return absl::NotFoundError("the container is gone");
  const uint32_t slot = guard.record().slot;
  if (!Fits(place)) {
    return Damaged(place, slot, absl::DataLossError("a place behind the container's end"), damage);
  }
  const uint64_t offset = OffsetOf(place, slot);
  const size_t size = size_t{place.size_units} * kUnitBytes;
  absl::StatusOr<DeviceBytes> bytes = options_.io->Read(offset, size);
  absl::Status wrong = bytes.status();
  if (absl::IsDataLoss(wrong)) bytes = options_.io->ReadByBlock(offset, size);
  if (!bytes.ok()) return Damaged(place, slot, wrong, damage);
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> region = Load(place, bytes->span());
  if (!region.ok()) {
    if (wrong.ok()) wrong = region.status();
    if (CodeOf(wrong) != absl::StatusCode::kDataLoss) return Damaged(place, slot, wrong, damage);
    STRATA_ASSIGN_OR_RETURN(region, Salvage(place, slot, bytes->span(), wrong, damage));
  }
  Keep(place, *region);
  return region;
}

absl::StatusOr<std::shared_ptr<const LoadedRegion>> ContainerReader::Load(
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

absl::StatusOr<ContainerContents> ContainerReader::ReadFooter(uint64_t container_id,
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

absl::StatusOr<ContainerContents> ContainerReader::ReadContents(uint64_t container_id,
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

absl::StatusOr<DeviceBytes> ContainerReader::ReadSlot(uint64_t container_id) {
  const ContainerTable::ReadGuard guard(options_.table, container_id);
  if (!guard) return absl::NotFoundError("the container is gone");
  const uint32_t container_bytes = options_.superblock->container_bytes;
  return options_.io->Read(SlotOffset(guard.record().slot, container_bytes), container_bytes);
}

}  // namespace strata::dedup
