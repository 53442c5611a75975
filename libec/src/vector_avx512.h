// SPDX-License-Identifier: Apache-2.0
//
// 64 bytes: the part of Lanes (kernel_loops.h) that both AVX-512 kernels share. Included only by
// files compiled for AVX-512F and BW.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel_loops.h"

namespace strata::ec {
namespace {

struct Avx512Vector {
  static constexpr size_t kBytes = 64;
  using Vector = __m512i;

  static STRATA_EC_INLINE __mmask64 First(size_t count) { return (uint64_t{1} << count) - 1; }
  static STRATA_EC_INLINE Vector Zero() { return _mm512_setzero_si512(); }
  static STRATA_EC_INLINE Vector Load(const uint8_t* from) { return _mm512_loadu_si512(from); }
  static STRATA_EC_INLINE Vector LoadPart(const uint8_t* from, size_t count) {
    return _mm512_maskz_loadu_epi8(First(count), from);
  }
  static STRATA_EC_INLINE void Store(uint8_t* to, Vector value) { _mm512_storeu_si512(to, value); }
  static STRATA_EC_INLINE void StorePart(uint8_t* to, Vector value, size_t count) {
    _mm512_mask_storeu_epi8(to, First(count), value);
  }
  static STRATA_EC_INLINE void Stream(uint8_t* to, Vector value) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), value);
  }
  static STRATA_EC_INLINE void Fence() { _mm_sfence(); }
  static STRATA_EC_INLINE Vector Xor(Vector a, Vector b) { return _mm512_xor_si512(a, b); }
  static STRATA_EC_INLINE Vector XorTwo(Vector sum, Vector a, Vector b) {
    return _mm512_ternarylogic_epi64(sum, a, b, 0x96);
  }
};

}  // namespace
}  // namespace strata::ec
