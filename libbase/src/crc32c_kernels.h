// SPDX-License-Identifier: Apache-2.0
//
// The loops behind crc32c.h, one per kind of CPU. They take and return the CRC register itself,
// which is neither inverted before nor after. Files that are compiled for newer CPUs include
// nothing but this, crc32c_polynomial.h and intrinsics, so that no inline function of the standard
// library can be compiled for that CPU and then used elsewhere.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace strata {

using Crc32cKernel = uint32_t (*)(uint32_t crc, const uint8_t* data, size_t size_bytes);

uint32_t Crc32cPortable(uint32_t crc, const uint8_t* data, size_t size_bytes);

#if defined(__x86_64__)
// SSE4.2 and PCLMULQDQ: three CRC instructions at a time.
uint32_t Crc32cThreeWay(uint32_t crc, const uint8_t* data, size_t size_bytes);

// AVX-512F, AVX-512VL, VPCLMULQDQ, and the above: 256 bytes folded at a time.
uint32_t Crc32cFolding(uint32_t crc, const uint8_t* data, size_t size_bytes);
#endif

struct NamedCrc32cKernel {
  const char* name;
  Crc32cKernel kernel;
};

// Those that this CPU can run, the fastest first; ends with a null kernel.
const NamedCrc32cKernel* SupportedCrc32cKernels();

}  // namespace strata
