// SPDX-License-Identifier: Apache-2.0
#include "chunking/first_cut.h"

#include <algorithm>

namespace strata::dedup {

size_t FirstCutChunker::Split(std::span<const std::byte> data, bool last,
                              std::vector<uint32_t>* lengths) const {
  size_t at = 0;
  while (at < data.size() && (last || data.size() - at >= options_.max_bytes)) {
    const size_t window = std::min<size_t>(data.size() - at, options_.max_bytes);
    const size_t length =
        window <= options_.min_bytes ? window : FirstCut(data.subspan(at, window));
    lengths->push_back(static_cast<uint32_t>(length));
    at += length;
  }
  return at;
}

}  // namespace strata::dedup
