// SPDX-License-Identifier: Apache-2.0
//
// 32 bytes: the part of Lanes (kernel_loops.h) that both AVX2 kernels share. Included only by files
// compiled for AVX2.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel_loops.h"

namespace strata::ec {
namespace {

struct Avx2Vector {
  static constexpr size_t kBytes = 32;
  using Vector = __m256i;

  static STRATA_EC_INLINE Vector Zero() { return _mm256_setzero_si256(); }
  static STRATA_EC_INLINE Vector Load(const uint8_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static STRATA_EC_INLINE Vector LoadPart(const uint8_t* from, size_t count) {
    alignas(32) uint8_t whole[kBytes] = {};
    __builtin_memcpy(whole, from, count);
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(whole));
  }
  static STRATA_EC_INLINE void Store(uint8_t* to, Vector value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value);
  }
  static STRATA_EC_INLINE void StorePart(uint8_t* to, Vector value, size_t count) {
    alignas(32) uint8_t whole[kBytes];
    _mm256_store_si256(reinterpret_cast<__m256i*>(whole), value);
    __builtin_memcpy(to, whole, count);
  }
  static STRATA_EC_INLINE void Stream(uint8_t* to, Vector value) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), value);
  }
  static STRATA_EC_INLINE void Fence() { _mm_sfence(); }
  static STRATA_EC_INLINE Vector Xor(Vector a, Vector b) { return _mm256_xor_si256(a, b); }
  static STRATA_EC_INLINE Vector XorTwo(Vector sum, Vector a, Vector b) {
    return _mm256_xor_si256(sum, _mm256_xor_si256(a, b));
  }
};

}  // namespace
}  // namespace strata::ec
