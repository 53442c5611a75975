// SPDX-License-Identifier: Apache-2.0
//
// Says "certainly never stored" of most new chunks without asking the kv store. Layers of blocked
// Bloom filters, ten bits a key, one cache line per question and layer; a full layer is followed by
// one of twice its size, or by a third of all there is once that is much. Nothing is ever removed:
// what garbage collection dropped answers "perhaps" until the store is opened again.
//
// Thread safety: none; the owner locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

class SummaryFilter final {
 public:
  // A first layer for `expected` keys, at least.
  explicit SummaryFilter(size_t expected);

  void Add(const Fingerprint& fingerprint);
  bool MayContain(const Fingerprint& fingerprint) const;

  size_t memory_bytes() const;

 private:
  struct Line {
    uint64_t words[8] = {};
  };
  struct Layer {
    std::vector<Line> lines;
    size_t capacity = 0;
    size_t count = 0;
  };

  void AddLayer(size_t capacity);

  std::vector<Layer> layers_;
};

}  // namespace strata::dedup
