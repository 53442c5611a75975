// SPDX-License-Identifier: Apache-2.0
//
// LinCDC with the vector instructions of x86. Both variants build the hash by doubling: with A1 the
// substituted bytes, A2[i] = A1[i] ^ M A1[i-1], A4[i] = A2[i] ^ M^2 A2[i-2], A8[i] = A4[i] ^ M^4
// A4[i-4], H[i] = A8[i] ^ M^8 A8[i-8].
#include <algorithm>
#include <bit>

#include "chunker_lincdc.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace strata::dedup {

#if defined(__x86_64__)

namespace {

// Of the marked positions behind `at`, lowest bit first, the first that fits in full; `end` if
// none.
size_t FirstThatFits(const LinCdcHash& hash, LinCdcCriterion criterion,
                     std::span<const std::byte> data, size_t at, uint64_t marks, size_t end) {
  for (; marks != 0; marks &= marks - 1) {
    const size_t i = at + static_cast<size_t>(std::countr_zero(marks));
    if (i >= end) break;
    if (criterion.third == 0 || (hash.At(data.data(), i - 32) & criterion.third) == 0) return i;
  }
  return end;
}

// 64 positions at a time.
#define STRATA_LINCDC_AVX512 __attribute__((target("avx512f,avx512bw,gfni"), always_inline)) inline

template <bool Whitened>
class Avx512 {
 public:
  __attribute__((target("avx512f,avx512bw,gfni"))) static size_t Find(
      const LinCdcHash& hash, LinCdcCriterion criterion, std::span<const std::byte> data,
      size_t begin, size_t end);

 private:
  static constexpr size_t kStep = 64;
  static constexpr int kXor3 = 0x96;      // a ^ b ^ c
  static constexpr int kOrAndNot = 0xF2;  // a | (~b & c)

  STRATA_LINCDC_AVX512 explicit Avx512(const LinCdcHash& hash, LinCdcCriterion criterion);

  // The positions that fit, but for criterion.third, among the 64 at `at`.
  STRATA_LINCDC_AVX512 __mmask64 Step(const std::byte* at);

  STRATA_LINCDC_AVX512 static __m512i All(uint8_t byte) {
    return _mm512_set1_epi8(static_cast<char>(byte));
  }
  STRATA_LINCDC_AVX512 static __m512i Operand(uint64_t operand) {
    return _mm512_set1_epi64(static_cast<long long>(operand));
  }

  // now[i - 4 * Words], reaching into the 64 positions before. (The form without a mask sets off a
  // warning in GCC 12's own header.)
  template <int Words>
  STRATA_LINCDC_AVX512 static __m512i BackBy4Times(__m512i now, __m512i before) {
    return _mm512_maskz_alignr_epi32(0xffff, now, before, 16 - Words);
  }

  template <int Back>
  STRATA_LINCDC_AVX512 __m512i Substituted(const std::byte* at) const {
    __m512i bytes = _mm512_loadu_si512(at - Back);
    if constexpr (Whitened) bytes = _mm512_xor_si512(bytes, whitening_);
    return _mm512_gf2p8affineinv_epi64_epi8(bytes, substitute_[Back], 0);
  }

  __m512i substitute_[4];  // M^k times the linear part of S.
  __m512i offset_;         // What the offset of S comes to in A4.
  __m512i power4_;
  __m512i power8_;
  __m512i whitening_;
  __m512i first_;
  __m512i second_;
  __m512i a4_;  // Of the 64 positions before.
  __m512i a8_;
  __m512i hash_;
};

template <bool Whitened>
Avx512<Whitened>::Avx512(const LinCdcHash& hash, LinCdcCriterion criterion) {
  const LinCdcHash::AffineOperands& operands = hash.affine_operands();
  for (size_t k = 0; k < 4; ++k) substitute_[k] = Operand(operands.substitute[k]);
  offset_ = All(operands.offset);
  power4_ = Operand(operands.powers[2]);
  power8_ = Operand(operands.powers[3]);
  whitening_ = All(hash.whitening());
  first_ = All(criterion.first);
  second_ = All(criterion.second);
  a4_ = a8_ = hash_ = _mm512_setzero_si512();
}

template <bool Whitened>
__mmask64 Avx512<Whitened>::Step(const std::byte* at) {
  __m512i a4 =
      _mm512_ternarylogic_epi64(Substituted<0>(at), Substituted<1>(at), Substituted<2>(at), kXor3);
  a4 = _mm512_ternarylogic_epi64(a4, Substituted<3>(at), offset_, kXor3);
  const __m512i a4_back4 = BackBy4Times<1>(a4, a4_);
  const __m512i a8 = _mm512_xor_si512(a4, _mm512_gf2p8affine_epi64_epi8(a4_back4, power4_, 0));
  const __m512i a8_back8 = BackBy4Times<2>(a8, a8_);
  const __m512i h = _mm512_xor_si512(a8, _mm512_gf2p8affine_epi64_epi8(a8_back8, power8_, 0));
  const __m512i h_back16 = BackBy4Times<4>(h, hash_);
  a4_ = a4;
  a8_ = a8;
  hash_ = h;
  const __m512i misses =
      _mm512_ternarylogic_epi64(_mm512_and_si512(h, first_), h_back16, second_, kOrAndNot);
  return _mm512_testn_epi8_mask(misses, misses);
}

template <bool Whitened>
size_t Avx512<Whitened>::Find(const LinCdcHash& hash, LinCdcCriterion criterion,
                              std::span<const std::byte> data, size_t begin, size_t end) {
  if (begin < kStep + 3) {
    const size_t head = std::min(end, kStep + 3);
    const size_t found = FindLinCdcPortable(hash, criterion, data, begin, head);
    if (found < head || head == end) return found;
    begin = head;
  }
  Avx512 state(hash, criterion);
  state.Step(data.data() + begin - kStep);
  size_t at = begin;
  for (; at < end && data.size() - at >= 2 * kStep; at += 2 * kStep) {
    const __mmask64 low = state.Step(data.data() + at);
    const __mmask64 high = state.Step(data.data() + at + kStep);
    if ((low | high) == 0) [[likely]]
      continue;
    size_t found = FirstThatFits(hash, criterion, data, at, low, end);
    if (found == end) found = FirstThatFits(hash, criterion, data, at + kStep, high, end);
    if (found < end) return found;
  }
  return at < end ? FindLinCdcPortable(hash, criterion, data, at, end) : end;
}

#undef STRATA_LINCDC_AVX512

// 32 positions at a time.
#define STRATA_LINCDC_AVX2 __attribute__((target("avx2,aes"), always_inline)) inline

template <bool Whitened>
class Avx2 {
 public:
  __attribute__((target("avx2,aes"))) static size_t Find(const LinCdcHash& hash,
                                                         LinCdcCriterion criterion,
                                                         std::span<const std::byte> data,
                                                         size_t begin, size_t end);

 private:
  static constexpr size_t kStep = 32;

  // A matrix as two tables: the images of the low and of the high half of a byte.
  struct Tables {
    __m256i low;
    __m256i high;
  };

  STRATA_LINCDC_AVX2 explicit Avx2(const LinCdcHash& hash, LinCdcCriterion criterion);
  // Zero bytes where a position fits, but for criterion.third, of the 32 at `at`.
  STRATA_LINCDC_AVX2 __m256i Step(const std::byte* at);
  STRATA_LINCDC_AVX2 static uint32_t ZeroBytes(__m256i bytes) {
    return static_cast<uint32_t>(
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256())));
  }
  STRATA_LINCDC_AVX2 static __m256i InBothHalves(const std::array<uint8_t, 16>& table) {
    return _mm256_broadcastsi128_si256(
        _mm_load_si128(reinterpret_cast<const __m128i*>(table.data())));
  }

  STRATA_LINCDC_AVX2 __m128i LastRound(const std::byte* at) const {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    if constexpr (Whitened) bytes = _mm_xor_si128(bytes, whitening_);
    return _mm_aesenclast_si128(bytes, _mm_setzero_si128());
  }

  STRATA_LINCDC_AVX2 __m256i Substituted(const std::byte* at) const {
    // The last round of AES also turns the rows of its state; unturn_ puts the bytes back.
    return _mm256_shuffle_epi8(_mm256_set_m128i(LastRound(at + 16), LastRound(at)), unturn_);
  }

  // now[i] ^ matrix * (now, or `before` it)[i - Back].
  template <int Back>
  STRATA_LINCDC_AVX2 static __m256i Doubled(__m256i now, __m256i before, const Tables& matrix) {
    const __m256i straddling = _mm256_permute2x128_si256(before, now, 0x21);
    const __m256i back = _mm256_alignr_epi8(now, straddling, 16 - Back);
    const __m256i low_half = _mm256_set1_epi8(0x0f);
    const __m256i low = _mm256_and_si256(back, low_half);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(back, 4), low_half);
    return _mm256_xor_si256(now, _mm256_xor_si256(_mm256_shuffle_epi8(matrix.low, low),
                                                  _mm256_shuffle_epi8(matrix.high, high)));
  }

  Tables powers_[4];
  __m256i unturn_;
  __m128i whitening_;
  __m256i first_;
  __m256i second_;
  __m256i a1_;  // Of the 32 positions before.
  __m256i a2_;
  __m256i a4_;
  __m256i a8_;
  __m256i hash_;
};

template <bool Whitened>
Avx2<Whitened>::Avx2(const LinCdcHash& hash, LinCdcCriterion criterion) {
  for (size_t step = 0; step < 4; ++step) {
    const LinCdcHash::HalfTables& tables = hash.half_tables()[step];
    powers_[step] = {InBothHalves(tables.low), InBothHalves(tables.high)};
  }
  unturn_ = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3));
  whitening_ = _mm_set1_epi8(static_cast<char>(hash.whitening()));
  first_ = _mm256_set1_epi8(static_cast<char>(criterion.first));
  second_ = _mm256_set1_epi8(static_cast<char>(criterion.second));
  a1_ = a2_ = a4_ = a8_ = hash_ = _mm256_setzero_si256();
}

template <bool Whitened>
__m256i Avx2<Whitened>::Step(const std::byte* at) {
  const __m256i a1 = Substituted(at);
  const __m256i a2 = Doubled<1>(a1, a1_, powers_[0]);
  const __m256i a4 = Doubled<2>(a2, a2_, powers_[1]);
  const __m256i a8 = Doubled<4>(a4, a4_, powers_[2]);
  const __m256i h = Doubled<8>(a8, a8_, powers_[3]);
  const __m256i h_back16 = _mm256_permute2x128_si256(hash_, h, 0x21);
  a1_ = a1;
  a2_ = a2;
  a4_ = a4;
  a8_ = a8;
  hash_ = h;
  return _mm256_or_si256(_mm256_and_si256(h, first_), _mm256_andnot_si256(h_back16, second_));
}

template <bool Whitened>
size_t Avx2<Whitened>::Find(const LinCdcHash& hash, LinCdcCriterion criterion,
                            std::span<const std::byte> data, size_t begin, size_t end) {
  Avx2 state(hash, criterion);
  state.Step(data.data() + begin - kStep);
  size_t at = begin;
  for (; at < end && data.size() - at >= 2 * kStep; at += 2 * kStep) {
    const __m256i low = state.Step(data.data() + at);
    const __m256i high = state.Step(data.data() + at + kStep);
    if (ZeroBytes(_mm256_min_epu8(low, high)) == 0) [[likely]]
      continue;
    const uint64_t marks = ZeroBytes(low) | uint64_t{ZeroBytes(high)} << kStep;
    const size_t found = FirstThatFits(hash, criterion, data, at, marks, end);
    if (found < end) return found;
  }
  return at < end ? FindLinCdcPortable(hash, criterion, data, at, end) : end;
}

#undef STRATA_LINCDC_AVX2

size_t FindAvx512(const LinCdcHash& hash, LinCdcCriterion criterion,
                  std::span<const std::byte> data, size_t begin, size_t end) {
  const auto find = hash.whitening() == 0 ? Avx512<false>::Find : Avx512<true>::Find;
  return find(hash, criterion, data, begin, end);
}

size_t FindAvx2(const LinCdcHash& hash, LinCdcCriterion criterion, std::span<const std::byte> data,
                size_t begin, size_t end) {
  const auto find = hash.whitening() == 0 ? Avx2<false>::Find : Avx2<true>::Find;
  return find(hash, criterion, data, begin, end);
}

}  // namespace

bool HasLinCdcVariant(LinCdcVariant variant) {
  switch (variant) {
    case LinCdcVariant::kPortable:
      return true;
    case LinCdcVariant::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("aes");
    case LinCdcVariant::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("gfni");
  }
  return false;
}

LinCdcFind FindLinCdcVariant(LinCdcVariant variant) {
  if (!HasLinCdcVariant(variant)) return nullptr;
  switch (variant) {
    case LinCdcVariant::kPortable:
      return FindLinCdcPortable;
    case LinCdcVariant::kAvx2:
      return FindAvx2;
    case LinCdcVariant::kAvx512:
      return FindAvx512;
  }
  return nullptr;
}

#else

bool HasLinCdcVariant(LinCdcVariant variant) { return variant == LinCdcVariant::kPortable; }

LinCdcFind FindLinCdcVariant(LinCdcVariant variant) {
  return variant == LinCdcVariant::kPortable ? FindLinCdcPortable : nullptr;
}

#endif

LinCdcVariant BestLinCdcVariant() {
  for (const LinCdcVariant variant : {LinCdcVariant::kAvx512, LinCdcVariant::kAvx2}) {
    if (HasLinCdcVariant(variant)) return variant;
  }
  return LinCdcVariant::kPortable;
}

}  // namespace strata::dedup
