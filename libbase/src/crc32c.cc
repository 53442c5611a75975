// SPDX-License-Identifier: Apache-2.0
#include "strata/base/crc32c.h"

#include <array>

#include "crc32c_kernels.h"
#include "crc32c_polynomial.h"

namespace strata {
namespace {

using Kernels = std::array<NamedCrc32cKernel, 4>;

Kernels FindKernels() {
  Kernels kernels{};
  size_t count = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool three_way = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
  const bool folding = three_way && __builtin_cpu_supports("avx512f") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("vpclmulqdq");
  if (folding) kernels[count++] = {"folding", &Crc32cFolding};
  if (three_way) kernels[count++] = {"three-way", &Crc32cThreeWay};
#endif
  kernels[count] = {"portable", &Crc32cPortable};
  return kernels;
}

}  // namespace

const NamedCrc32cKernel* SupportedCrc32cKernels() {
  static const Kernels kernels = FindKernels();
  return kernels.data();
}

uint32_t Crc32c(std::span<const std::byte> data) { return ExtendCrc32c(0, data); }

uint32_t ExtendCrc32c(uint32_t crc, std::span<const std::byte> data) {
  static const Crc32cKernel kernel = SupportedCrc32cKernels()->kernel;
  return ~kernel(~crc, reinterpret_cast<const uint8_t*>(data.data()), data.size());
}

// Appending B multiplies what A left in the register by x for each bit of B. The inversions cancel.
uint32_t CombineCrc32c(uint32_t first, uint32_t second, uint64_t second_bytes) {
  // The polynomial is x + 1 times a primitive one of degree 31: x^(2^31 - 1) is 1, and exponents
  // count modulo that. No length overflows.
  constexpr uint64_t kOrder = 0x7FFFFFFFu;
  static_assert(Crc32cPowerOfX(kOrder) == Crc32cPowerOfX(0));
  const uint64_t bits = (second_bytes % kOrder) * 8 % kOrder;
  return Crc32cMultiply(first, Crc32cPowerOfX(bits)) ^ second;
}

}  // namespace strata
