// SPDX-License-Identifier: Apache-2.0
#include "live_set.h"

#include <algorithm>

namespace strata::dedup {

void LiveSet::Compact(Part* part) {
  std::sort(part->begin(), part->end());
  part->erase(std::unique(part->begin(), part->end()), part->end());
}

void LiveSet::Add(const Fingerprint& fingerprint) {
  const uint64_t hash = FingerprintHash()(fingerprint);
  Part& part = parts_[hash >> (64 - kPartBits)];
  if (part.size() == part.capacity()) {
    Compact(&part);
    // What is less than half full after this would be sorted again too soon.
    if (part.size() >= part.capacity() / 2) part.reserve(std::max<size_t>(2 * part.capacity(), 8));
  }
  part.push_back(hash);
}

void LiveSet::Finish() {
  for (Part& part : parts_) {
    Compact(&part);
    part.shrink_to_fit();
  }
}

bool LiveSet::Contains(const Fingerprint& fingerprint) const {
  const uint64_t hash = FingerprintHash()(fingerprint);
  const Part& part = parts_[hash >> (64 - kPartBits)];
  return std::binary_search(part.begin(), part.end(), hash);
}

}  // namespace strata::dedup
