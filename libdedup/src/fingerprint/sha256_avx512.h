// SPDX-License-Identifier: Apache-2.0
//
// The compression function of SHA-256 for sixteen messages at once, one in each 32-bit lane of the
// registers. Source: FIPS 180-4. Pure; thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace strata::dedup {

inline constexpr size_t kSha256WideLanes = 16;

// words[i][lane] is word i of that lane's state.
struct alignas(64) Sha256WideState {
  std::array<std::array<uint32_t, kSha256WideLanes>, 8> words;
};

// Whether this CPU has the instructions.
bool HasSha256Wide();

// Takes `count` blocks of 64 bytes from each data[lane] and moves it behind them. REQUIRES:
// HasSha256Wide(). `round_constants` are the 64 of the standard.
void CompressSha256Wide(Sha256WideState* state,
                        std::array<const std::byte*, kSha256WideLanes>* data, size_t count,
                        const uint32_t* round_constants);

}  // namespace strata::dedup
