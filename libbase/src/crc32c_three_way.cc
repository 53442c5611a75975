// SPDX-License-Identifier: Apache-2.0
//
// Compiled for SSE4.2 and PCLMULQDQ. The CRC instruction takes eight bytes, can start every cycle
// and answers after three: three independent stretches keep it busy. What the earlier stretches
// leave is then multiplied by x for each bit that follows them.
#if defined(__x86_64__)

#include <immintrin.h>

#include "crc32c_kernels.h"
#include "crc32c_polynomial.h"

namespace strata {
namespace {

constexpr size_t kLongBytes = 4096;
constexpr size_t kShortBytes = 128;

inline uint64_t Load64(const uint8_t* from) {
  uint64_t word;
  __builtin_memcpy(&word, from, sizeof(word));
  return word;
}

// crc * x^(8 * Bytes), before the last reduction: the register after the CRC instruction has seen
// this. The product of two reflected values carries a factor x, the instruction one of x^32.
template <size_t Bytes>
inline uint64_t Shift(uint64_t crc) {
  constexpr uint32_t kPower = Crc32cPowerOfX(8 * Bytes - 33);
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(crc)),
                                               _mm_cvtsi64_si128(kPower), 0);
  return static_cast<uint64_t>(_mm_cvtsi128_si64(product));
}

// Takes as many times three stretches of Bytes as there are.
template <size_t Bytes>
inline uint64_t Stretches(uint64_t crc, const uint8_t*& data, size_t& size_bytes) {
  for (; size_bytes >= 3 * Bytes; data += 3 * Bytes, size_bytes -= 3 * Bytes) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t i = 0; i < Bytes; i += 8) {
      crc = _mm_crc32_u64(crc, Load64(data + i));
      second = _mm_crc32_u64(second, Load64(data + Bytes + i));
      third = _mm_crc32_u64(third, Load64(data + 2 * Bytes + i));
    }
    crc = _mm_crc32_u64(0, Shift<2 * Bytes>(crc) ^ Shift<Bytes>(second)) ^ third;
  }
  return crc;
}

}  // namespace

uint32_t Crc32cThreeWay(uint32_t crc, const uint8_t* data, size_t size_bytes) {
  uint64_t state = Stretches<kLongBytes>(crc, data, size_bytes);
  state = Stretches<kShortBytes>(state, data, size_bytes);
  for (; size_bytes >= 8; data += 8, size_bytes -= 8) state = _mm_crc32_u64(state, Load64(data));
  auto result = static_cast<uint32_t>(state);
  for (; size_bytes > 0; ++data, --size_bytes) result = _mm_crc32_u8(result, *data);
  return result;
}

}  // namespace strata

#endif
