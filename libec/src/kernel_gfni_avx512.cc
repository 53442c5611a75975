// SPDX-License-Identifier: Apache-2.0
//
// Compiled for AVX-512F, BW and GFNI. A coefficient is eight bytes, a matrix over GF(2), that one
// instruction applies to 64 bytes. One three-way exclusive or adds the products of two sources.
#if defined(__x86_64__)
#include "kernel_loops.h"
#include "kernels.h"
#include "vector_avx512.h"

namespace strata::ec {
namespace {

struct Lanes : Avx512Vector {
  static constexpr size_t kTableBytes = 8;
  static constexpr int kMaxRows = 6;
  static constexpr int Width(int rows) { return rows <= 4 ? 4 : 2; }
  static constexpr bool kPairs = true;
  using Source = Vector;
  using Table = Vector;

  static STRATA_EC_INLINE Source Prepare(Vector vector) { return vector; }
  static STRATA_EC_INLINE Table LoadTable(const uint8_t* table) {
    long long matrix;
    __builtin_memcpy(&matrix, table, sizeof(matrix));
    Table rows = _mm512_set1_epi64(matrix);
    // Keeps the broadcast an instruction of its own. Clang before 20 would make it an operand of
    // the affine one and encode its offset wrongly: other bytes would be the matrix (LLVM #120340).
    asm("" : "+v"(rows));
    return rows;
  }
  static STRATA_EC_INLINE Vector AddOne(Vector sum, Source a, Table by_a) {
    return _mm512_xor_si512(sum, _mm512_gf2p8affine_epi64_epi8(a, by_a, 0));
  }
  static STRATA_EC_INLINE Vector AddTwo(Vector sum, Source a, Table by_a, Source b, Table by_b) {
    return XorTwo(sum, _mm512_gf2p8affine_epi64_epi8(a, by_a, 0),
                  _mm512_gf2p8affine_epi64_epi8(b, by_b, 0));
  }
};

}  // namespace

constexpr KernelOps kGfniAvx512Ops = {Lanes::kTableBytes, false, ExpandAffine, MultiplyWith<Lanes>,
                                      UpdateWith<Lanes>};

}  // namespace strata::ec

#endif
