// SPDX-License-Identifier: Apache-2.0
//
// Polynomials over GF(2) modulo that of CRC-32C, bit-reflected: bit 31 is the coefficient of x^0.
// Constants are computed from their definition rather than written down.
#pragma once

#include <stdint.h>

namespace strata {

inline constexpr uint32_t kCrc32cPolynomial = 0x82F63B78;  // Without x^32.

// a * x
constexpr uint32_t Crc32cTimesX(uint32_t a) {
  return (a >> 1) ^ ((a & 1) != 0 ? kCrc32cPolynomial : 0);
}

// a * b
constexpr uint32_t Crc32cMultiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = Crc32cTimesX(b);
  }
  return product;
}

// x^exponent
constexpr uint32_t Crc32cPowerOfX(uint64_t exponent) {
  uint32_t result = 0x80000000u;
  uint32_t square = 0x40000000u;
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = Crc32cMultiply(result, square);
    square = Crc32cMultiply(square, square);
  }
  return result;
}

}  // namespace strata
