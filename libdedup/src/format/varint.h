// SPDX-License-Identifier: Apache-2.0
//
// How records write whole numbers of any size: seven bits to a byte, lowest first, the top bit set
// on all bytes but the last.
#pragma once

#include <cstdint>

namespace strata::dedup {

// `Bytes`: std::string, or a vector of std::byte.
template <typename Bytes>
void AppendVarint(uint64_t value, Bytes* out) {
  using Byte = typename Bytes::value_type;
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<Byte>((value & 0x7F) | 0x80));
  out->push_back(static_cast<Byte>(value));
}

}  // namespace strata::dedup
