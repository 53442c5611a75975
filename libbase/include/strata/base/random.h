// SPDX-License-Identifier: Apache-2.0
//
// Random numbers of two kinds: Random is fast and repeats itself from a seed, for simulations,
// tests, sampling and jitter; SecureRandomBytes() is for keys, tokens and identifiers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "strata/base/export.h"

namespace strata {

// xoshiro256** seeded through SplitMix64 (Blackman and Vigna, 2018). The same seed gives the same
// sequence on every machine and in every version of Strata. One thread at a time; copies continue
// independently. Never use it for secrets.
class STRATA_EXPORT Random final {
 public:
  explicit Random(uint64_t seed);

  // Every 64-bit value is equally likely.
  uint64_t Next64();

  // Every value in [0, bound) is equally likely. REQUIRES: bound > 0.
  uint64_t Uniform(uint64_t bound);

  // True with this probability. Certain from 1 up, impossible from 0 down.
  bool Chance(double probability);

  // Overwrites every byte. A fill of n bytes consumes ceil(n / 8) values of Next64(),
  // little-endian.
  void Fill(std::span<std::byte> bytes);

 private:
  std::array<uint64_t, 4> state_;
};

// Fills `bytes` from the kernel's generator. Safe from any thread; may wait early in boot.
// Unavailable: the kernel refused.
STRATA_EXPORT absl::Status SecureRandomBytes(std::span<std::byte> bytes);

}  // namespace strata
