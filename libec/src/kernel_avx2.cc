// SPDX-License-Identifier: Apache-2.0
//
// Compiled for AVX2: the shuffle kernel, 32 bytes at a time.
#if defined(__x86_64__)
#include "kernel_loops.h"
#include "kernels.h"
#include "vector_avx2.h"

namespace strata::ec {
namespace {

struct Lanes : Avx2Vector {
  static constexpr size_t kTableBytes = 32;
  static constexpr int kMaxRows = 4;
  static constexpr int Width(int) { return 2; }
  static constexpr bool kPairs = false;
  struct Halves {
    Vector low;
    Vector high;
  };
  using Source = Halves;
  using Table = Halves;

  static STRATA_EC_INLINE Source Prepare(Vector vector) {
    const Vector mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(vector, mask), _mm256_and_si256(_mm256_srli_epi64(vector, 4), mask)};
  }
  static STRATA_EC_INLINE Table LoadTable(const uint8_t* table) {
    const auto* const halves = reinterpret_cast<const __m128i*>(table);
    return {_mm256_broadcastsi128_si256(_mm_loadu_si128(halves)),
            _mm256_broadcastsi128_si256(_mm_loadu_si128(halves + 1))};
  }
  static STRATA_EC_INLINE Vector AddOne(Vector sum, Source a, Table by_a) {
    return XorTwo(sum, _mm256_shuffle_epi8(by_a.low, a.low),
                  _mm256_shuffle_epi8(by_a.high, a.high));
  }
};

}  // namespace

constexpr KernelOps kAvx2Ops = {Lanes::kTableBytes, false, ExpandNibbles, MultiplyWith<Lanes>,
                                UpdateWith<Lanes>};

}  // namespace strata::ec

#endif
