// SPDX-License-Identifier: Apache-2.0
#include "region_builder.h"

#include <utility>

#include "strata/base/status_macros.h"

namespace strata::dedup {

absl::Status RegionBuilder::Add(const Fingerprint& fingerprint, std::span<const std::byte> chunk) {
  const size_t limit = core_->options.region_bytes;
  if (!raw_.empty() && raw_.size() + chunk.size() > limit) STRATA_RETURN_IF_ERROR(Flush());
  table_.push_back({fingerprint, static_cast<uint32_t>(chunk.size())});
  fingerprints_.insert(fingerprint);
  raw_.insert(raw_.end(), chunk.begin(), chunk.end());
  const bool full = raw_.size() >= limit || table_.size() >= kMostChunksPerRegion;
  return full ? Flush() : absl::OkStatus();
}

absl::Status RegionBuilder::Flush() {
  if (table_.empty()) return absl::OkStatus();
  // Recipes are fingerprints: they do not compress.
  const Compression method =
      kind_ == RegionKind::kRecipes ? Compression::kNone : core_->options.compression;
  EncodeRegion(kind_, table_, raw_, method, core_->options.compression_level, *core_->codec,
               &region_);
  // Where this fails everything is still here, and nobody takes the chunks for written.
  STRATA_ASSIGN_OR_RETURN(log_position_, core_->log->Append(&region_, pins_, may_use_reserve_));
  table_.clear();
  raw_.clear();
  fingerprints_.clear();
  stored_bytes_ += region_.bytes.size();
  return absl::OkStatus();
}

}  // namespace strata::dedup
