// SPDX-License-Identifier: Apache-2.0
//
// LinCDC with the vector instructions of x86. Both variants build the hash by doubling: with A1 the
// substituted bytes, A2[i] = A1[i] ^ M A1[i-1], A4[i] = A2[i] ^ M^2 A2[i-2], A8[i] = A4[i] ^ M^4
// A4[i-4], H[i] = A8[i] ^ M^8 A8[i-8].
#include <algorithm>
#include <bit>

#include "chunking/lincdc.h"

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

// The positions of two steps that fit, but for criterion.third.
struct Marks {
  uint64_t low = 0;
  uint64_t high = 0;
};

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

  // Moves *at to the next 2 * kStep positions of which some are marked, or to where fewer than
  // these are left. Who looks closer at a mark begins anew behind it: a call inside this loop would
  // keep its constants out of the registers.
  __attribute__((target("avx512f,avx512bw,gfni"), noinline)) static Marks Scan(
      const LinCdcHash& hash, LinCdcCriterion criterion, std::span<const std::byte> data,
      size_t end, size_t* at);

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
  for (size_t at = begin;; at += 2 * kStep) {
    const Marks marks = Scan(hash, criterion, data, end, &at);
    if ((marks.low | marks.high) == 0) {
      return at < end ? FindLinCdcPortable(hash, criterion, data, at, end) : end;
    }
    size_t found = FirstThatFits(hash, criterion, data, at, marks.low, end);
    if (found == end) found = FirstThatFits(hash, criterion, data, at + kStep, marks.high, end);
    if (found < end) return found;
  }
}

template <bool Whitened>
Marks Avx512<Whitened>::Scan(const LinCdcHash& hash, LinCdcCriterion criterion,
                             std::span<const std::byte> data, size_t end, size_t* at) {
  Avx512 state(hash, criterion);
  state.Step(data.data() + *at - kStep);
  for (; *at < end && data.size() - *at >= 2 * kStep; *at += 2 * kStep) {
    const __mmask64 low = state.Step(data.data() + *at);
    const __mmask64 high = state.Step(data.data() + *at + kStep);
    if ((low | high) != 0) [[unlikely]]
      return {.low = low, .high = high};
  }
  return {};
}

#undef STRATA_LINCDC_AVX512

// 32 positions at a time, each step of the doubling for a whole block before the next step begins:
// so nothing waits for what was just computed, and bytes further back come from one unaligned load.
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
  static constexpr size_t kBlock = 16 * kStep;

  // One stage of the doubling: the values of a block, and before them those of the last positions
  // of the block before.
  struct alignas(kStep) Stage {
    std::array<std::byte, kStep + kBlock> bytes;

    std::byte* at(size_t position) { return bytes.data() + kStep + position; }
  };

  STRATA_LINCDC_AVX2 explicit Avx2(const LinCdcHash& hash, LinCdcCriterion criterion);

  // Hashes the `size` positions at `at`, which follow those hashed before.
  STRATA_LINCDC_AVX2 void Hash(const std::byte* at, size_t size);

  // The first of the block's 64 positions (`*at` tells which) that are marked, from *at on.
  STRATA_LINCDC_AVX2 uint64_t NextMarks(size_t* at);

  STRATA_LINCDC_AVX2 static uint32_t ZeroBytes(__m256i bytes) {
    return static_cast<uint32_t>(
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256())));
  }
  STRATA_LINCDC_AVX2 static __m256i InBothHalves(const std::array<uint8_t, 16>& table) {
    return _mm256_broadcastsi128_si256(
        _mm_load_si128(reinterpret_cast<const __m128i*>(table.data())));
  }
  STRATA_LINCDC_AVX2 static __m256i Load(const std::byte* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  STRATA_LINCDC_AVX2 static void Store(std::byte* to, __m256i value) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(to), value);
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

  // to[i] = from[i] ^ matrix * from[i - 2^Step].
  template <int Step>
  STRATA_LINCDC_AVX2 void Double(Stage* from, Stage* to, size_t size) {
    const LinCdcHash::HalfTables& tables = hash_.half_tables()[Step];
    const __m256i low_images = InBothHalves(tables.low);
    const __m256i high_images = InBothHalves(tables.high);
    const __m256i low_half = _mm256_set1_epi8(0x0f);
    for (size_t i = 0; i < size; i += kStep) {
      const __m256i back = Load(from->at(i) - (1 << Step));
      const __m256i low = _mm256_and_si256(back, low_half);
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(back, 4), low_half);
      const __m256i images = _mm256_xor_si256(_mm256_shuffle_epi8(low_images, low),
                                              _mm256_shuffle_epi8(high_images, high));
      Store(to->at(i), _mm256_xor_si256(Load(from->at(i)), images));
    }
  }

  const LinCdcHash& hash_;
  const __m256i unturn_;
  const __m128i whitening_;
  const __m256i first_;
  const __m256i second_;
  Stage stages_[5];  // The substituted bytes, and what each doubling makes of them.
};

template <bool Whitened>
Avx2<Whitened>::Avx2(const LinCdcHash& hash, LinCdcCriterion criterion)
    : hash_(hash),
      unturn_(_mm256_broadcastsi128_si256(
          _mm_setr_epi8(0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3))),
      whitening_(_mm_set1_epi8(static_cast<char>(hash.whitening()))),
      first_(_mm256_set1_epi8(static_cast<char>(criterion.first))),
      second_(_mm256_set1_epi8(static_cast<char>(criterion.second))) {
  for (Stage& stage : stages_) Store(stage.at(0) - kStep, _mm256_setzero_si256());
}

template <bool Whitened>
void Avx2<Whitened>::Hash(const std::byte* at, size_t size) {
  for (size_t i = 0; i < size; i += kStep) Store(stages_[0].at(i), Substituted(at + i));
  Double<0>(&stages_[0], &stages_[1], size);
  Double<1>(&stages_[1], &stages_[2], size);
  Double<2>(&stages_[2], &stages_[3], size);
  Double<3>(&stages_[3], &stages_[4], size);
}

template <bool Whitened>
uint64_t Avx2<Whitened>::NextMarks(size_t* at) {
  const auto misses = [this](size_t i) __attribute__((target("avx2,aes"), always_inline)) {
    const std::byte* h = stages_[4].at(i);
    return _mm256_or_si256(_mm256_and_si256(Load(h), first_),
                           _mm256_andnot_si256(Load(h - 16), second_));
  };
  for (; *at < kBlock; *at += 2 * kStep) {
    const __m256i low = misses(*at);
    const __m256i high = misses(*at + kStep);
    if (ZeroBytes(_mm256_min_epu8(low, high)) != 0) [[unlikely]]
      return ZeroBytes(low) | uint64_t{ZeroBytes(high)} << kStep;
  }
  return 0;
}

template <bool Whitened>
size_t Avx2<Whitened>::Find(const LinCdcHash& hash, LinCdcCriterion criterion,
                            std::span<const std::byte> data, size_t begin, size_t end) {
  Avx2 state(hash, criterion);
  state.Hash(data.data() + begin - kStep, kStep);
  size_t done = kStep;
  size_t at = begin;
  for (; at < end && data.size() - at >= kBlock; at += kBlock) {
    for (Stage& stage : state.stages_) Store(stage.at(0) - kStep, Load(stage.at(done) - kStep));
    state.Hash(data.data() + at, kBlock);
    done = kBlock;
    for (size_t i = 0; const uint64_t marks = state.NextMarks(&i); i += 2 * kStep) {
      const size_t found = FirstThatFits(hash, criterion, data, at + i, marks, end);
      if (found < end) return found;
    }
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
