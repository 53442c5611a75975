// SPDX-License-Identifier: Apache-2.0
#include "region_builder.h"

#include <algorithm>
#include <utility>

#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

// As many must be free for compression to be deferred, or a quarter of a small device.
constexpr uint32_t kRoomyContainers = 64;

}  // namespace

RegionBuilder::~RegionBuilder() {
  for (const std::unique_ptr<Region>& region : closed_) {
    if (region->job != nullptr) core_->workers->Cancel(*region->job);
  }
}

RegionBuilder::Region& RegionBuilder::gathering() {
  if (gathering_ == nullptr) {
    if (idle_.empty()) {
      gathering_ = std::make_unique<Region>();
    } else {
      gathering_ = std::move(idle_.back());
      idle_.pop_back();
    }
    gathering_->settings = settings_;
  }
  return *gathering_;
}

bool RegionBuilder::Full(const Region& region) const {
  return region.raw.size() >= region.settings.region_bytes ||
         region.table.size() >= kMaxChunksPerRegion;
}

absl::Status RegionBuilder::SetCompression(const CompressionSettings& settings) {
  if (settings == settings_) return absl::OkStatus();
  if (gathering_ != nullptr && !gathering_->raw.empty()) STRATA_RETURN_IF_ERROR(Close());
  settings_ = settings;
  if (gathering_ != nullptr) gathering_->settings = settings;
  return absl::OkStatus();
}

absl::Status RegionBuilder::Add(const Fingerprint& fingerprint, std::span<const std::byte> chunk) {
  // Also a full one, which an error left here.
  if (gathering_ != nullptr && !gathering_->raw.empty() &&
      gathering_->raw.size() + chunk.size() > gathering_->settings.region_bytes) {
    STRATA_RETURN_IF_ERROR(Close());
  }
  Region& region = gathering();
  region.table.push_back({fingerprint, static_cast<uint32_t>(chunk.size())});
  region.raw.insert(region.raw.end(), chunk.begin(), chunk.end());
  fingerprints_.insert(fingerprint);
  return Full(region) ? Close() : absl::OkStatus();
}

bool RegionBuilder::Defers(const Region& region) const {
  const StoreOptions& options = core_->options;
  if (!options.defer_compression || options.compression == Compression::kNone ||
      owner_ == Owner::kCollection || kind_ == RegionKind::kRecipes ||
      region.raw.size() < kMinProbedBytes) {
    return false;
  }
  // Uncompressed data must not be what fills the device.
  const uint32_t roomy = std::min(kRoomyContainers, core_->table->slot_count() / 4);
  const uint64_t roomy_bytes = uint64_t{roomy} * core_->superblock.container_bytes;
  return core_->table->free_slots() > kReservedSlots + roomy &&
         (options.admit_space == nullptr ||
          options.admit_space(roomy_bytes, SpaceUse::kWriter).ok()) &&
         !LooksIncompressible(region.raw);
}

void RegionBuilder::Encode(Region* region) {
  // Recipes are fingerprints: they do not compress.
  const bool recipes = kind_ == RegionKind::kRecipes;
  const CompressionSettings& settings = region->settings;
  EncodeRegion(kind_, region->table, region->raw,
               recipes || region->deferred ? Compression::kNone : settings.method, settings.level,
               *core_->codec, core_->cipher.get(), &region->encoded);
  region->encoded.header.deferred = region->deferred;
  if (!recipes) region->encoded.header.settings = settings;
}

// Sends what was gathered on its way.
absl::Status RegionBuilder::Close(bool only_one) {
  Region* const region = gathering_.get();
  closed_.push_back(std::move(gathering_));
  region->deferred |= Defers(*region);
  const size_t threads = core_->workers->thread_count();
  // What is deferred and not encrypted costs no more than a checksum.
  if (threads == 0 || only_one || (region->deferred && core_->cipher == nullptr)) {
    Encode(region);
  } else {
    region->job = std::make_shared<Job>([this, region] { Encode(region); });
    core_->workers->Submit(region->job);
  }
  // Enough that no worker runs dry while the caller compresses one itself and gathers the next.
  return AppendUntil(threads == 0 ? 0 : 2 * threads + 4);
}

absl::Status RegionBuilder::AppendUntil(size_t most) {
  while (!closed_.empty()) {
    const std::shared_ptr<Job>& job = closed_.front()->job;
    if (job != nullptr && !job->done()) {
      if (closed_.size() <= most) return absl::OkStatus();
      // Compress one here, the oldest that nobody began; where all are begun, wait.
      bool helped = false;
      for (const std::unique_ptr<Region>& region : closed_) {
        helped = region->job != nullptr && core_->workers->TryRun(*region->job);
        if (helped) break;
      }
      if (!helped) core_->workers->Finish(*job);
    }
    if (job == nullptr || job->done()) STRATA_RETURN_IF_ERROR(AppendFront());
  }
  return absl::OkStatus();
}

absl::Status RegionBuilder::AppendFront() {
  Region& region = *closed_.front();
  // Where this fails everything is still here, and nobody takes the chunks for written.
  STRATA_ASSIGN_OR_RETURN(log_position_,
                          core_->log->Append(&region.encoded, pins_, owner_ == Owner::kCollection));
  stored_bytes_ += region.encoded.size_bytes();
  for (const ChunkEntry& entry : region.table) fingerprints_.erase(entry.fingerprint);
  region.table.clear();
  region.raw.clear();
  region.deferred = false;
  region.job = nullptr;
  idle_.push_back(std::move(closed_.front()));
  closed_.pop_front();
  return absl::OkStatus();
}

absl::Status RegionBuilder::Flush() {
  if (gathering_ != nullptr && !gathering_->table.empty()) {
    STRATA_RETURN_IF_ERROR(Close(/*only_one=*/closed_.empty()));
  }
  return AppendUntil(0);
}

}  // namespace strata::dedup
