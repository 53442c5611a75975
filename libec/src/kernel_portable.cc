// SPDX-License-Identifier: Apache-2.0
//
// For any CPU: 64-bit integers, eight bytes in each. The multiples of the source by 1, 2, 4 .. 128
// are made by doubling; the bits of a coefficient say which of them to add.
#include <cstdint>
#include <cstring>

#include "kernel_loops.h"
#include "kernels.h"

namespace strata::ec {
namespace {

struct Words {
  static constexpr int kCount = 8;
  uint64_t word[kCount];
};

// All bytes times 2: a byte that overflows takes the polynomial's low bits, 0x1d.
STRATA_EC_INLINE Words Double(const Words& in) {
  Words out;
  for (int i = 0; i < Words::kCount; ++i) {
    const uint64_t overflow = (in.word[i] >> 7) & 0x0101010101010101u;
    const uint64_t low = overflow ^ (overflow << 2) ^ (overflow << 3) ^ (overflow << 4);
    out.word[i] = ((in.word[i] & 0x7f7f7f7f7f7f7f7fu) << 1) ^ low;
  }
  return out;
}

STRATA_EC_INLINE Words Plus(const Words& a, const Words& b) {
  Words out;
  for (int i = 0; i < Words::kCount; ++i) out.word[i] = a.word[i] ^ b.word[i];
  return out;
}

struct Lanes {
  static constexpr size_t kBytes = sizeof(Words);
  static constexpr size_t kTableBytes = 1;
  static constexpr int kMaxRows = 4;
  static constexpr int Width(int) { return 1; }
  static constexpr bool kPairs = false;
  using Vector = Words;
  struct Source {
    Words by_power[8];  // Times 2^i.
  };
  using Table = uint8_t;

  static STRATA_EC_INLINE Vector Zero() { return {}; }
  static STRATA_EC_INLINE Vector Load(const uint8_t* from) { return LoadPart(from, kBytes); }
  static STRATA_EC_INLINE Vector LoadPart(const uint8_t* from, size_t count) {
    Vector value = {};
    std::memcpy(value.word, from, count);
    return value;
  }
  static STRATA_EC_INLINE void Store(uint8_t* to, const Vector& value) {
    StorePart(to, value, kBytes);
  }
  static STRATA_EC_INLINE void StorePart(uint8_t* to, const Vector& value, size_t count) {
    std::memcpy(to, value.word, count);
  }
  static STRATA_EC_INLINE void Stream(uint8_t* to, const Vector& value) { Store(to, value); }
  static void Fence() {}
  static STRATA_EC_INLINE Vector Xor(const Vector& a, const Vector& b) { return Plus(a, b); }
  static STRATA_EC_INLINE Vector XorTwo(const Vector& sum, const Vector& a, const Vector& b) {
    return Plus(sum, Plus(a, b));
  }

  static STRATA_EC_INLINE Source Prepare(const Vector& vector) {
    Source source;
    source.by_power[0] = vector;
    for (int i = 1; i < 8; ++i) source.by_power[i] = Double(source.by_power[i - 1]);
    return source;
  }
  static STRATA_EC_INLINE Table LoadTable(const uint8_t* table) { return *table; }
  static STRATA_EC_INLINE Vector AddOne(Vector sum, const Source& a, Table by_a) {
    for (unsigned bits = by_a; bits != 0; bits &= bits - 1) {
      sum = Plus(sum, a.by_power[__builtin_ctz(bits)]);
    }
    return sum;
  }
};

void ExpandByte(uint8_t coefficient, uint8_t* table) { *table = coefficient; }

}  // namespace

constexpr KernelOps kPortableOps = {Lanes::kTableBytes, false, ExpandByte, MultiplyWith<Lanes>,
                                    UpdateWith<Lanes>};

}  // namespace strata::ec
