// SPDX-License-Identifier: Apache-2.0
#include "containers/read_ahead.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "format/layout.h"

namespace strata::dedup {
namespace {

constexpr size_t kMaxRunBytes = 1u << 20;
constexpr size_t kFollowBytes = 1u << 20;
constexpr uint64_t kMaxGapBytes = 32u << 10;  // Read along with the regions on both sides of it.

}  // namespace

ReadAhead::ReadAhead(ContainerReader* reader, WorkerPool* workers)
    : reader_(reader), workers_(workers), reads_(reader->io()) {}

ReadAhead::~ReadAhead() { Forget(); }

void ReadAhead::Forget() {
  while (!regions_.empty()) DropFront();
}

void ReadAhead::DropFront() {
  const std::unique_ptr<Region> region = std::move(regions_.front());
  regions_.pop_front();
  by_key_.erase(KeyOf(region->place));
  if (region->job != nullptr) workers_->Cancel(*region->job);
  expected_bytes_ -= region->size_bytes;
  if (handed_over_ > 0) --handed_over_;
  planned_ = std::min(planned_, regions_.size());
}

void ReadAhead::Expect(const ChunkPlace& place, uint64_t position, bool as_stored) {
  if (by_key_.contains(KeyOf(place))) return;
  auto region = std::make_unique<Region>();
  region->place = place;
  region->position = position;
  region->as_stored = as_stored;
  if (!as_stored) region->loaded = reader_->Cached(place);
  if (region->loaded == nullptr) {
    const std::optional<uint64_t> offset = reader_->DeviceOffset(place);
    if (!offset.has_value()) return;
    region->device_offset = *offset;
    region->size_bytes = size_t{place.size_units} * kUnitBytes;
    expected_bytes_ += region->size_bytes;
  }
  by_key_[KeyOf(place)] = region.get();
  regions_.push_back(std::move(region));
  ++planned_;
}

void ReadAhead::Start() {
  size_t first = regions_.size() - planned_;
  while (first < regions_.size()) {
    if (regions_[first]->loaded != nullptr) {
      ++first;
      continue;
    }
    // A run: each region lies closely behind the one before.
    const uint64_t begin = regions_[first]->device_offset;
    uint64_t end = begin + regions_[first]->size_bytes;
    size_t next = first + 1;
    for (; next < regions_.size(); ++next) {
      const Region& region = *regions_[next];
      const uint64_t next_end = region.device_offset + region.size_bytes;
      if (region.loaded != nullptr ||
          region.place.container_id != regions_[first]->place.container_id ||
          region.device_offset < end || region.device_offset - end > kMaxGapBytes ||
          next_end - begin > kMaxRunBytes) {
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
  const std::shared_ptr<const DeviceRead> read = std::move(region->read);
  if (!read->status().ok()) return;
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> loaded = reader_->Load(
      region->place, read->span().subspan(region->offset_in_read, region->size_bytes));
  if (loaded.ok()) region->loaded = *std::move(loaded);
}

void ReadAhead::HandOver() {
  reads_.Poll();
  if (!workers_->has_threads()) return;
  for (; handed_over_ + planned_ < regions_.size(); ++handed_over_) {
    Region& region = *regions_[handed_over_];
    if (region.read == nullptr || region.as_stored) continue;
    if (!region.read->done()) return;
    region.job = std::make_shared<Job>([this, work = &region] { Load(work); });
    workers_->Submit(region.job);
  }
}

void ReadAhead::MoveTo(uint64_t position) {
  position_ = position;
  while (!regions_.empty() && regions_.front()->position < position) DropFront();
  HandOver();
}

void ReadAhead::Follow(std::span<const ChunkPlace> places, size_t current,
                       const std::vector<bool>& as_stored) {
  MoveTo(current);
  if (expected_bytes_ >= kFollowBytes / 2) return;
  size_t next = regions_.empty() ? current : regions_.back()->position + 1;
  for (; next < places.size() && expected_bytes_ < kFollowBytes; ++next) {
    Expect(places[next], next, !as_stored.empty() && as_stored[next]);
  }
  Start();
}

std::shared_ptr<const LoadedRegion> ReadAhead::Take(const ChunkPlace& place) {
  const auto found = by_key_.find(KeyOf(place));
  if (found == by_key_.end()) return nullptr;
  Region& region = *found->second;
  if (region.position != position_) {
    const bool is_there = region.job == nullptr || region.job->done();
    return is_there ? region.loaded : nullptr;
  }
  if (planned_ == regions_.size()) Start();
  if (region.job != nullptr) {
    if (!workers_->TryRun(*region.job)) {
      // While a worker is at it, the caller does those behind it.
      for (size_t i = 1; i < regions_.size() && !region.job->done(); ++i) {
        if (regions_[i]->job != nullptr) workers_->TryRun(*regions_[i]->job);
      }
      workers_->Finish(*region.job);
    }
  } else if (region.read != nullptr) {
    reads_.WaitFor(*region.read);
    Load(&region);
  }
  return region.loaded;
}

std::span<const std::byte> ReadAhead::TakeStored(const ChunkPlace& place) {
  const auto found = by_key_.find(KeyOf(place));
  if (found == by_key_.end()) return {};
  const Region& region = *found->second;
  if (!region.as_stored || region.position != position_ || region.read == nullptr) return {};
  reads_.WaitFor(*region.read);
  if (!region.read->status().ok()) return {};
  return region.read->span().subspan(region.offset_in_read, region.size_bytes);
}

}  // namespace strata::dedup
