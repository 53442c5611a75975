// SPDX-License-Identifier: Apache-2.0
//
// LinCDC: a hash of the last 16 bytes that is linear over GF(2) once each byte went through the AES
// S-box, so that it can be built for many positions at once by doubling: from 1 byte to 2, 4,
// 8, 16. docs/chunkers.md defines it; every variant here cuts at the same places.
#pragma once

#include <array>
#include <memory>

#include "strata/dedup/chunker.h"

namespace strata::dedup {

// A linear map of bytes: columns[i] is where bit i goes.
struct ByteMatrix {
  std::array<uint8_t, 8> columns{};

  uint8_t operator*(uint8_t byte) const;
  ByteMatrix operator*(const ByteMatrix& other) const;
  friend bool operator==(const ByteMatrix&, const ByteMatrix&) = default;
};

// H[i] = XOR over k = 0..15 of M^k * S(data[i-k] ^ whitening), S being the AES S-box.
class LinCdcHash {
 public:
  // M^(2^step) as two tables: the images of the low and of the high half of a byte.
  struct HalfTables {
    alignas(16) std::array<uint8_t, 16> low;
    alignas(16) std::array<uint8_t, 16> high;
  };
  // The same as operands of GF2P8AFFINEQB and GF2P8AFFINEINVQB.
  struct AffineOperands {
    std::array<uint64_t, 4> powers;      // M^(2^step).
    std::array<uint64_t, 4> substitute;  // M^k times the linear part of S, k = 0..3.
    uint8_t offset;                      // What the constant of S comes to in those four.
  };

  explicit LinCdcHash(const std::optional<ChunkerKey>& key);

  uint8_t whitening() const { return whitening_; }
  const std::array<HalfTables, 4>& half_tables() const { return half_tables_; }
  const AffineOperands& affine_operands() const { return affine_operands_; }
  static constexpr size_t kWindow = 16;
  static constexpr size_t kSpreadZeros = 16;
  // Per value of a byte: `kSpreadZeros` zeros, M^k * S(byte ^ whitening) for k = 0..15, and
  // zeros to the end of the cache line.
  const std::byte* spread(std::byte byte) const {
    return spread_[static_cast<uint8_t>(byte)].data();
  }

  // H[i]. REQUIRES: i >= 15.
  uint8_t At(const std::byte* data, size_t i) const;

 private:
  void PrepareVectors(const ByteMatrix& matrix);

  uint8_t whitening_ = 0;
  std::array<HalfTables, 4> half_tables_{};
  AffineOperands affine_operands_{};
  alignas(64) std::array<std::array<std::byte, 64>, 256> spread_{};
};

// A position i fits when (H[i] & first), (~H[i-16] & second) and (H[i-32] & third) are all zero.
struct LinCdcCriterion {
  uint8_t first = 0;
  uint8_t second = 0;
  uint8_t third = 0;

  // One that a random position fits with probability 2^-bits. REQUIRES: bits <= 24.
  static LinCdcCriterion OfBits(int bits);
  friend bool operator==(const LinCdcCriterion&, const LinCdcCriterion&) = default;
};

// The first position in [begin, end) that fits; `end` when none does. REQUIRES: 47 <= begin <= end
// <= data.size(). What lies behind `end` may be read, not judged.
using LinCdcFind = size_t (*)(const LinCdcHash& hash, LinCdcCriterion criterion,
                              std::span<const std::byte> data, size_t begin, size_t end);

enum class LinCdcVariant { kPortable, kAvx2, kAvx512 };

inline constexpr std::array<LinCdcVariant, 3> kLinCdcVariants = {
    LinCdcVariant::kPortable, LinCdcVariant::kAvx2, LinCdcVariant::kAvx512};

// Whether this CPU runs it: kAvx2 wants AVX2 and AES, kAvx512 wants AVX-512BW and GFNI.
bool HasLinCdcVariant(LinCdcVariant variant);

// The fastest one that this CPU runs.
LinCdcVariant BestLinCdcVariant();

// nullptr: HasLinCdcVariant() is false.
LinCdcFind FindLinCdcVariant(LinCdcVariant variant);

// For the file of each variant alone.
size_t FindLinCdcPortable(const LinCdcHash& hash, LinCdcCriterion criterion,
                          std::span<const std::byte> data, size_t begin, size_t end);

// REQUIRES: options were checked by CreateChunker(); HasLinCdcVariant(variant).
std::unique_ptr<const Chunker> CreateLinCdcChunker(const ChunkerOptions& options,
                                                   LinCdcVariant variant = BestLinCdcVariant());

}  // namespace strata::dedup
