// SPDX-License-Identifier: Apache-2.0
#include "chunking/lincdc.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "chunking/first_cut.h"
#include "chunking/key.h"
#include "strata/base/check.h"

namespace strata::dedup {
namespace {

constexpr int kMaxBits = 24;
constexpr uint8_t kSubstitutionOffset = 0x63;

// Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, the field of AES.
constexpr uint8_t Times(uint8_t a, uint8_t b) {
  unsigned product = 0;
  for (int bit = 7; bit >= 0; --bit) {
    product <<= 1;
    if ((product & 0x100) != 0) product ^= 0x11b;
    if (((b >> bit) & 1) != 0) product ^= a;
  }
  return static_cast<uint8_t>(product);
}

// FIPS 197, section 5.1.1: the inverse in the field, then an affine map.
constexpr uint8_t AesSubstitute(uint8_t byte) {
  uint8_t inverse = 1;
  for (int i = 0; i < 254; ++i) inverse = Times(inverse, byte);
  uint8_t result = kSubstitutionOffset;
  for (int turn = 0; turn < 5; ++turn) result ^= std::rotl(inverse, turn);
  return result;
}

// Multiplication by 3, a generator of the field.
ByteMatrix UnkeyedMatrix() {
  ByteMatrix matrix;
  for (size_t bit = 0; bit < 8; ++bit) {
    matrix.columns[bit] = Times(static_cast<uint8_t>(1u << bit), 3);
  }
  return matrix;
}

ByteMatrix Identity() {
  ByteMatrix matrix;
  for (size_t bit = 0; bit < 8; ++bit) matrix.columns[bit] = static_cast<uint8_t>(1u << bit);
  return matrix;
}

ByteMatrix Power(const ByteMatrix& matrix, int exponent) {
  ByteMatrix power = Identity();
  for (int i = 0; i < exponent; ++i) power = matrix * power;
  return power;
}

// Whether the powers of `matrix` are as many as they can be, like those of a generator of GF(2^8).
bool HasOrder255(const ByteMatrix& matrix) {
  return Power(matrix, 255) == Identity() && Power(matrix, 85) != Identity() &&
         Power(matrix, 51) != Identity() && Power(matrix, 15) != Identity();
}

// S is an affine map of the inverse: this is its linear part.
ByteMatrix SubstitutionMatrix() {
  ByteMatrix matrix;
  for (size_t bit = 0; bit < 8; ++bit) {
    const uint8_t one = static_cast<uint8_t>(1u << bit);
    for (int turn = 0; turn < 5; ++turn) matrix.columns[bit] ^= std::rotl(one, turn);
  }
  return matrix;
}

// As GF2P8AFFINEQB wants it: byte 7-r says which bits of the input make bit r of the output.
uint64_t AffineOperand(const ByteMatrix& matrix) {
  uint64_t operand = 0;
  for (size_t row = 0; row < 8; ++row) {
    for (size_t bit = 0; bit < 8; ++bit) {
      const uint64_t one = (matrix.columns[bit] >> row) & 1;
      operand |= one << (8 * (7 - row) + bit);
    }
  }
  return operand;
}

// A vector of the compiler's, for whatever the CPU has.
using Bytes16 = uint8_t __attribute__((vector_size(16)));

Bytes16 LoadBytes16(const std::byte* from) {
  Bytes16 bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return bytes;
}

bool AnyZero(Bytes16 bytes) {
  uint64_t halves[2];
  const auto zeros = bytes == Bytes16{};
  std::memcpy(halves, &zeros, sizeof(halves));
  return (halves[0] | halves[1]) != 0;
}

// Walks over positions sixteen at a time.
class SixteenPositions {
 public:
  static constexpr size_t kStep = 16;

  SixteenPositions(const LinCdcHash& hash, LinCdcCriterion criterion)
      : hash_(hash), first_(Bytes16{} + criterion.first), second_(Bytes16{} + criterion.second) {}

  // Takes the next sixteen bytes. Zeros in the result are positions that fit, but for
  // criterion.third.
  Bytes16 Step(const std::byte* bytes) {
    Bytes16 here{};
    Bytes16 next{};
#pragma GCC unroll 16
    for (size_t j = 0; j < kStep; ++j) {
      const std::byte* spread = hash_.spread(bytes[j]);
      here ^= LoadBytes16(spread + LinCdcHash::kSpreadZeros - j);
      next ^= LoadBytes16(spread + LinCdcHash::kSpreadZeros + kStep - j);
    }
    here ^= next_;  // Last, so that no step waits for the one before.
    const Bytes16 misses = (here & first_) | (~before_ & second_);
    next_ = next;
    before_ = here;
    return misses;
  }

 private:
  const LinCdcHash& hash_;
  const Bytes16 first_;
  const Bytes16 second_;
  Bytes16 next_{};  // Of the hashes of the coming positions, what is known already.
  Bytes16 before_{};
};

class LinCdcChunker final : public FirstCutChunker {
 public:
  LinCdcChunker(const ChunkerOptions& options, LinCdcVariant variant)
      : FirstCutChunker(options), hash_(options.key), find_(FindLinCdcVariant(variant)) {
    STRATA_CHECK(find_ != nullptr, "this CPU runs the variant");
    const int bits = std::countr_zero(options.avg_bytes);
    const int level = static_cast<int>(options.normalization);
    strict_ = LinCdcCriterion::OfBits(std::min(bits + level, kMaxBits));
    lax_ = LinCdcCriterion::OfBits(std::min(bits - level, kMaxBits));
    // So that chunks of real data come out as long as those of FastCDC.
    center_ = std::max(options.min_bytes, options.avg_bytes - options.avg_bytes / 8) - 1;
  }

 private:
  size_t FirstCut(std::span<const std::byte> data) const override {
    const size_t center = std::min(center_, data.size());
    size_t at = find_(hash_, strict_, data, options().min_bytes - 1, center);
    if (at == center) at = find_(hash_, lax_, data, center, data.size());
    return std::min(at + 1, data.size());
  }

  const LinCdcHash hash_;
  const LinCdcFind find_;
  LinCdcCriterion strict_;
  LinCdcCriterion lax_;
  size_t center_ = 0;  // The first position that the lax criterion judges.
};

}  // namespace

uint8_t ByteMatrix::operator*(uint8_t byte) const {
  uint8_t result = 0;
  for (size_t bit = 0; bit < 8; ++bit) {
    if (((byte >> bit) & 1) != 0) result ^= columns[bit];
  }
  return result;
}

ByteMatrix ByteMatrix::operator*(const ByteMatrix& other) const {
  ByteMatrix product;
  for (size_t bit = 0; bit < 8; ++bit) product.columns[bit] = *this * other.columns[bit];
  return product;
}

LinCdcHash::LinCdcHash(const std::optional<ChunkerKey>& key) {
  ByteMatrix matrix = UnkeyedMatrix();
  if (key.has_value()) {
    KeyStream stream(*key, "strata lincdc");
    whitening_ = static_cast<uint8_t>(stream.Next64());
    do {
      const uint64_t columns = stream.Next64();
      for (size_t bit = 0; bit < 8; ++bit) {
        matrix.columns[bit] = static_cast<uint8_t>(columns >> (8 * bit));
      }
    } while (!HasOrder255(matrix));
  }
  for (size_t byte = 0; byte < spread_.size(); ++byte) {
    uint8_t value = AesSubstitute(static_cast<uint8_t>(byte) ^ whitening_);
    for (size_t k = 0; k < LinCdcHash::kWindow; ++k) {
      spread_[byte][kSpreadZeros + k] = static_cast<std::byte>(value);
      value = matrix * value;
    }
  }
  PrepareVectors(matrix);
}

void LinCdcHash::PrepareVectors(const ByteMatrix& matrix) {
  ByteMatrix power = matrix;
  for (size_t step = 0; step < 4; ++step) {
    for (size_t half = 0; half < 16; ++half) {
      half_tables_[step].low[half] = power * static_cast<uint8_t>(half);
      half_tables_[step].high[half] = power * static_cast<uint8_t>(half << 4);
    }
    affine_operands_.powers[step] = AffineOperand(power);
    power = power * power;
  }
  ByteMatrix substitute = SubstitutionMatrix();
  uint8_t offset = kSubstitutionOffset;
  for (uint64_t& operand : affine_operands_.substitute) {
    operand = AffineOperand(substitute);
    affine_operands_.offset ^= offset;
    substitute = matrix * substitute;
    offset = matrix * offset;
  }
}

uint8_t LinCdcHash::At(const std::byte* data, size_t i) const {
  std::byte hash{0};
  for (size_t k = 0; k < LinCdcHash::kWindow; ++k) hash ^= spread(data[i - k])[kSpreadZeros + k];
  return static_cast<uint8_t>(hash);
}

LinCdcCriterion LinCdcCriterion::OfBits(int bits) {
  const auto mask = [bits](int before) {
    return static_cast<uint8_t>((1u << std::clamp(bits - before, 0, 8)) - 1);
  };
  return {.first = mask(0), .second = mask(8), .third = mask(16)};
}

size_t FindLinCdcPortable(const LinCdcHash& hash, LinCdcCriterion criterion,
                          std::span<const std::byte> data, size_t begin, size_t end) {
  constexpr size_t kStep = SixteenPositions::kStep;
  const auto first_that_fits = [&](size_t at, Bytes16 misses) {
    for (size_t i = at; i < std::min(at + kStep, end); ++i) {
      if (misses[i - at] != 0) continue;
      if (criterion.third == 0 || (hash.At(data.data(), i - 32) & criterion.third) == 0) return i;
    }
    return end;
  };
  SixteenPositions positions(hash, criterion);
  // Hashes are whole 15 bytes after the start, and judging needs that of 16 bytes before.
  for (size_t back = 2 * kStep; back > 0; back -= kStep) positions.Step(data.data() + begin - back);
  const size_t last = begin + (end - begin) / kStep * kStep;
  for (size_t at = begin; at < last; at += kStep) {
    const Bytes16 misses = positions.Step(data.data() + at);
    if (!AnyZero(misses)) [[likely]]
      continue;
    const size_t found = first_that_fits(at, misses);
    if (found < end) return found;
  }
  std::array<std::byte, kStep> rest{};
  std::copy(data.begin() + last, data.begin() + end, rest.begin());
  return first_that_fits(last, positions.Step(rest.data()));
}

std::unique_ptr<const Chunker> CreateLinCdcChunker(const ChunkerOptions& options,
                                                   LinCdcVariant variant) {
  return std::make_unique<LinCdcChunker>(options, variant);
}

}  // namespace strata::dedup
