// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1 (0x11d), whose generator is 2: the field
// of ISA-L and of RAID-6. One element at a time; kernels.h multiplies whole shards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace strata::ec {

inline constexpr unsigned kFieldPolynomial = 0x11d;

struct GaloisTables {
  std::array<uint8_t, 510> power;  // power[i] = 2^i; twice around, so that sums need no modulo.
  std::array<uint8_t, 256> log;    // log[power[i]] = i below 255; log[0] means nothing.
};

constexpr GaloisTables MakeGaloisTables() {
  GaloisTables tables{};
  unsigned value = 1;
  for (unsigned i = 0; i < 255; ++i) {
    tables.power[i] = static_cast<uint8_t>(value);
    tables.power[i + 255] = static_cast<uint8_t>(value);
    tables.log[value] = static_cast<uint8_t>(i);
    value <<= 1;
    if (value > 255) value ^= kFieldPolynomial;
  }
  return tables;
}

inline constexpr GaloisTables kGalois = MakeGaloisTables();

constexpr uint8_t GaloisMultiply(uint8_t a, uint8_t b) {
  if (a == 0 || b == 0) return 0;
  return kGalois.power[static_cast<size_t>(kGalois.log[a]) + kGalois.log[b]];
}

// REQUIRES: a != 0.
constexpr uint8_t GaloisInverse(uint8_t a) {
  return kGalois.power[255 - static_cast<size_t>(kGalois.log[a])];
}

}  // namespace strata::ec
