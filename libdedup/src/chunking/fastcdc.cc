// SPDX-License-Identifier: Apache-2.0
#include "chunking/fastcdc.h"

#include <algorithm>
#include <array>
#include <bit>

#include "chunking/first_cut.h"
#include "chunking/gear.h"

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

class FastCdcChunker : public FirstCutChunker {
 public:
  explicit FastCdcChunker(const ChunkerOptions& options)
      : FirstCutChunker(options),
        gear_(GearTableOf(options.key)),
        strict_mask_(kMasks[Bits(options) + options.normalization]),
        lax_mask_(kMasks[Bits(options) - options.normalization]) {}

 protected:
  const GearTable gear_;
  const uint64_t strict_mask_;
  const uint64_t lax_mask_;

 private:
  static size_t Bits(const ChunkerOptions& options) {
    return static_cast<size_t>(std::countr_zero(options.avg_bytes));
  }
};

// A byte at a time.
class FastCdc2016Chunker final : public FastCdcChunker {
 public:
  using FastCdcChunker::FastCdcChunker;

 private:
  size_t FirstCut(std::span<const std::byte> data) const override {
    const size_t center = std::min<size_t>(data.size(), options().avg_bytes);
    uint64_t hash = 0;
    size_t at = options().min_bytes;
    if (FindCut(data.data(), &at, center, strict_mask_, &hash)) return at;
    FindCut(data.data(), &at, data.size(), lax_mask_, &hash);
    return at;
  }

  // Moves *at to the first byte at which the hash fits `mask`; that byte begins the next chunk.
  // False: `end` came first.
  bool FindCut(const std::byte* data, size_t* at, size_t end, uint64_t mask, uint64_t* hash) const {
    for (; *at < end; ++*at) {
      *hash = (*hash << 1) + gear_[static_cast<uint8_t>(data[*at])];
      if ((*hash & mask) == 0) return true;
    }
    return false;
  }
};

// Two bytes to a step: the first one's shift is done together with the second's.
class FastCdc2020Chunker final : public FastCdcChunker {
 public:
  explicit FastCdc2020Chunker(const ChunkerOptions& options)
      : FastCdcChunker(options), gear_shifted_(gear_) {
    for (uint64_t& entry : gear_shifted_) entry <<= 1;
  }

 private:
  size_t FirstCut(std::span<const std::byte> data) const override {
    const size_t center = std::min<size_t>(data.size(), options().avg_bytes);
    uint64_t hash = 0;
    size_t at = options().min_bytes / 2 * 2;
    if (FindCut(data.data(), &at, center / 2 * 2, strict_mask_, &hash)) return at;
    if (FindCut(data.data(), &at, data.size() / 2 * 2, lax_mask_, &hash)) return at;
    return data.size();
  }

  // As in FastCdc2016Chunker.
  bool FindCut(const std::byte* data, size_t* at, size_t end, uint64_t mask, uint64_t* hash) const {
    const uint64_t mask_shifted = mask << 1;
    uint64_t h = *hash;
    size_t i = *at;
    for (; i < end; i += 2) {
      h = (h << 2) + gear_shifted_[static_cast<uint8_t>(data[i])];
      if ((h & mask_shifted) == 0) {
        *at = i;
        return true;
      }
      h += gear_[static_cast<uint8_t>(data[i + 1])];
      if ((h & mask) == 0) {
        *at = i + 1;
        return true;
      }
    }
    *hash = h;
    *at = i;
    return false;
  }

  GearTable gear_shifted_;
};

}  // namespace

std::unique_ptr<const Chunker> CreateFastCdcChunker(const ChunkerOptions& options) {
  if (options.algorithm == ChunkAlgorithm::kFastCdc2016) {
    return std::make_unique<const FastCdc2016Chunker>(options);
  }
  return std::make_unique<const FastCdc2020Chunker>(options);
}

}  // namespace strata::dedup
