// SPDX-License-Identifier: Apache-2.0
#include "fingerprint/sha256_avx512.h"

#include "strata/base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace strata::dedup {

#if defined(__x86_64__)

namespace {

#define STRATA_SHA256_INLINE __attribute__((target("avx512f,avx512bw"), always_inline)) inline

constexpr size_t kBlockBytes = 64;

// The forms without a mask set off warnings in GCC 12's own header.
constexpr __mmask16 kAll32 = 0xffff;
constexpr __mmask8 kAll64 = 0xff;

STRATA_SHA256_INLINE __m512i Xor3(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi32(a, b, c, 0x96);
}

template <int Low, int Middle, int High>
STRATA_SHA256_INLINE __m512i Rotations(__m512i x) {
  return Xor3(_mm512_maskz_ror_epi32(kAll32, x, Low), _mm512_maskz_ror_epi32(kAll32, x, Middle),
              _mm512_maskz_ror_epi32(kAll32, x, High));
}

template <int Low, int Middle, int Shift>
STRATA_SHA256_INLINE __m512i RotationsAndShift(__m512i x) {
  return Xor3(_mm512_maskz_ror_epi32(kAll32, x, Low), _mm512_maskz_ror_epi32(kAll32, x, Middle),
              _mm512_maskz_srli_epi32(kAll32, x, Shift));
}

STRATA_SHA256_INLINE __m512i Sum(__m512i a, __m512i b) { return _mm512_add_epi32(a, b); }

// One round; the caller turns the names of the variables instead of moving their values.
STRATA_SHA256_INLINE void Round(__m512i a, __m512i b, __m512i c, __m512i& d, __m512i e, __m512i f,
                                __m512i g, __m512i& h, __m512i word, uint32_t constant) {
  const __m512i choice = _mm512_ternarylogic_epi32(e, f, g, 0xCA);
  const __m512i majority = _mm512_ternarylogic_epi32(a, b, c, 0xE8);
  const __m512i input = Sum(Sum(h, word), _mm512_set1_epi32(static_cast<int>(constant)));
  const __m512i sum = Sum(input, Sum(choice, Rotations<6, 11, 25>(e)));
  d = Sum(d, sum);
  h = Sum(sum, Sum(majority, Rotations<2, 13, 22>(a)));
}

// Word t of the message schedule in place of word t - 16.
template <size_t T>
STRATA_SHA256_INLINE void Schedule(__m512i* w) {
  w[T] = Sum(Sum(w[T], w[(T + 9) % 16]), Sum(RotationsAndShift<7, 18, 3>(w[(T + 1) % 16]),
                                             RotationsAndShift<17, 19, 10>(w[(T + 14) % 16])));
}

template <size_t T, bool Scheduled>
STRATA_SHA256_INLINE void EightRounds(__m512i* s, __m512i* w, const uint32_t* k) {
  if constexpr (Scheduled) Schedule<T>(w);
  Round(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], w[T], k[T]);
  if constexpr (Scheduled) Schedule<T + 1>(w);
  Round(s[7], s[0], s[1], s[2], s[3], s[4], s[5], s[6], w[T + 1], k[T + 1]);
  if constexpr (Scheduled) Schedule<T + 2>(w);
  Round(s[6], s[7], s[0], s[1], s[2], s[3], s[4], s[5], w[T + 2], k[T + 2]);
  if constexpr (Scheduled) Schedule<T + 3>(w);
  Round(s[5], s[6], s[7], s[0], s[1], s[2], s[3], s[4], w[T + 3], k[T + 3]);
  if constexpr (Scheduled) Schedule<T + 4>(w);
  Round(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], w[T + 4], k[T + 4]);
  if constexpr (Scheduled) Schedule<T + 5>(w);
  Round(s[3], s[4], s[5], s[6], s[7], s[0], s[1], s[2], w[T + 5], k[T + 5]);
  if constexpr (Scheduled) Schedule<T + 6>(w);
  Round(s[2], s[3], s[4], s[5], s[6], s[7], s[0], s[1], w[T + 6], k[T + 6]);
  if constexpr (Scheduled) Schedule<T + 7>(w);
  Round(s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[0], w[T + 7], k[T + 7]);
}

// Rows 4 * Group to 4 * Group + 3 of the blocks: afterwards rows[4 * Group + c] holds, in its
// 128-bit part p, word 4 * p + c of each of the four.
template <size_t Group>
STRATA_SHA256_INLINE void InterleaveFour(__m512i* rows) {
  __m512i* r = rows + 4 * Group;
  const __m512i low01 = _mm512_maskz_unpacklo_epi32(kAll32, r[0], r[1]);
  const __m512i high01 = _mm512_maskz_unpackhi_epi32(kAll32, r[0], r[1]);
  const __m512i low23 = _mm512_maskz_unpacklo_epi32(kAll32, r[2], r[3]);
  const __m512i high23 = _mm512_maskz_unpackhi_epi32(kAll32, r[2], r[3]);
  r[0] = _mm512_maskz_unpacklo_epi64(kAll64, low01, low23);
  r[1] = _mm512_maskz_unpackhi_epi64(kAll64, low01, low23);
  r[2] = _mm512_maskz_unpacklo_epi64(kAll64, high01, high23);
  r[3] = _mm512_maskz_unpackhi_epi64(kAll64, high01, high23);
}

// words[4 * p + C] from part p of rows[C], rows[4 + C], rows[8 + C], rows[12 + C].
template <size_t C>
STRATA_SHA256_INLINE void GatherParts(const __m512i* rows, __m512i* words) {
  const __m512i even0 = _mm512_maskz_shuffle_i32x4(kAll32, rows[C], rows[4 + C], 0x88);
  const __m512i odd0 = _mm512_maskz_shuffle_i32x4(kAll32, rows[C], rows[4 + C], 0xdd);
  const __m512i even1 = _mm512_maskz_shuffle_i32x4(kAll32, rows[8 + C], rows[12 + C], 0x88);
  const __m512i odd1 = _mm512_maskz_shuffle_i32x4(kAll32, rows[8 + C], rows[12 + C], 0xdd);
  words[C] = _mm512_maskz_shuffle_i32x4(kAll32, even0, even1, 0x88);
  words[4 + C] = _mm512_maskz_shuffle_i32x4(kAll32, odd0, odd1, 0x88);
  words[8 + C] = _mm512_maskz_shuffle_i32x4(kAll32, even0, even1, 0xdd);
  words[12 + C] = _mm512_maskz_shuffle_i32x4(kAll32, odd0, odd1, 0xdd);
}

// words[i] gets word i of the block of every lane.
STRATA_SHA256_INLINE void LoadBlocks(const std::byte* const* data, __m512i* words) {
  const __m512i swap = _mm512_maskz_broadcast_i32x4(
      kAll32, _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL));
  __m512i rows[kSha256WideLanes];
#pragma GCC unroll 16
  for (size_t lane = 0; lane < kSha256WideLanes; ++lane) {
    rows[lane] = _mm512_maskz_shuffle_epi8(~__mmask64{0}, _mm512_loadu_si512(data[lane]), swap);
  }
  InterleaveFour<0>(rows);
  InterleaveFour<1>(rows);
  InterleaveFour<2>(rows);
  InterleaveFour<3>(rows);
  GatherParts<0>(rows, words);
  GatherParts<1>(rows, words);
  GatherParts<2>(rows, words);
  GatherParts<3>(rows, words);
}

#undef STRATA_SHA256_INLINE

}  // namespace

bool HasSha256Wide() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

__attribute__((target("avx512f,avx512bw"))) void CompressSha256Wide(
    Sha256WideState* state, std::array<const std::byte*, kSha256WideLanes>* data, size_t count,
    const uint32_t* round_constants) {
  __m512i s[8];
  for (size_t i = 0; i < 8; ++i) s[i] = _mm512_load_si512(state->words[i].data());
  for (size_t block = 0; block < count; ++block) {
    __m512i before[8];
    for (size_t i = 0; i < 8; ++i) before[i] = s[i];
    __m512i words[16];
    LoadBlocks(data->data(), words);
    EightRounds<0, false>(s, words, round_constants);
    EightRounds<8, false>(s, words, round_constants);
    for (size_t round = 16; round < 64; round += 16) {
      EightRounds<0, true>(s, words, round_constants + round);
      EightRounds<8, true>(s, words, round_constants + round);
    }
    for (size_t i = 0; i < 8; ++i) s[i] = _mm512_add_epi32(s[i], before[i]);
    for (const std::byte*& at : *data) at += kBlockBytes;
  }
  for (size_t i = 0; i < 8; ++i) _mm512_store_si512(state->words[i].data(), s[i]);
}

#else

bool HasSha256Wide() { return false; }

void CompressSha256Wide(Sha256WideState*, std::array<const std::byte*, kSha256WideLanes>*, size_t,
                        const uint32_t*) {
  STRATA_CHECK(false, "this CPU lacks AVX-512");
}

#endif

}  // namespace strata::dedup
