// SPDX-License-Identifier: Apache-2.0
//
// Gathers new chunks until they are worth compressing together, then hands them to the log.
//
// Thread safety: none; it belongs to one writer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "region_format.h"
#include "store_core.h"
#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

class RegionBuilder final {
 public:
  // `pins` takes the containers that the regions end up in.
  RegionBuilder(StoreCore* core, RegionKind kind, PinSet* pins, bool may_use_reserve)
      : core_(core), kind_(kind), pins_(pins), may_use_reserve_(may_use_reserve) {}

  // Takes the bytes in, and writes the region out when it is full.
  absl::Status Add(const Fingerprint& fingerprint, std::span<const std::byte> chunk);

  // Not written out yet.
  bool Holds(const Fingerprint& fingerprint) const { return fingerprints_.contains(fingerprint); }

  // Writes out what is there.
  absl::Status Flush();

  uint64_t log_position() const { return log_position_; }  // Of the last region written out.
  uint64_t stored_bytes() const { return stored_bytes_; }  // On the device, written out so far.

 private:
  StoreCore* const core_;
  const RegionKind kind_;
  PinSet* const pins_;
  const bool may_use_reserve_;
  std::vector<ChunkEntry> table_;
  std::vector<std::byte> raw_;
  absl::flat_hash_set<Fingerprint, FingerprintHash> fingerprints_;
  EncodedRegion region_;
  uint64_t log_position_ = 0;
  uint64_t stored_bytes_ = 0;
};

}  // namespace strata::dedup
