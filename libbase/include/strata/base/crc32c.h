// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C (Castagnoli), as iSCSI, NVMe/TCP digests and S3 define it: reflected polynomial
// 0x82F63B78, initial value and final xor 0xFFFFFFFF. The CPU's carry-less multiplication or CRC
// instructions do it where there are any. Pure functions, safe from any thread.
// Source: RFC 3720, section 12.1 and appendix B.4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "strata/base/export.h"

namespace strata {

// The checksum of `data`. Of nothing: 0. Of the nine bytes "123456789": 0xE3069283.
STRATA_EXPORT uint32_t Crc32c(std::span<const std::byte> data);

// The checksum of A followed by `data`, where `crc` is Crc32c(A).
STRATA_EXPORT uint32_t ExtendCrc32c(uint32_t crc, std::span<const std::byte> data);

// The checksum of A followed by B, where `first` is Crc32c(A), `second` is Crc32c(B) and B has
// `second_bytes` bytes. Takes time in the logarithm of that.
STRATA_EXPORT uint32_t CombineCrc32c(uint32_t first, uint32_t second, uint64_t second_bytes);

}  // namespace strata
