// SPDX-License-Identifier: Apache-2.0
//
// Eight bytes at a time, from eight tables ("slicing by 8", Kounavis and Berry, 2005).
#include <array>
#include <cstddef>

#include "crc32c_kernels.h"
#include "crc32c_polynomial.h"
#include "strata/base/endian.h"

namespace strata {
namespace {

using Tables = std::array<std::array<uint32_t, 256>, 8>;

// tables[n][b]: what byte b contributes when n more bytes follow it.
constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = Crc32cTimesX(crc);
    tables[0][byte] = crc;
  }
  for (size_t n = 1; n < tables.size(); ++n) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[n - 1][byte];
      tables[n][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

uint32_t Crc32cPortable(uint32_t crc, const uint8_t* data, size_t size_bytes) {
  for (; size_bytes >= 8; data += 8, size_bytes -= 8) {
    const uint64_t word = LoadLe64(reinterpret_cast<const std::byte*>(data)) ^ crc;
    crc = 0;
    for (size_t i = 0; i < 8; ++i) crc ^= kTables[7 - i][(word >> (8 * i)) & 0xFF];
  }
  for (; size_bytes > 0; ++data, --size_bytes) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ *data) & 0xFF];
  }
  return crc;
}

}  // namespace strata
