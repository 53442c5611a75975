// SPDX-License-Identifier: Apache-2.0
//
// Gathers new chunks until they are worth compressing together, then hands them to the log, in
// order. Where the store has workers, full regions are compressed there while the next one is
// gathered; a few may wait, then the caller compresses as well. With defer_compression writers'
// regions go as they are.
//
// Thread safety: none; it belongs to one writer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "format/region_format.h"
#include "store_core.h"
#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

class RegionBuilder final {
 public:
  // Garbage collection may use the space that is kept for it, and compresses what it copies.
  enum class Owner { kWriter, kCollection };

  // `pins` takes the containers that the regions end up in.
  RegionBuilder(StoreCore* core, RegionKind kind, PinSet* pins, Owner owner)
      : core_(core),
        kind_(kind),
        pins_(pins),
        owner_(owner),
        settings_(CompressionOf(core->options)) {}
  ~RegionBuilder();

  // Takes the bytes in, and writes regions out that are full.
  absl::Status Add(const Fingerprint& fingerprint, std::span<const std::byte> chunk);

  // How what is added from now on is compressed; at first as the store's options say. Canonical.
  absl::Status SetCompression(const CompressionSettings& settings);

  // Not written out yet.
  bool Holds(const Fingerprint& fingerprint) const { return fingerprints_.contains(fingerprint); }

  // Writes out what is there.
  absl::Status Flush();

  uint64_t log_position() const { return log_position_; }  // Of the last region written out.
  uint64_t stored_bytes() const { return stored_bytes_; }  // On the device, written out so far.

 private:
  // A region on its way: gathered, compressed, appended.
  struct Region {
    std::vector<ChunkEntry> table;
    std::vector<std::byte> raw;
    CompressionSettings settings;
    bool deferred = false;  // It goes as it is.
    EncodedRegion encoded;
    std::shared_ptr<Job> job;  // Compresses it. Null: it is encoded already.
  };

  Region& gathering();
  bool Full(const Region& region) const;
  bool Defers(const Region& region) const;
  void Encode(Region* region);
  // `only_one`: no other is on its way, so that nothing is gained by handing it to another thread.
  absl::Status Close(bool only_one = false);
  // Appends the compressed regions at the front until no more than `most` are left.
  absl::Status AppendUntil(size_t most);
  absl::Status AppendFront();

  StoreCore* const core_;
  const RegionKind kind_;
  PinSet* const pins_;
  const Owner owner_;
  CompressionSettings settings_;
  std::deque<std::unique_ptr<Region>> closed_;  // The oldest first.
  std::unique_ptr<Region> gathering_;
  std::vector<std::unique_ptr<Region>> idle_;  // Their memory is used again.
  absl::flat_hash_set<Fingerprint, FingerprintHash> fingerprints_;
  uint64_t log_position_ = 0;
  uint64_t stored_bytes_ = 0;
};

}  // namespace strata::dedup
