// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "galois.h"
#include "kernels.h"

namespace strata::ec {

void ExpandNibbles(uint8_t coefficient, uint8_t* table) {
  for (int i = 0; i < 16; ++i) {
    table[i] = GaloisMultiply(coefficient, static_cast<uint8_t>(i));
    table[16 + i] = GaloisMultiply(coefficient, static_cast<uint8_t>(i << 4));
  }
}

void ExpandAffine(uint8_t coefficient, uint8_t* table) {
  for (int i = 0; i < 8; ++i) table[i] = 0;
  // Bit i of the product is the parity of (byte 7 - i of the table AND the operand); operand bit j
  // contributes coefficient * 2^j. Intel's Instruction Set Reference, GF2P8AFFINEQB.
  for (int j = 0; j < 8; ++j) {
    const uint8_t product = GaloisMultiply(coefficient, static_cast<uint8_t>(1 << j));
    for (int i = 0; i < 8; ++i) {
      if ((product >> i & 1) != 0) table[7 - i] |= static_cast<uint8_t>(1 << j);
    }
  }
}

}  // namespace strata::ec
