// SPDX-License-Identifier: Apache-2.0
//
// Which chunkers take a secret, and the numbers drawn from it: SHA-256(key, label, counter as 8
// bytes little-endian) for counter 0, 1, ..., one digest after the other. Part of the format: what
// is drawn decides where a store cuts.
#pragma once

#include <string_view>

#include "strata/dedup/chunker.h"
#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

// Of those whose cuts come from a hash.
bool TakesKey(ChunkAlgorithm algorithm);

class KeyStream {
 public:
  KeyStream(const ChunkerKey& key, std::string_view label);

  // The next eight bytes, little-endian.
  uint64_t Next64();

 private:
  std::vector<std::byte> input_;
  uint64_t counter_ = 0;
  Fingerprint digest_;
  size_t used_;
};

}  // namespace strata::dedup
