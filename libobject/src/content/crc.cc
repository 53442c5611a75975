// SPDX-License-Identifier: Apache-2.0
#include "content/crc.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <array>

#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::object {
namespace {

constexpr uint64_t kCrc32Polynomial = 0xEDB88320;              // ISO 3309, reflected.
constexpr uint64_t kCrc32cPolynomial = 0x82F63B78;             // RFC 3720, reflected.
constexpr uint64_t kCrc64NvmePolynomial = 0x9A6C9329AC4BC9B5;  // NVM Command Set 1.0, reflected.

uint64_t PolynomialOf(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return kCrc32Polynomial;
    case ChecksumAlgorithm::kCrc32c:
      return kCrc32cPolynomial;
    case ChecksumAlgorithm::kCrc64Nvme:
      return kCrc64NvmePolynomial;
    default:
      break;
  }
  STRATA_CHECK(false, "not a CRC");
}

// tables[k][b]: what byte b contributes when k more zero bytes follow it.
using SliceTables = std::array<std::array<uint64_t, 256>, 8>;

constexpr SliceTables MakeSliceTables(uint64_t polynomial) {
  SliceTables tables{};
  for (uint64_t byte = 0; byte < 256; ++byte) {
    uint64_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? polynomial : 0);
    tables[0][byte] = value;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint64_t previous = tables[k - 1][byte];
      tables[k][byte] = (previous >> 8) ^ tables[0][previous & 0xFF];
    }
  }
  return tables;
}

constexpr SliceTables kCrc64NvmeTables = MakeSliceTables(kCrc64NvmePolynomial);

uint64_t ExtendCrc64Nvme(uint64_t crc, std::span<const std::byte> data) {
  const SliceTables& tables = kCrc64NvmeTables;
  uint64_t state = ~crc;
  while (data.size() >= 8) {
    state ^= LoadLe64(data.data());
    uint64_t next = 0;
    for (size_t i = 0; i < 8; ++i) next ^= tables[7 - i][(state >> (8 * i)) & 0xFF];
    state = next;
    data = data.subspan(8);
  }
  for (const std::byte byte : data) {
    state = (state >> 8) ^ tables[0][(state ^ static_cast<uint64_t>(byte)) & 0xFF];
  }
  return ~state;
}

uint64_t ExtendCrc32(uint64_t crc, std::span<const std::byte> data) {
  return crc32_gzip_refl(static_cast<uint32_t>(crc),
                         reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

// A linear map on CRC states: column i is the image of bit i.
using BitMatrix = std::array<uint64_t, 64>;

uint64_t Apply(const BitMatrix& matrix, uint64_t vector) {
  uint64_t image = 0;
  for (size_t i = 0; vector != 0; ++i, vector >>= 1) {
    if (vector & 1) image ^= matrix[i];
  }
  return image;
}

BitMatrix Square(const BitMatrix& matrix) {
  BitMatrix square;
  for (size_t i = 0; i < 64; ++i) square[i] = Apply(matrix, matrix[i]);
  return square;
}

// The step of a reflected CRC over one zero bit.
BitMatrix OneZeroBit(uint64_t polynomial) {
  BitMatrix matrix;
  matrix[0] = polynomial;
  for (size_t i = 1; i < 64; ++i) matrix[i] = uint64_t{1} << (i - 1);
  return matrix;
}

}  // namespace

bool IsCrc(ChecksumAlgorithm algorithm) {
  return algorithm == ChecksumAlgorithm::kCrc32 || algorithm == ChecksumAlgorithm::kCrc32c ||
         algorithm == ChecksumAlgorithm::kCrc64Nvme;
}

size_t CrcBytes(ChecksumAlgorithm algorithm) {
  STRATA_CHECK(IsCrc(algorithm), "not a CRC");
  return algorithm == ChecksumAlgorithm::kCrc64Nvme ? 8 : 4;
}

uint64_t ExtendCrc(ChecksumAlgorithm algorithm, uint64_t crc, std::span<const std::byte> data) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return ExtendCrc32(crc, data);
    case ChecksumAlgorithm::kCrc32c:
      return ExtendCrc32c(static_cast<uint32_t>(crc), data);
    case ChecksumAlgorithm::kCrc64Nvme:
      return ExtendCrc64Nvme(crc, data);
    default:
      break;
  }
  STRATA_CHECK(false, "not a CRC");
}

uint64_t CombineCrc(ChecksumAlgorithm algorithm, uint64_t a, uint64_t b, uint64_t b_bytes) {
  BitMatrix zeros = OneZeroBit(PolynomialOf(algorithm));
  for (int i = 0; i < 3; ++i) zeros = Square(zeros);  // One zero byte.
  for (uint64_t left = b_bytes; left != 0; left >>= 1) {
    if (left & 1) a = Apply(zeros, a);
    zeros = Square(zeros);
  }
  return a ^ b;
}

}  // namespace strata::object
