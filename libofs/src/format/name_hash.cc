// SPDX-License-Identifier: Apache-2.0
//
// OpenSSL has SipHash as a MAC, which takes four times as long for a name of a few bytes, most of
// it for its context.
#include "format/name_hash.h"

#include <algorithm>
#include <bit>

#include "strata/base/endian.h"

namespace strata::ofs {
namespace {

constexpr uint64_t kFirstCookie = 3;

struct SipState {
  uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }
  void Compress(uint64_t word) {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }
};

}  // namespace

uint64_t SipHash24(const NameKey& key, std::string_view bytes) {
  const uint64_t k0 = LoadLe64(key.data());
  const uint64_t k1 = LoadLe64(key.data() + 8);
  SipState state{0x736f6d6570736575 ^ k0, 0x646f72616e646f6d ^ k1, 0x6c7967656e657261 ^ k0,
                 0x7465646279746573 ^ k1};
  const auto* at = reinterpret_cast<const std::byte*>(bytes.data());
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) state.Compress(LoadLe64(at));
  uint64_t last = uint64_t{bytes.size()} << 56;
  for (size_t i = 0; i < left; ++i) last |= static_cast<uint64_t>(at[i]) << (8 * i);
  state.Compress(last);
  state.v2 ^= 0xFF;
  for (int i = 0; i < 4; ++i) state.Round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

uint64_t NameHash(const NameKey& key, std::string_view name) {
  return std::max(SipHash24(key, name) & ~(uint64_t{1} << 63), kFirstCookie);
}

}  // namespace strata::ofs
