// SPDX-License-Identifier: Apache-2.0
//
// The seed of a randomized test: STRATA_SEED when it is set, else a new one. It is printed, so that
// a failure can be run again.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace strata::test {

inline uint64_t Seed() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("STRATA_SEED");
    const uint64_t value = given != nullptr
                               ? std::strtoull(given, nullptr, 0)
                               : (uint64_t{std::random_device{}()} << 32) | std::random_device{}();
    std::printf("STRATA_SEED=%llu\n", static_cast<unsigned long long>(value));
    std::fflush(stdout);
    return value;
  }();
  return seed;
}

}  // namespace strata::test
