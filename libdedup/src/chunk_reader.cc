// SPDX-License-Identifier: Apache-2.0
#include "chunk_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr size_t kMostReadAheadBytes = 1u << 20;
constexpr size_t kMostWindows = 32;
constexpr size_t kFewWindows = 4;
constexpr size_t kMostWindowBytesOfMany = 256u << 10;
constexpr uint64_t kMostSkippedBytes = 64u << 10;  // Of regions that the stream does not need.
constexpr int kMostMoves = 16;  // A chunk is not moved this often while somebody looks for it.

// One meaning per code: damage is DataLoss, whatever the parser called it.
absl::StatusCode CodeOf(const absl::Status& cause) {
  return absl::IsNotFound(cause) || absl::IsOutOfRange(cause) ? absl::StatusCode::kDataLoss
                                                              : cause.code();
}

}  // namespace

absl::Status ChunkReader::Damaged(const ChunkPlace& place, uint32_t slot,
                                  const absl::Status& cause) {
  const uint64_t offset = SlotOffset(slot, options_.superblock->container_bytes) +
                          uint64_t{place.offset_units} * kUnitBytes;
  const std::string message =
      absl::StrFormat("dedup: container %d is damaged at byte %d of the device: %s",
                      place.container_id, offset, std::string(cause.message()));
  const absl::StatusCode code = CodeOf(cause);
  if (code == absl::StatusCode::kDataLoss) {
    CountCorruption();
    options_.table->MarkDamaged(place.container_id, message);
  }
  return absl::Status(code, message);
}

absl::StatusOr<std::span<const std::byte>> ChunkReader::ReadBytes(const ChunkPlace& place,
                                                                  const ContainerRecord& record,
                                                                  ReadAhead* ahead) {
  const uint64_t begin = uint64_t{place.offset_units} * kUnitBytes;
  const size_t size = size_t{place.size_units} * kUnitBytes;
  const uint64_t container_bytes = options_.superblock->container_bytes;
  if (begin + size > container_bytes)
    return absl::DataLossError("a place behind the container's end");
  ReadAhead::Window* const known = ahead->Find(place.container_id, begin);
  if (known != nullptr && begin + size <= known->end_bytes()) {
    return known->bytes->span().subspan(begin - known->begin_bytes, size);
  }
  ReadAhead::Window window{place.container_id, begin, 2 * size, nullptr};
  size_t wanted = size;
  // What lies behind a region of an open container is being written.
  if (known != nullptr && record.sealed) {
    wanted = std::min<uint64_t>(std::max(size, known->next_bytes), container_bytes - begin);
    const size_t most_bytes =
        ahead->windows_.size() > kFewWindows ? kMostWindowBytesOfMany : kMostReadAheadBytes;
    window.next_bytes = std::min(std::max(known->next_bytes, size) * 2, most_bytes);
  }
  STRATA_ASSIGN_OR_RETURN(
      DeviceBytes bytes,
      options_.io->Read(SlotOffset(record.slot, container_bytes) + begin, wanted));
  window.bytes = std::make_shared<const DeviceBytes>(std::move(bytes));
  if (known != nullptr) {
    *known = std::move(window);
  } else {
    ahead->windows_.push_front(std::move(window));
    if (ahead->windows_.size() > kMostWindows) ahead->windows_.pop_back();
  }
  return ahead->windows_.front().bytes->span().first(size);
}

ReadAhead::Window* ReadAhead::Find(uint64_t container_id, uint64_t begin) {
  const auto reaches = [container_id, begin](uint64_t skipped_bytes) {
    return [=](const Window& window) {
      return window.container_id == container_id && begin >= window.begin_bytes &&
             begin <= window.end_bytes() + skipped_bytes;
    };
  };
  auto found = std::find_if(windows_.begin(), windows_.end(), reaches(0));
  if (found == windows_.end()) {
    found = std::find_if(windows_.begin(), windows_.end(), reaches(kMostSkippedBytes));
  }
  if (found == windows_.end()) return nullptr;
  windows_.splice(windows_.begin(), windows_, found);
  return &windows_.front();
}

absl::StatusOr<std::shared_ptr<const LoadedRegion>> ChunkReader::ReadRegion(const ChunkPlace& place,
                                                                            ReadAhead* ahead) {
  const RegionCache::Key key{place.container_id, place.offset_units};
  ReadAhead alone;
  if (ahead == nullptr) ahead = &alone;
  if (std::shared_ptr<const LoadedRegion> expected = TakeExpected(key, ahead)) {
    cache_.Insert(key, expected);
    return expected;
  }
  if (std::shared_ptr<const LoadedRegion> cached = cache_.Find(key)) return cached;
  const ContainerTable::ReadGuard guard(options_.table, place.container_id);
  if (!guard) return absl::NotFoundError("the container is gone");
  const uint32_t slot = guard.record().slot;
  const absl::StatusOr<std::span<const std::byte>> bytes = ReadBytes(place, guard.record(), ahead);
  if (!bytes.ok()) return Damaged(place, slot, bytes.status());
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> region = Load(place, *bytes);
  if (!region.ok()) return Damaged(place, slot, region.status());
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
  loaded->raw = std::make_unique_for_overwrite<std::byte[]>(loaded->raw_bytes);
  STRATA_RETURN_IF_ERROR(options_.codec->Decompress(region.header.codec, region.payload,
                                                    {loaded->raw.get(), loaded->raw_bytes}));
  loaded->table = std::move(region.table);
  loaded->offsets.reserve(loaded->table.size());
  uint32_t offset = 0;
  for (const ChunkEntry& entry : loaded->table) {
    loaded->offsets.push_back(offset);
    offset += entry.size_bytes;
  }
  return loaded;
}

void ReadAhead::ForgetExpected() {
  for (const std::unique_ptr<Expected>& expected : expected_) workers_->Cancel(*expected->job);
  expected_.clear();
  expected_bytes_ = 0;
}

void ChunkReader::Expect(const Fingerprint& fingerprint, ReadAhead* ahead) {
  const absl::StatusOr<FoundChunk> found = options_.index->Find(fingerprint);
  if (!found.ok()) return;
  const ChunkPlace place = found->place;
  const RegionCache::Key key{place.container_id, place.offset_units};
  const auto expects = [&key](const auto& expected) { return expected->key == key; };
  // Most chunks lie in the region of the one before.
  if (std::any_of(ahead->expected_.rbegin(), ahead->expected_.rend(), expects)) return;
  if (cache_.Find(key) != nullptr) return;
  const ContainerTable::ReadGuard guard(options_.table, place.container_id);
  if (!guard) return;
  const absl::StatusOr<std::span<const std::byte>> bytes = ReadBytes(place, guard.record(), ahead);
  if (!bytes.ok()) return;
  auto expected = std::make_unique<ReadAhead::Expected>();
  expected->key = key;
  expected->window = ahead->windows_.front().bytes;
  expected->bytes = *bytes;
  expected->job = std::make_shared<Job>([this, place, work = expected.get()] {
    work->region = Load(place, work->bytes);
    work->window = nullptr;
  });
  ahead->workers_->Submit(expected->job);
  ahead->expected_bytes_ += bytes->size();
  ahead->expected_.push_back(std::move(expected));
}

std::shared_ptr<const LoadedRegion> ChunkReader::TakeExpected(const RegionCache::Key& key,
                                                              ReadAhead* ahead) {
  const auto found = std::find_if(ahead->expected_.begin(), ahead->expected_.end(),
                                  [&key](const auto& expected) { return expected->key == key; });
  if (found == ahead->expected_.end()) return nullptr;
  const std::unique_ptr<ReadAhead::Expected> expected = std::move(*found);
  ahead->expected_.erase(found);
  ahead->expected_bytes_ -= expected->bytes.size();
  ahead->workers_->Finish(*expected->job);
  return expected->region.ok() ? *expected->region : nullptr;
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
      return absl::DataLossError(absl::StrFormat(
          "dedup: container %d does not hold chunk %s where the index says; rebuild the index",
          place.container_id, fingerprint.ToHex()));
    }
    const std::span<const std::byte> bytes = (*region)->chunk(place.ordinal);
    return ChunkBytes{*std::move(region), bytes};
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

absl::StatusOr<DeviceBytes> ChunkReader::ReadSlot(uint64_t container_id) {
  const ContainerTable::ReadGuard guard(options_.table, container_id);
  if (!guard) return absl::NotFoundError("the container is gone");
  const uint32_t container_bytes = options_.superblock->container_bytes;
  return options_.io->Read(SlotOffset(guard.record().slot, container_bytes), container_bytes);
}

}  // namespace strata::dedup
