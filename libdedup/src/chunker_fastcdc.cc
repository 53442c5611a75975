// SPDX-License-Identifier: Apache-2.0
#include "chunker_fastcdc.h"

#include <algorithm>
#include <array>
#include <bit>

#include "gear_table.h"

namespace strata::dedup {
namespace {

// Masks of the published algorithm, by the binary logarithm of the distance they aim at. Their bits
// are spread over the hash's upper part, which more bytes have a say in.
constexpr std::array<uint64_t, 26> kMasks = {
    0,
    0,
    0,
    0,
    0,
    0x0000000001804110,
    0x0000000001803110,
    0x0000000018035100,
    0x0000001800035300,
    0x0000019000353000,
    0x0000590003530000,
    0x0000d90003530000,
    0x0000d90103530000,
    0x0000d90303530000,
    0x0000d90313530000,
    0x0000d90f03530000,
    0x0000d90303537000,
    0x0000d90703537000,
    0x0000d90707537000,
    0x0000d91707537000,
    0x0000d91747537000,
    0x0000d91767537000,
    0x0000d93767537000,
    0x0000d93777537000,
    0x0000d93777577000,
    0x0000db3777577000,
};

// kGear shifted left by one: what the first of two bytes adds when both shifts are done at once.
constexpr std::array<uint64_t, 256> kGearShifted = [] {
  std::array<uint64_t, 256> table{};
  for (size_t i = 0; i < table.size(); ++i) table[i] = kGear[i] << 1;
  return table;
}();

class FastCdcChunker final : public Chunker {
 public:
  explicit FastCdcChunker(const ChunkerOptions& options)
      : options_(options),
        strict_mask_(kMasks[std::countr_zero(options.avg_bytes) + options.normalization]),
        lax_mask_(kMasks[std::countr_zero(options.avg_bytes) - options.normalization]) {}

  size_t Split(std::span<const std::byte> data, bool last,
               std::vector<uint32_t>* lengths) const override {
    size_t at = 0;
    while (at < data.size() && (last || data.size() - at >= options_.max_bytes)) {
      const uint32_t length = Cut(data.subspan(at));
      lengths->push_back(length);
      at += length;
    }
    return at;
  }

  const ChunkerOptions& options() const override { return options_; }

 private:
  // Length of the chunk at the front of `data`. REQUIRES: data is not empty.
  uint32_t Cut(std::span<const std::byte> data) const {
    if (data.size() <= options_.min_bytes) return static_cast<uint32_t>(data.size());
    const size_t end = std::min<size_t>(data.size(), options_.max_bytes);
    const size_t center = std::min<size_t>(end, options_.avg_bytes);
    uint64_t hash = 0;
    size_t at = options_.min_bytes / 2 * 2;
    if (FindCut(data.data(), &at, center / 2 * 2, strict_mask_, &hash)) {
      return static_cast<uint32_t>(at);
    }
    if (FindCut(data.data(), &at, end / 2 * 2, lax_mask_, &hash)) return static_cast<uint32_t>(at);
    return static_cast<uint32_t>(end);
  }

  // Moves *at to the first byte at which the hash fits `mask`; that byte begins the next chunk.
  // False: `end` came first.
  static bool FindCut(const std::byte* data, size_t* at, size_t end, uint64_t mask,
                      uint64_t* hash) {
    const uint64_t mask_shifted = mask << 1;
    uint64_t h = *hash;
    size_t i = *at;
    for (; i < end; i += 2) {
      h = (h << 2) + kGearShifted[static_cast<uint8_t>(data[i])];
      if ((h & mask_shifted) == 0) {
        *at = i;
        return true;
      }
      h += kGear[static_cast<uint8_t>(data[i + 1])];
      if ((h & mask) == 0) {
        *at = i + 1;
        return true;
      }
    }
    *hash = h;
    *at = i;
    return false;
  }

  const ChunkerOptions options_;
  const uint64_t strict_mask_;
  const uint64_t lax_mask_;
};

}  // namespace

std::unique_ptr<const Chunker> CreateFastCdcChunker(const ChunkerOptions& options) {
  return std::make_unique<FastCdcChunker>(options);
}

}  // namespace strata::dedup
