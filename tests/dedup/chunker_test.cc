// SPDX-License-Identifier: Apache-2.0
#include "strata/dedup/chunker.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <numeric>
#include <utility>
#include <vector>

#include "gear_table.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::dedup {
namespace {

std::vector<std::byte> RandomBytes(uint64_t seed, size_t size) {
  std::vector<std::byte> bytes(size);
  Random(seed).Fill(bytes);
  return bytes;
}

std::vector<uint32_t> SplitAll(const ChunkerOptions& options, std::span<const std::byte> data) {
  auto chunker = CreateChunker(options);
  INFO(chunker.status());
  REQUIRE(chunker.ok());
  std::vector<uint32_t> lengths;
  CHECK((*chunker)->Split(data, /*last=*/true, &lengths) == data.size());
  return lengths;
}

// FastCDC as the paper's text has it, a byte at a time and with the masks spelled as sets of bits;
// slow and plain.
class SlowFastCdc {
 public:
  explicit SlowFastCdc(const ChunkerOptions& options) : options_(options) {
    const int bits = std::countr_zero(options.avg_bytes);
    const int level = static_cast<int>(options.normalization);
    strict_ = MaskOf(bits + level);
    lax_ = MaskOf(bits - level);
  }

  std::vector<uint32_t> Split(std::span<const std::byte> data) const {
    std::vector<uint32_t> lengths;
    while (!data.empty()) {
      const size_t length = Cut(data);
      lengths.push_back(static_cast<uint32_t>(length));
      data = data.subspan(length);
    }
    return lengths;
  }

 private:
  // Positions of the mask bits for the distances this test uses, from the published table.
  static uint64_t MaskOf(int bits) {
    static const std::vector<std::pair<int, std::vector<int>>> kBits = {
        {8, {8, 9, 12, 14, 16, 17, 35, 36}},
        {9, {12, 13, 16, 18, 20, 21, 36, 39, 40}},
        {10, {16, 17, 20, 22, 24, 25, 40, 43, 44, 46}},
        {11, {16, 17, 20, 22, 24, 25, 40, 43, 44, 46, 47}},
        {12, {16, 17, 20, 22, 24, 25, 32, 40, 43, 44, 46, 47}},
        {13, {16, 17, 20, 22, 24, 25, 32, 33, 40, 43, 44, 46, 47}},
        {14, {16, 17, 20, 22, 24, 25, 28, 32, 33, 40, 43, 44, 46, 47}},
        {15, {16, 17, 20, 22, 24, 25, 32, 33, 34, 35, 40, 43, 44, 46, 47}},
    };
    for (const auto& [count, positions] : kBits) {
      if (count != bits) continue;
      uint64_t mask = 0;
      for (const int position : positions) mask |= uint64_t{1} << position;
      return mask;
    }
    FAIL("no mask for " << bits << " bits in this test");
    return 0;
  }

  size_t Cut(std::span<const std::byte> data) const {
    if (data.size() <= options_.min_bytes) return data.size();
    const size_t end = std::min<size_t>(data.size(), options_.max_bytes);
    uint64_t hash = 0;
    for (size_t i = options_.min_bytes; i < end / 2 * 2; ++i) {
      hash = (hash << 1) + kGear[static_cast<uint8_t>(data[i])];
      const bool before_center = i < std::min<size_t>(end, options_.avg_bytes);
      if ((hash & (before_center ? strict_ : lax_)) == 0) return i;
    }
    return end;
  }

  ChunkerOptions options_;
  uint64_t strict_ = 0;
  uint64_t lax_ = 0;
};

}  // namespace

TEST_CASE("the Gear table is the MD5 of 64 equal bytes") {
  for (size_t value = 0; value < kGear.size(); ++value) {
    std::array<unsigned char, 64> input;
    input.fill(static_cast<unsigned char>(value));
    std::array<std::byte, 16> digest;
    REQUIRE(EVP_Digest(input.data(), input.size(), reinterpret_cast<unsigned char*>(digest.data()),
                       nullptr, EVP_md5(), nullptr) == 1);
    INFO("entry " << value);
    CHECK(kGear[value] == LoadBe64(digest.data()));
  }
}

TEST_CASE("FastCDC cuts where the slow reference does") {
  const uint64_t seed = test::Seed();
  Random random(seed);
  for (const uint32_t avg : {2048u, 4096u, 8192u}) {
    for (const uint32_t level : {0u, 1u, 2u}) {
      for (const uint32_t min_part : {2u, 4u, 8u}) {
        for (const uint32_t max_part : {2u, 4u, 8u}) {
          const ChunkerOptions options{.algorithm = ChunkAlgorithm::kFastCdc2020,
                                       .min_bytes = avg / min_part,
                                       .avg_bytes = avg,
                                       .max_bytes = avg * max_part,
                                       .normalization = level};
          const std::vector<std::byte> data =
              RandomBytes(random.Next64(), 200000 + random.Uniform(5000));
          INFO("avg " << avg << " level " << level << " min 1/" << min_part << " max " << max_part);
          CHECK(SplitAll(options, data) == SlowFastCdc(options).Split(data));
        }
      }
    }
  }
}
}  // namespace strata::dedup
