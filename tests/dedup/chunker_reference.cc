// SPDX-License-Identifier: Apache-2.0
#include "dedup/chunker_reference.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "chunking/gear_table.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"

namespace strata::dedup::reference {
namespace {

int BitsOf(uint32_t power_of_two) {
  int bits = 0;
  while ((uint64_t{1} << bits) < power_of_two) ++bits;
  return bits;
}

uint8_t ByteAt(std::span<const std::byte> data, size_t at) {
  return static_cast<uint8_t>(data[at]);
}

// The numbers drawn from a key: SHA-256(key, label, counter).
class Draw {
 public:
  Draw(const ChunkerKey& key, std::string_view label) : key_(key), label_(label) {}

  uint64_t Next() {
    if (drawn_.empty()) {
      std::vector<std::byte> input(key_.begin(), key_.end());
      for (const char c : label_) input.push_back(static_cast<std::byte>(c));
      for (int i = 0; i < 8; ++i) input.push_back(static_cast<std::byte>(counter_ >> (8 * i)));
      ++counter_;
      drawn_.resize(32);
      STRATA_CHECK(
          EVP_Digest(input.data(), input.size(), reinterpret_cast<unsigned char*>(drawn_.data()),
                     nullptr, EVP_sha256(), nullptr) == 1,
          "SHA-256");
    }
    const uint64_t value = LoadLe64(drawn_.data());
    drawn_.erase(drawn_.begin(), drawn_.begin() + 8);
    return value;
  }

 private:
  const ChunkerKey key_;
  const std::string label_;
  uint64_t counter_ = 0;
  std::vector<std::byte> drawn_;
};

std::array<uint64_t, 256> Gear(const ChunkerOptions& options) {
  if (!options.key.has_value()) return kGear;
  std::array<uint64_t, 256> table;
  Draw draw(*options.key, "strata gear");
  for (uint64_t& entry : table) entry = draw.Next();
  return table;
}

// The published masks, spelled as sets of bits.
uint64_t FastCdcMask(int bits) {
  static const std::vector<std::pair<int, std::vector<int>>> kBits = {
      {5, {4, 8, 14, 23, 24}},
      {6, {4, 8, 12, 13, 23, 24}},
      {7, {8, 12, 14, 16, 17, 27, 28}},
      {8, {8, 9, 12, 14, 16, 17, 35, 36}},
      {9, {12, 13, 16, 18, 20, 21, 36, 39, 40}},
      {10, {16, 17, 20, 22, 24, 25, 40, 43, 44, 46}},
      {11, {16, 17, 20, 22, 24, 25, 40, 43, 44, 46, 47}},
      {12, {16, 17, 20, 22, 24, 25, 32, 40, 43, 44, 46, 47}},
      {13, {16, 17, 20, 22, 24, 25, 32, 33, 40, 43, 44, 46, 47}},
      {14, {16, 17, 20, 22, 24, 25, 28, 32, 33, 40, 43, 44, 46, 47}},
      {15, {16, 17, 20, 22, 24, 25, 32, 33, 34, 35, 40, 43, 44, 46, 47}},
      {16, {12, 13, 14, 16, 17, 20, 22, 24, 25, 32, 33, 40, 43, 44, 46, 47}},
      {17, {12, 13, 14, 16, 17, 20, 22, 24, 25, 32, 33, 34, 40, 43, 44, 46, 47}},
  };
  for (const auto& [count, positions] : kBits) {
    if (count != bits) continue;
    uint64_t mask = 0;
    for (const int position : positions) mask |= uint64_t{1} << position;
    return mask;
  }
  STRATA_CHECK(false, "no mask for this many bits in the reference");
  return 0;
}

size_t FastCdcCut(const ChunkerOptions& options, const std::array<uint64_t, 256>& gear,
                  std::span<const std::byte> data) {
  const bool pairs = options.algorithm == ChunkAlgorithm::kFastCdc2020;
  const auto even = [pairs](size_t position) { return pairs ? position / 2 * 2 : position; };
  const int bits = BitsOf(options.avg_bytes);
  const int level = static_cast<int>(options.normalization);
  const uint64_t strict = FastCdcMask(bits + level);
  const uint64_t lax = FastCdcMask(bits - level);
  uint64_t hash = 0;
  for (size_t i = even(options.min_bytes); i < even(data.size()); ++i) {
    hash = (hash << 1) + gear[ByteAt(data, i)];
    if ((hash & (i < options.avg_bytes ? strict : lax)) == 0) return i;
  }
  return data.size();
}

size_t GearCut(const ChunkerOptions& options, const std::array<uint64_t, 256>& gear,
               std::span<const std::byte> data) {
  for (size_t i = options.min_bytes - 1; i < data.size(); ++i) {
    uint64_t hash = 0;
    for (size_t k = 0; k < 64; ++k) hash += gear[ByteAt(data, i - k)] << k;
    if (hash >> (64 - BitsOf(options.avg_bytes)) == 0) return i + 1;
  }
  return data.size();
}

// Remainder of a polynomial that comes bit by bit, highest first.
class Remainder {
 public:
  explicit Remainder(uint64_t polynomial) : polynomial_(polynomial) {
    while (degree_ < 63 && polynomial >> (degree_ + 1) != 0) ++degree_;
  }
  void Bit(bool bit) {
    const bool carries = (value_ >> (degree_ - 1) & 1) != 0;
    value_ = (value_ << 1 | (bit ? 1 : 0)) ^ (carries ? polynomial_ : 0);
  }
  uint64_t value() const { return value_; }
  int degree() const { return degree_; }

 private:
  const uint64_t polynomial_;
  int degree_ = 0;
  uint64_t value_ = 0;
};

// Ben-Or's way, unlike the library's: x^(2^i) - x has no factor in common with it for i up to half
// of the degree.
bool IsIrreducible(uint64_t polynomial) {
  const int degree = Remainder(polynomial).degree();
  const auto modulo = [](uint64_t value, uint64_t by) {
    Remainder remainder(by);
    for (int bit = 63; bit >= 0; --bit) remainder.Bit((value >> bit & 1) != 0);
    return remainder.value();
  };
  uint64_t power = 2;
  for (int i = 1; i <= degree / 2; ++i) {
    Remainder square(polynomial);
    for (int bit = 63; bit >= 0; --bit) {
      square.Bit(false);
      square.Bit((power >> bit & 1) != 0);
    }
    power = square.value();
    uint64_t a = polynomial;
    uint64_t b = power ^ 2;
    while (b > 1) {
      const uint64_t rest = modulo(a, b);
      a = b;
      b = rest;
    }
    if (b == 0) return false;  // a is a factor of both.
  }
  return true;
}

uint64_t RabinPolynomial(const ChunkerOptions& options) {
  if (!options.key.has_value()) return 0xbfe6b8a5bf378d83;
  Draw draw(*options.key, "strata rabin");
  for (;;) {
    const uint64_t candidate = (draw.Next() & 0x1fffffffffffffff) | 0x2000000000000001;
    if (IsIrreducible(candidate)) return candidate;
  }
}

size_t RabinCut(const ChunkerOptions& options, uint64_t polynomial,
                std::span<const std::byte> data) {
  for (size_t i = options.min_bytes - 1; i < data.size(); ++i) {
    Remainder hash(polynomial);
    for (size_t k = 48; k-- > 0;) {
      for (int bit = 7; bit >= 0; --bit) hash.Bit((ByteAt(data, i - k) >> bit & 1) != 0);
    }
    if (hash.value() % options.avg_bytes == 0x78) return i + 1;
  }
  return data.size();
}

size_t AeCut(const ChunkerOptions& options, std::span<const std::byte> data) {
  const size_t window = uint64_t{options.avg_bytes} * 1000 / 1718;
  const size_t skip = options.min_bytes > window ? options.min_bytes - window : 0;
  // a before b, as eight bytes big-endian.
  const auto less_or_equal = [data](size_t a, size_t b) {
    return !std::lexicographical_compare(data.begin() + b, data.begin() + b + 8, data.begin() + a,
                                         data.begin() + a + 8);
  };
  size_t extremum = skip;
  for (size_t i = skip; i + 8 <= data.size(); ++i) {
    if (!less_or_equal(i, extremum)) extremum = i;
    if (i == extremum + window) return i + 1;
  }
  return data.size();
}

size_t RamCut(const ChunkerOptions& options, std::span<const std::byte> data) {
  const size_t window = std::max(options.min_bytes, options.avg_bytes - 256);
  if (window >= data.size()) return data.size();
  const std::byte greatest = *std::max_element(data.begin(), data.begin() + window);
  const auto found = std::find_if(data.begin() + window, data.end(),
                                  [greatest](std::byte byte) { return byte >= greatest; });
  return std::min<size_t>(found - data.begin() + 1, data.size());
}

size_t SeqCdcCut(const ChunkerOptions& options, std::span<const std::byte> data) {
  const int64_t skip = int64_t{options.avg_bytes - options.min_bytes} * 100 / 840 - 100;
  std::vector<bool> rises;  // Of the pairs that were looked at since the last skip.
  int falls = 0;
  for (size_t i = options.min_bytes - 1; i < data.size(); ++i) {
    rises.push_back(data[i - 1] < data[i]);
    if (rises.size() >= 5 && std::count(rises.end() - 5, rises.end(), true) == 5) return i + 1;
    if (data[i - 1] > data[i]) ++falls;
    if (falls == 50) {
      rises.clear();
      falls = 0;
      i += static_cast<size_t>(std::max<int64_t>(skip, 0));
    }
  }
  return data.size();
}

// LinCDC: the S-box and the matrices from their definitions.
unsigned FieldProduct(unsigned a, unsigned b) {
  unsigned product = 0;
  for (int i = 0; i < 8; ++i) product ^= (b >> i & 1) != 0 ? a << i : 0;
  for (int i = 14; i >= 8; --i) product ^= (product >> i & 1) != 0 ? 0x11bu << (i - 8) : 0;
  return product;
}

uint8_t SBox(uint8_t byte) {
  unsigned inverse = 0;
  for (unsigned candidate = 1; candidate < 256; ++candidate) {
    if (FieldProduct(candidate, byte) == 1) inverse = candidate;
  }
  unsigned result = 0;
  for (int i = 0; i < 8; ++i) {
    const auto bit = [inverse](int at) { return inverse >> (at % 8) & 1; };
    result |= (bit(i) ^ bit(i + 4) ^ bit(i + 5) ^ bit(i + 6) ^ bit(i + 7) ^ (0x63u >> i & 1)) << i;
  }
  return static_cast<uint8_t>(result);
}

using Matrix = std::array<uint8_t, 8>;  // Where each bit goes.

uint8_t Image(const Matrix& matrix, uint8_t byte) {
  uint8_t image = 0;
  for (int bit = 0; bit < 8; ++bit) image ^= (byte >> bit & 1) != 0 ? matrix[bit] : 0;
  return image;
}

// The least n > 0 for which the matrix' nth power is the identity, 0 if there is none up to 255.
int OrderOf(const Matrix& matrix) {
  Matrix power = matrix;
  for (int n = 1; n <= 255; ++n) {
    if (power == Matrix{1, 2, 4, 8, 16, 32, 64, 128}) return n;
    for (uint8_t& column : power) column = Image(matrix, column);
  }
  return 0;
}

struct LinHash {
  Matrix matrix{};
  uint8_t whitening = 0;
  std::array<uint8_t, 256> substitute{};

  explicit LinHash(const ChunkerOptions& options) {
    for (int bit = 0; bit < 8; ++bit) {
      matrix[bit] = static_cast<uint8_t>(FieldProduct(1u << bit, 3));
    }
    if (options.key.has_value()) {
      Draw draw(*options.key, "strata lincdc");
      whitening = static_cast<uint8_t>(draw.Next());
      do {
        const uint64_t drawn = draw.Next();
        for (int bit = 0; bit < 8; ++bit) matrix[bit] = static_cast<uint8_t>(drawn >> (8 * bit));
      } while (OrderOf(matrix) != 255);
    }
    static const std::array<uint8_t, 256> kSBox = [] {
      std::array<uint8_t, 256> table;
      for (unsigned byte = 0; byte < 256; ++byte) table[byte] = SBox(static_cast<uint8_t>(byte));
      return table;
    }();
    substitute = kSBox;
  }

  uint8_t At(std::span<const std::byte> data, size_t i) const {
    uint8_t hash = 0;
    for (size_t k = 16; k-- > 0;) {
      hash = Image(matrix, hash) ^ substitute[ByteAt(data, i - k) ^ whitening];
    }
    return hash;
  }
};

size_t LinCdcCut(const ChunkerOptions& options, const LinHash& hash,
                 std::span<const std::byte> data) {
  const int bits = BitsOf(options.avg_bytes);
  const int level = static_cast<int>(options.normalization);
  for (size_t i = options.min_bytes - 1; i < data.size(); ++i) {
    const bool strict = i + 1 < options.avg_bytes * 7 / 8;
    const int judged = std::min(24, strict ? bits + level : bits - level);
    const uint32_t all = hash.At(data, i) | (0xffu & ~hash.At(data, i - 16)) << 8 |
                         uint32_t{hash.At(data, i - 32)} << 16;
    if ((all & ((1u << judged) - 1)) == 0) return i + 1;
  }
  return data.size();
}

}  // namespace

std::vector<uint32_t> Split(const ChunkerOptions& options, std::span<const std::byte> data) {
  std::optional<LinHash> hash;
  if (options.algorithm == ChunkAlgorithm::kLinCdc) hash.emplace(options);
  const uint64_t polynomial =
      options.algorithm == ChunkAlgorithm::kRabin ? RabinPolynomial(options) : 0;
  const auto gear = Gear(options);
  const auto cut = [&](std::span<const std::byte> window) -> size_t {
    if (options.algorithm == ChunkAlgorithm::kFixed) {
      return std::min<size_t>(options.avg_bytes, window.size());
    }
    window = window.first(std::min<size_t>(window.size(), options.max_bytes));
    if (window.size() <= options.min_bytes) return window.size();
    switch (options.algorithm) {
      case ChunkAlgorithm::kFixed:
        break;
      case ChunkAlgorithm::kFastCdc2020:
      case ChunkAlgorithm::kFastCdc2016:
        return FastCdcCut(options, gear, window);
      case ChunkAlgorithm::kGear:
        return GearCut(options, gear, window);
      case ChunkAlgorithm::kRabin:
        return RabinCut(options, polynomial, window);
      case ChunkAlgorithm::kAe:
        return AeCut(options, window);
      case ChunkAlgorithm::kRam:
        return RamCut(options, window);
      case ChunkAlgorithm::kSeqCdc:
        return SeqCdcCut(options, window);
      case ChunkAlgorithm::kLinCdc:
        return LinCdcCut(options, *hash, window);
    }
    STRATA_CHECK(false, "an algorithm without a reference");
    return 0;
  };
  std::vector<uint32_t> lengths;
  while (!data.empty()) {
    const size_t length = cut(data);
    lengths.push_back(static_cast<uint32_t>(length));
    data = data.subspan(length);
  }
  return lengths;
}

}  // namespace strata::dedup::reference
