// SPDX-License-Identifier: Apache-2.0
//
// Eight bytes of each fingerprint that some stream needs. That two share them keeps a chunk too
// long, never too short.
//
// Thread safety: none while it is filled; then any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

class LiveSet final {
 public:
  void Add(const Fingerprint& fingerprint);
  void Finish();  // Call once, after the last Add().
  // REQUIRES: finished.
  bool Contains(const Fingerprint& fingerprint) const;

 private:
  // By the upper bits of the hash. Each part grows by itself, so that growing never needs a second
  // copy of everything, and a search stays within a few cache lines.
  static constexpr int kPartBits = 12;
  using Part = std::vector<uint64_t>;
  static void Compact(Part* part);

  std::array<Part, size_t{1} << kPartBits> parts_;
};

}  // namespace strata::dedup
