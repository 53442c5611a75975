// SPDX-License-Identifier: Apache-2.0
#include "read_ahead.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "chunk_reader.h"
#include "layout.h"

namespace strata::dedup {
namespace {

constexpr size_t kMostRunBytes = 1u << 20;
constexpr uint64_t kMostGapBytes = 32u << 10;  // Read along with the regions on both sides of it.

}  // namespace

ReadAhead::ReadAhead(ChunkReader* reader, WorkerPool* workers)
    : reader_(reader), workers_(workers), reads_(reader->io()) {}

ReadAhead::~ReadAhead() { Forget(); }

void ReadAhead::Forget() { Drop(regions_.size()); }

void ReadAhead::Drop(size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const std::unique_ptr<Region> region = std::move(regions_.front());
    regions_.pop_front();
    if (region->job != nullptr) workers_->Cancel(*region->job);
    expected_bytes_ -= region->size_bytes;
  }
  planned_ = std::min(planned_, regions_.size());
}

void ReadAhead::Expect(const Fingerprint& fingerprint) {
  const absl::StatusOr<FoundChunk> found = reader_->Locate(fingerprint);
  if (found.ok()) Expect(found->place);
}

void ReadAhead::Expect(const ChunkPlace& place) {
  const auto is_there = [&place](const auto& region) { return SameRegion(region->place, place); };
  // Most chunks lie in the region of the one before.
  if (std::any_of(regions_.rbegin(), regions_.rend(), is_there)) return;
  if (reader_->IsCached(place)) return;
  const std::optional<uint64_t> offset = reader_->DeviceOffset(place);
  if (!offset.has_value()) return;
  auto region = std::make_unique<Region>();
  region->place = place;
  region->device_offset = *offset;
  region->size_bytes = size_t{place.size_units} * kUnitBytes;
  expected_bytes_ += region->size_bytes;
  regions_.push_back(std::move(region));
  ++planned_;
}

void ReadAhead::Start() {
  size_t first = regions_.size() - planned_;
  while (first < regions_.size()) {
    // A run: each region lies closely behind the one before.
    const uint64_t begin = regions_[first]->device_offset;
    uint64_t end = begin + regions_[first]->size_bytes;
    size_t next = first + 1;
    for (; next < regions_.size(); ++next) {
      const Region& region = *regions_[next];
      const uint64_t next_end = region.device_offset + region.size_bytes;
      if (region.place.container_id != regions_[first]->place.container_id ||
          region.device_offset < end || region.device_offset - end > kMostGapBytes ||
          next_end - begin > kMostRunBytes) {
        break;
      }
      end = next_end;
    }
    StartRun(first, next);
    first = next;
  }
  planned_ = 0;
  HandOver();
}

void ReadAhead::StartRun(size_t first, size_t end) {
  const uint64_t begin = regions_[first]->device_offset;
  const Region& last = *regions_[end - 1];
  const std::shared_ptr<const DeviceRead> read =
      reads_.Start(begin, last.device_offset + last.size_bytes - begin);
  for (size_t i = first; i < end; ++i) {
    regions_[i]->read = read;
    regions_[i]->offset_in_read = regions_[i]->device_offset - begin;
  }
}

void ReadAhead::Load(Region* region) const {
  if (region->read->status().ok()) {
    region->loaded = reader_->Load(
        region->place, region->read->span().subspan(region->offset_in_read, region->size_bytes));
  }
  region->read = nullptr;
}

void ReadAhead::HandOver() {
  reads_.Poll();
  if (!workers_->has_threads()) return;
  for (const std::unique_ptr<Region>& region : regions_) {
    if (region->job != nullptr || region->read == nullptr || !region->read->done()) continue;
    region->job = std::make_shared<Job>([this, work = region.get()] { Load(work); });
    workers_->Submit(region->job);
  }
}

std::shared_ptr<const LoadedRegion> ReadAhead::Take(const ChunkPlace& place) {
  const auto found = std::find_if(regions_.begin(), regions_.end(), [&place](const auto& region) {
    return SameRegion(region->place, place);
  });
  if (found == regions_.end()) return nullptr;
  Drop(static_cast<size_t>(found - regions_.begin()));
  Region& region = *regions_.front();
  if (region.job == nullptr && region.read == nullptr) Start();
  HandOver();
  if (region.job == nullptr) {
    reads_.WaitFor(*region.read);
    Load(&region);
  } else if (!workers_->TryRun(*region.job)) {
    // While a worker is at it, the caller does those behind it.
    for (size_t i = 1; i < regions_.size() && !region.job->done(); ++i) {
      if (regions_[i]->job != nullptr) workers_->TryRun(*regions_[i]->job);
    }
    workers_->Finish(*region.job);
  }
  std::shared_ptr<const LoadedRegion> loaded = region.loaded.ok() ? *region.loaded : nullptr;
  Drop(1);
  HandOver();
  return loaded;
}

}  // namespace strata::dedup
