// SPDX-License-Identifier: Apache-2.0
#include "chunking/rabin.h"

#include <array>
#include <bit>

#include "chunking/first_cut.h"
#include "chunking/key.h"

namespace strata::dedup {
namespace {

constexpr uint64_t kPolynomial = 0xbfe6b8a5bf378d83;
constexpr uint64_t kBreak = 0x78;
constexpr size_t kWindow = 48;
// A prime: a polynomial of this degree is irreducible when x^(2^61) = x modulo it, unless it is a
// multiple of x or x + 1.
constexpr int kKeyedDegree = 61;

int DegreeOf(uint64_t polynomial) { return 63 - std::countl_zero(polynomial); }

// value * x mod polynomial. REQUIRES: value is reduced.
uint64_t TimesX(uint64_t value, uint64_t polynomial) {
  const bool carries = (value >> (DegreeOf(polynomial) - 1) & 1) != 0;
  return (value << 1) ^ (carries ? polynomial : 0);
}

uint64_t Times(uint64_t a, uint64_t b, uint64_t polynomial) {
  uint64_t product = 0;
  for (int bit = DegreeOf(polynomial) - 1; bit >= 0; --bit) {
    product = TimesX(product, polynomial);
    if ((b >> bit & 1) != 0) product ^= a;
  }
  return product;
}

bool IsIrreducible(uint64_t polynomial) {
  if ((polynomial & 1) == 0 || std::popcount(polynomial) % 2 == 0) return false;
  uint64_t power = 2;
  for (int i = 0; i < kKeyedDegree; ++i) power = Times(power, power, polynomial);
  return power == 2;
}

class RabinChunker final : public FirstCutChunker {
 public:
  explicit RabinChunker(const ChunkerOptions& options)
      : FirstCutChunker(options), mask_(options.avg_bytes - 1) {
    const uint64_t polynomial = RabinPolynomial(options.key);
    top_shift_ = DegreeOf(polynomial) - 8;
    for (uint64_t byte = 0; byte < 256; ++byte) {
      // byte * x^degree, and what of it the shift by eight leaves above the degree.
      uint64_t reduced = byte << top_shift_;
      for (int i = 0; i < 8; ++i) reduced = TimesX(reduced, polynomial);
      append_[byte] = reduced;
      uint64_t oldest = byte;
      for (size_t i = 0; i < 8 * (kWindow - 1); ++i) oldest = TimesX(oldest, polynomial);
      remove_[byte] = oldest;
    }
    keep_ = (uint64_t{1} << top_shift_) - 1;
  }

 private:
  size_t FirstCut(std::span<const std::byte> data) const override {
    uint64_t hash = 0;
    size_t at = options().min_bytes - kWindow;
    for (; at < options().min_bytes - 1; ++at) hash = Append(hash, data[at]);
    for (; at < data.size(); ++at) {
      hash = Append(hash, data[at]);
      if ((hash & mask_) == (kBreak & mask_)) return at + 1;
      hash ^= remove_[static_cast<uint8_t>(data[at + 1 - kWindow])];
    }
    return data.size();
  }

  // hash * x^8 + byte.
  uint64_t Append(uint64_t hash, std::byte byte) const {
    return ((hash & keep_) << 8 | static_cast<uint8_t>(byte)) ^ append_[hash >> top_shift_];
  }

  const uint64_t mask_;
  uint64_t keep_ = 0;
  int top_shift_ = 0;
  std::array<uint64_t, 256> append_{};  // What the eight bits above the others come to.
  std::array<uint64_t, 256> remove_{};  // byte * x^(8 * 47): the oldest byte of a window.
};

}  // namespace

uint64_t RabinPolynomial(const std::optional<ChunkerKey>& key) {
  if (!key.has_value()) return kPolynomial;
  constexpr uint64_t kTop = uint64_t{1} << kKeyedDegree;
  KeyStream stream(*key, "strata rabin");
  uint64_t polynomial = 0;
  do {
    polynomial = (stream.Next64() & (kTop - 1)) | kTop | 1;
  } while (!IsIrreducible(polynomial));
  return polynomial;
}

std::unique_ptr<const Chunker> CreateRabinChunker(const ChunkerOptions& options) {
  return std::make_unique<const RabinChunker>(options);
}

}  // namespace strata::dedup
