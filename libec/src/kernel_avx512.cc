// SPDX-License-Identifier: Apache-2.0
//
// Compiled for AVX-512F and BW. A product is looked up by halves of the byte: two shuffles of
// 16-byte tables, which one three-way exclusive or adds.
#if defined(__x86_64__)
#include "kernel_loops.h"
#include "kernels.h"
#include "vector_avx512.h"

namespace strata::ec {
namespace {

struct Lanes : Avx512Vector {
  static constexpr size_t kTableBytes = 32;
  static constexpr int kMaxRows = 6;
  static constexpr int Width(int rows) { return rows <= 3 ? 4 : 2; }
  static constexpr bool kPairs = false;
  struct Halves {
    Vector low;
    Vector high;
  };
  using Source = Halves;
  using Table = Halves;

  static STRATA_EC_INLINE Source Prepare(Vector vector) {
    const Vector mask = _mm512_set1_epi8(15);
    return {_mm512_and_si512(vector, mask), _mm512_and_si512(_mm512_srli_epi64(vector, 4), mask)};
  }
  static STRATA_EC_INLINE Table LoadTable(const uint8_t* table) {
    const auto* const halves = reinterpret_cast<const __m128i*>(table);
    return {_mm512_broadcast_i32x4(_mm_loadu_si128(halves)),
            _mm512_broadcast_i32x4(_mm_loadu_si128(halves + 1))};
  }
  static STRATA_EC_INLINE Vector AddOne(Vector sum, Source a, Table by_a) {
    return XorTwo(sum, _mm512_shuffle_epi8(by_a.low, a.low),
                  _mm512_shuffle_epi8(by_a.high, a.high));
  }
};

}  // namespace

constexpr KernelOps kAvx512Ops = {Lanes::kTableBytes, false, ExpandNibbles, MultiplyWith<Lanes>,
                                  UpdateWith<Lanes>};

}  // namespace strata::ec

#endif
