// SPDX-License-Identifier: Apache-2.0
#include "fingerprint/sha256_lanes.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "fingerprint/sha256_avx512.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace strata::dedup {

#if defined(__x86_64__)

namespace {

constexpr size_t kBlockBytes = 64;
// As many as hide the latency of a round; more spill out of the sixteen registers. LLVM, which
// takes the lanes of a group one after another as they are written, already does so with three.
#if defined(__clang__)
constexpr size_t kLanes = 2;
#else
constexpr size_t kLanes = 3;
#endif
// With fewer of the sixteen at work, those with the SHA instructions are faster.
constexpr size_t kMinWideLanes = 9;

alignas(16) constexpr std::array<uint32_t, 64> kRoundConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

constexpr std::array<uint32_t, 8> kInitialState = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// The state as the instructions want it: {F, E, B, A} and {H, G, D, C}, lowest word first.
struct LaneState {
  __m128i abef;
  __m128i cdgh;
};

// Takes `count` blocks into each of the Lanes states, a group of four rounds of every lane in turn.
template <size_t Lanes>
__attribute__((target("sha,sse4.1"))) void Compress(LaneState* states, const std::byte** data,
                                                    size_t count) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  __m128i abef[Lanes];
  __m128i cdgh[Lanes];
#pragma GCC unroll 3
  for (size_t lane = 0; lane < Lanes; ++lane) {
    abef[lane] = states[lane].abef;
    cdgh[lane] = states[lane].cdgh;
  }
  for (size_t block = 0; block < count; ++block) {
    __m128i abef_before[Lanes];
    __m128i cdgh_before[Lanes];
    __m128i words[Lanes][4];  // The last sixteen words of the message schedule.
#pragma GCC unroll 3
    for (size_t lane = 0; lane < Lanes; ++lane) {
      abef_before[lane] = abef[lane];
      cdgh_before[lane] = cdgh[lane];
    }
#pragma GCC unroll 16
    for (size_t group = 0; group < 16; ++group) {
      const __m128i constants =
          _mm_load_si128(reinterpret_cast<const __m128i*>(kRoundConstants.data() + 4 * group));
#pragma GCC unroll 3
      for (size_t lane = 0; lane < Lanes; ++lane) {
        __m128i* w = words[lane];
        __m128i next;
        if (group < 4) {
          next = _mm_shuffle_epi8(
              _mm_loadu_si128(reinterpret_cast<const __m128i*>(data[lane] + 16 * group)), swap);
        } else {
          next = _mm_sha256msg1_epu32(w[group % 4], w[(group + 1) % 4]);
          next = _mm_add_epi32(next, _mm_alignr_epi8(w[(group + 3) % 4], w[(group + 2) % 4], 4));
          next = _mm_sha256msg2_epu32(next, w[(group + 3) % 4]);
        }
        w[group % 4] = next;
        const __m128i sum = _mm_add_epi32(next, constants);
        cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], sum);
        abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32(sum, 0x0E));
      }
    }
#pragma GCC unroll 3
    for (size_t lane = 0; lane < Lanes; ++lane) {
      abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
      cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
      data[lane] += kBlockBytes;
    }
  }
#pragma GCC unroll 3
  for (size_t lane = 0; lane < Lanes; ++lane) {
    states[lane].abef = abef[lane];
    states[lane].cdgh = cdgh[lane];
  }
}

// One message on its way through: its whole blocks first, then its end with the padding.
struct Lane {
  const std::byte* data = nullptr;
  size_t blocks = 0;  // Left at `data`; 0: the lane is idle.
  size_t tail_blocks = 0;
  alignas(16) std::byte tail[2 * kBlockBytes];
  std::array<uint32_t, 8> words;  // The state between calls of the compression functions.
  Fingerprint* digest = nullptr;

  void Begin(std::span<const std::byte> message, Fingerprint* out) {
    data = message.data();
    blocks = message.size() / kBlockBytes;
    digest = out;
    words = kInitialState;
    const size_t rest = message.size() % kBlockBytes;
    tail_blocks = rest + 9 <= kBlockBytes ? 1 : 2;
    std::memset(tail, 0, sizeof(tail));
    if (rest > 0) std::memcpy(tail, data + blocks * kBlockBytes, rest);
    tail[rest] = std::byte{0x80};
    StoreBe64(tail + tail_blocks * kBlockBytes - 8, uint64_t{message.size()} * 8);
    GoToTail();
  }

  // After `count` blocks were taken in.
  void Advance(size_t count) {
    data += count * kBlockBytes;
    blocks -= count;
    GoToTail();
  }

  // From the message to its end, once the whole blocks are done.
  void GoToTail() {
    if (blocks > 0 || tail_blocks == 0) return;
    data = tail;
    blocks = tail_blocks;
    tail_blocks = 0;
  }

  void End() const {
    for (size_t i = 0; i < words.size(); ++i) StoreBe32(digest->bytes.data() + 4 * i, words[i]);
  }
};

LaneState LoadState(const Lane& lane) {
  const auto set = [&lane](size_t i, size_t j, size_t k, size_t l) {
    return _mm_set_epi32(static_cast<int>(lane.words[i]), static_cast<int>(lane.words[j]),
                         static_cast<int>(lane.words[k]), static_cast<int>(lane.words[l]));
  };
  return {.abef = set(0, 1, 4, 5), .cdgh = set(2, 3, 6, 7)};
}

void StoreState(const LaneState& state, Lane* lane) {
  alignas(16) uint32_t abef[4];
  alignas(16) uint32_t cdgh[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(abef), state.abef);
  _mm_store_si128(reinterpret_cast<__m128i*>(cdgh), state.cdgh);
  lane->words = {abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]};
}

void CompressLanes(size_t lanes, LaneState* states, const std::byte** data, size_t count) {
  switch (lanes) {
    case 1:
      return Compress<1>(states, data, count);
    case 2:
      return Compress<2>(states, data, count);
    default:
      return Compress<kLanes>(states, data, count);
  }
}

bool CpuHasShaInstructions() {
  unsigned int eax = 0;
  unsigned int ebx = 0;
  unsigned int ecx = 0;
  unsigned int edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_SSE4_1) == 0) return false;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & bit_SHA) != 0;
}

// The messages of one call on their way through up to sixteen lanes. A message that ended makes way
// for the next one: messages of different lengths keep all lanes busy.
class Batch {
 public:
  Batch(std::span<const std::span<const std::byte>> messages, std::span<Fingerprint> digests)
      : messages_(messages), digests_(digests) {}

  // Sixteen lanes, until fewer than `least` have work.
  void RunWide(size_t least);
  // `kLanes` lanes, until all is done.
  void RunShaInstructions();

 private:
  // False: no message is left.
  bool Start(Lane* lane) {
    if (next_ == messages_.size()) return false;
    lane->Begin(messages_[next_], &digests_[next_]);
    ++next_;
    return true;
  }
  size_t TakeSome(Lane** taken);

  const std::span<const std::span<const std::byte>> messages_;
  const std::span<Fingerprint> digests_;
  size_t next_ = 0;
  std::array<Lane, kSha256WideLanes> lanes_;
};

void Batch::RunWide(size_t least) {
  Sha256WideState state{};
  const auto load = [&](size_t i) {
    for (size_t w = 0; w < 8; ++w) state.words[w][i] = lanes_[i].words[w];
  };
  const auto store = [&](size_t i) {
    for (size_t w = 0; w < 8; ++w) lanes_[i].words[w] = state.words[w][i];
  };
  for (;;) {
    size_t active = 0;
    size_t count = ~size_t{0};
    const std::byte* any = nullptr;
    for (size_t i = 0; i < lanes_.size(); ++i) {
      if (lanes_[i].blocks == 0 && Start(&lanes_[i])) load(i);
      if (lanes_[i].blocks == 0) continue;
      ++active;
      if (lanes_[i].blocks <= count) any = lanes_[i].data;
      count = std::min(count, lanes_[i].blocks);
    }
    if (active < least) break;
    std::array<const std::byte*, kSha256WideLanes> data;
    for (size_t i = 0; i < lanes_.size(); ++i) {
      data[i] = lanes_[i].blocks == 0 ? any : lanes_[i].data;  // Idle lanes keep step with one.
    }
    CompressSha256Wide(&state, &data, count, kRoundConstants.data());
    for (size_t i = 0; i < lanes_.size(); ++i) {
      if (lanes_[i].blocks == 0) continue;
      lanes_[i].Advance(count);
      if (lanes_[i].blocks > 0) continue;
      store(i);
      lanes_[i].End();
    }
  }
  for (size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i].blocks > 0) store(i);
  }
}

// Up to `kLanes` lanes with work: those that are on their way already, then new ones.
size_t Batch::TakeSome(Lane** taken) {
  size_t count = 0;
  for (Lane& lane : lanes_) {
    if (count < kLanes && lane.blocks > 0) taken[count++] = &lane;
  }
  for (Lane& lane : lanes_) {
    if (count < kLanes && lane.blocks == 0 && Start(&lane)) taken[count++] = &lane;
  }
  return count;
}

void Batch::RunShaInstructions() {
  Lane* taken[kLanes];
  LaneState states[kLanes];
  const std::byte* data[kLanes];
  while (const size_t active = TakeSome(taken)) {
    size_t count = taken[0]->blocks;
    for (size_t i = 0; i < active; ++i) {
      count = std::min(count, taken[i]->blocks);
      states[i] = LoadState(*taken[i]);
      data[i] = taken[i]->data;
    }
    CompressLanes(active, states, data, count);
    for (size_t i = 0; i < active; ++i) {
      StoreState(states[i], taken[i]);
      taken[i]->Advance(count);
      if (taken[i]->blocks == 0) taken[i]->End();
    }
  }
}

}  // namespace

bool HasSha256Engine(Sha256Engine engine) {
  static const bool has_sha = CpuHasShaInstructions();
  static const bool has_wide = HasSha256Wide();
  switch (engine) {
    case Sha256Engine::kShaInstructions:
      return has_sha;
    case Sha256Engine::kWide:
      return has_wide;
    case Sha256Engine::kBoth:
      return has_sha && has_wide;
  }
  return false;
}

bool HasSha256Lanes() {
  return HasSha256Engine(Sha256Engine::kShaInstructions) || HasSha256Engine(Sha256Engine::kWide);
}

Sha256Engine BestSha256Engine() {
  static const bool intel = __builtin_cpu_is("intel") != 0;
  if (intel && HasSha256Engine(Sha256Engine::kBoth)) return Sha256Engine::kBoth;
  return HasSha256Engine(Sha256Engine::kShaInstructions) ? Sha256Engine::kShaInstructions
                                                         : Sha256Engine::kWide;
}

void Sha256Lanes(Sha256Engine engine, std::span<const std::span<const std::byte>> messages,
                 std::span<Fingerprint> digests) {
  STRATA_CHECK(HasSha256Engine(engine), "this CPU lacks the instructions");
  STRATA_CHECK(messages.size() == digests.size(), "one digest per message");
  Batch batch(messages, digests);
  if (engine == Sha256Engine::kWide) return batch.RunWide(1);
  if (engine == Sha256Engine::kBoth && messages.size() >= kMinWideLanes) {
    batch.RunWide(kMinWideLanes);
  }
  batch.RunShaInstructions();
}

#else

bool HasSha256Engine(Sha256Engine) { return false; }

bool HasSha256Lanes() { return false; }

Sha256Engine BestSha256Engine() { return Sha256Engine::kShaInstructions; }

void Sha256Lanes(Sha256Engine, std::span<const std::span<const std::byte>>,
                 std::span<Fingerprint>) {
  STRATA_CHECK(false, "this CPU lacks the instructions");
}

#endif

}  // namespace strata::dedup
