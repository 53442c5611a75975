// SPDX-License-Identifier: Apache-2.0
//
// Compiled for AVX-512F, AVX-512VL, VPCLMULQDQ, PCLMULQDQ and SSE4.2. Data is a polynomial; a
// stretch of 128 bits may be replaced by another of 128 bits further on that has the same
// remainder ("folding", Gopal et al., Intel, 2009). Four registers of four such stretches step over
// 256 bytes at a time; at the end they are folded into one, which the CRC instruction reduces.
#if defined(__x86_64__)

#include <immintrin.h>

#include "crc32c_kernels.h"
#include "crc32c_polynomial.h"

namespace strata {
namespace {

constexpr size_t kVector = 64;
constexpr size_t kStep = 4 * kVector;
constexpr size_t kWorthwhileBytes = 2 * kStep;

// What the two halves of a stretch are multiplied by to move it `bytes` on: powers of x, as 33-bit
// reflected values.
constexpr long long LowFactor(size_t bytes) {
  return static_cast<long long>(uint64_t{Crc32cPowerOfX(8 * bytes + 32)} << 1);
}
constexpr long long HighFactor(size_t bytes) {
  return static_cast<long long>(uint64_t{Crc32cPowerOfX(8 * bytes - 32)} << 1);
}

template <size_t Bytes>
inline __m512i Factors() {
  constexpr long long kLow = LowFactor(Bytes);
  constexpr long long kHigh = HighFactor(Bytes);
  return _mm512_set_epi64(kHigh, kLow, kHigh, kLow, kHigh, kLow, kHigh, kLow);
}

// `state` moved on by the distance of `factors`, plus `next`.
inline __m512i Fold(__m512i state, __m512i factors, __m512i next) {
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(state, factors, 0x00),
                                   _mm512_clmulepi64_epi128(state, factors, 0x11), next, 0x96);
}

inline __m512i Load(const uint8_t* from) { return _mm512_loadu_si512(from); }

// The register after the four stretches of `state`, from a register of zero.
inline uint64_t Reduce(__m512i state) {
  constexpr long long kLow16 = LowFactor(16);
  constexpr long long kHigh16 = HighFactor(16);
  constexpr long long kLow32 = LowFactor(32);
  constexpr long long kHigh32 = HighFactor(32);
  constexpr long long kLow48 = LowFactor(48);
  constexpr long long kHigh48 = HighFactor(48);
  // The last stretch stays: its factors are 0, it is added as it is.
  const __m512i factors = _mm512_set_epi64(0, 0, kHigh16, kLow16, kHigh32, kLow32, kHigh48, kLow48);
  const __m512i last = _mm512_maskz_mov_epi64(0xC0, state);
  const __m512i folded = Fold(state, factors, last);
  const __m256i half =
      _mm256_xor_si256(_mm512_castsi512_si256(folded), _mm512_extracti64x4_epi64(folded, 1));
  const __m128i sum =
      _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  const auto low = static_cast<uint64_t>(_mm_cvtsi128_si64(sum));
  const auto high = static_cast<uint64_t>(_mm_extract_epi64(sum, 1));
  return _mm_crc32_u64(_mm_crc32_u64(0, low), high);
}

}  // namespace

uint32_t Crc32cFolding(uint32_t crc, const uint8_t* data, size_t size_bytes) {
  if (size_bytes < kWorthwhileBytes) return Crc32cThreeWay(crc, data, size_bytes);
  const __m512i start = _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(crc)));
  __m512i a = _mm512_xor_si512(Load(data), start);
  __m512i b = Load(data + kVector);
  __m512i c = Load(data + 2 * kVector);
  __m512i d = Load(data + 3 * kVector);
  const __m512i step = Factors<kStep>();
  data += kStep;
  size_bytes -= kStep;
  for (; size_bytes >= kStep; data += kStep, size_bytes -= kStep) {
    a = Fold(a, step, Load(data));
    b = Fold(b, step, Load(data + kVector));
    c = Fold(c, step, Load(data + 2 * kVector));
    d = Fold(d, step, Load(data + 3 * kVector));
  }
  const __m512i by_vector = Factors<kVector>();
  d = Fold(Fold(Fold(a, by_vector, b), by_vector, c), by_vector, d);
  for (; size_bytes >= kVector; data += kVector, size_bytes -= kVector) {
    d = Fold(d, by_vector, Load(data));
  }
  return Crc32cThreeWay(static_cast<uint32_t>(Reduce(d)), data, size_bytes);
}

}  // namespace strata

#endif
