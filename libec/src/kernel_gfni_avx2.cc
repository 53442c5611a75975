// SPDX-License-Identifier: Apache-2.0
//
// Compiled for AVX2 and GFNI: the affine kernel, 32 bytes at a time.
#if defined(__x86_64__)
#include "kernel_loops.h"
#include "kernels.h"
#include "vector_avx2.h"

namespace strata::ec {
namespace {

struct Lanes : Avx2Vector {
  static constexpr size_t kTableBytes = 8;
  static constexpr int kMaxRows = 6;
  static constexpr int Width(int rows) { return rows <= 3 ? 4 - rows / 3 : 2; }
  static constexpr bool kPairs = false;
  using Source = Vector;
  using Table = Vector;

  static STRATA_EC_INLINE Source Prepare(Vector vector) { return vector; }
  static STRATA_EC_INLINE Table LoadTable(const uint8_t* table) {
    long long matrix;
    __builtin_memcpy(&matrix, table, sizeof(matrix));
    return _mm256_set1_epi64x(matrix);
  }
  static STRATA_EC_INLINE Vector AddOne(Vector sum, Source a, Table by_a) {
    return _mm256_xor_si256(sum, _mm256_gf2p8affine_epi64_epi8(a, by_a, 0));
  }
};

}  // namespace

constexpr KernelOps kGfniAvx2Ops = {Lanes::kTableBytes, false, ExpandAffine, MultiplyWith<Lanes>,
                                    UpdateWith<Lanes>};

}  // namespace strata::ec

#endif
