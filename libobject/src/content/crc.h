// SPDX-License-Identifier: Apache-2.0
//
// The CRCs that S3 knows, and how to join those of two byte strings into that of both.
// All are reflected, start from all ones and end with an inversion; a value is carried in an
// integer of 64 bits, the 32-bit ones in its low half. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "strata/object/checksum.h"

namespace strata::object {

bool IsCrc(ChecksumAlgorithm algorithm);

// 4 or 8. REQUIRES: IsCrc(algorithm).
size_t CrcBytes(ChecksumAlgorithm algorithm);

// The CRC of A followed by `data`, where `crc` is that of A (0: of nothing).
uint64_t ExtendCrc(ChecksumAlgorithm algorithm, uint64_t crc, std::span<const std::byte> data);

// The CRC of A followed by B, from those of A and B and B's length. In O(log b_bytes).
uint64_t CombineCrc(ChecksumAlgorithm algorithm, uint64_t a, uint64_t b, uint64_t b_bytes);

}  // namespace strata::object
