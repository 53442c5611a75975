// SPDX-License-Identifier: Apache-2.0
//
// How often a randomized test tries. A sanitizer makes each round several times slower and finds
// its faults in the first ones, so a build with one tries less often; the release build tries all.
#pragma once

#include <algorithm>
#include <cstdint>

namespace strata::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr uint64_t kRoundsDivisor = 5;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr uint64_t kRoundsDivisor = 5;
#else
inline constexpr uint64_t kRoundsDivisor = 1;
#endif
#else
inline constexpr uint64_t kRoundsDivisor = 1;
#endif

// At least one. A test that counts what its rounds did scales what it expects likewise.
constexpr uint64_t Rounds(uint64_t rounds) {
  return std::max<uint64_t>(rounds / kRoundsDivisor, 1);
}

}  // namespace strata::test
