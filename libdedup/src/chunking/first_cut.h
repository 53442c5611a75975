// SPDX-License-Identifier: Apache-2.0
//
// What most chunkers have in common: each finds the end of the chunk at the front of its data, and
// nothing past max_bytes can move that end.
#pragma once

#include "strata/dedup/chunker.h"

namespace strata::dedup {

class FirstCutChunker : public Chunker {
 public:
  explicit FirstCutChunker(const ChunkerOptions& options) : options_(options) {}

  size_t Split(std::span<const std::byte> data, bool last,
               std::vector<uint32_t>* lengths) const final;
  const ChunkerOptions& options() const final { return options_; }

 protected:
  // Length of the chunk at the front of `data`: min_bytes <= length <= data.size(). REQUIRES:
  // min_bytes < data.size() <= max_bytes, and less than max_bytes only when no more data follow.
  virtual size_t FirstCut(std::span<const std::byte> data) const = 0;

 private:
  const ChunkerOptions options_;
};

}  // namespace strata::dedup
