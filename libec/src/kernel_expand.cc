// SPDX-License-Identifier: Apache-2.0
//
// The tables of all 256 coefficients are made when this file is compiled: an update of a few KiB
// would otherwise spend its time on them.
#include <array>
#include <cstdint>
#include <cstring>

#include "galois.h"
#include "kernels.h"

namespace strata::ec {
namespace {

constexpr std::array<std::array<uint8_t, 32>, 256> MakeNibbles() {
  std::array<std::array<uint8_t, 32>, 256> tables{};
  for (unsigned coefficient = 0; coefficient < 256; ++coefficient) {
    for (unsigned i = 0; i < 16; ++i) {
      const auto factor = static_cast<uint8_t>(coefficient);
      tables[coefficient][i] = GaloisMultiply(factor, static_cast<uint8_t>(i));
      tables[coefficient][16 + i] = GaloisMultiply(factor, static_cast<uint8_t>(i << 4));
    }
  }
  return tables;
}

// Bit i of a product is the parity of (byte 7 - i of the table AND the operand); operand bit j
// contributes coefficient * 2^j. Intel's Instruction Set Reference, GF2P8AFFINEQB.
constexpr std::array<std::array<uint8_t, 8>, 256> MakeAffine() {
  std::array<std::array<uint8_t, 8>, 256> tables{};
  for (unsigned coefficient = 0; coefficient < 256; ++coefficient) {
    for (unsigned j = 0; j < 8; ++j) {
      const unsigned product =
          GaloisMultiply(static_cast<uint8_t>(coefficient), static_cast<uint8_t>(1u << j));
      for (unsigned i = 0; i < 8; ++i) {
        tables[coefficient][7 - i] |= static_cast<uint8_t>(((product >> i) & 1) << j);
      }
    }
  }
  return tables;
}

constexpr auto kNibbles = MakeNibbles();
constexpr auto kAffine = MakeAffine();

}  // namespace

void ExpandNibbles(uint8_t coefficient, uint8_t* table) {
  std::memcpy(table, kNibbles[coefficient].data(), kNibbles[coefficient].size());
}

void ExpandAffine(uint8_t coefficient, uint8_t* table) {
  std::memcpy(table, kAffine[coefficient].data(), kAffine[coefficient].size());
}

}  // namespace strata::ec
