// SPDX-License-Identifier: Apache-2.0
#include "strata/base/random.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_format.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"

namespace strata {
namespace {

uint64_t SplitMix64(uint64_t* state) {
  *state += 0x9E3779B97F4A7C15u;
  uint64_t mixed = *state;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
  return mixed ^ (mixed >> 31);
}

}  // namespace

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) word = SplitMix64(&seed);
}

uint64_t Random::Next64() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Random::Uniform(uint64_t bound) {
  STRATA_CHECK(bound > 0, "Uniform() of an empty range");
  // Lemire's multiply-and-reject: the high half of a 128-bit product, unbiased once the
  // 2^64 mod bound lowest low halves are rejected.
  const uint64_t rejected = -bound % bound;
  while (true) {
    const auto product = static_cast<unsigned __int128>(Next64()) * bound;
    if (static_cast<uint64_t>(product) >= rejected) return static_cast<uint64_t>(product >> 64);
  }
}

bool Random::Chance(double probability) {
  const double unit = static_cast<double>(Next64() >> 11) * 0x1.0p-53;  // In [0, 1).
  return unit < probability;
}

void Random::Fill(std::span<std::byte> bytes) {
  while (bytes.size() >= 8) {
    StoreLe64(bytes.data(), Next64());
    bytes = bytes.subspan(8);
  }
  if (bytes.empty()) return;
  std::byte last[8];
  StoreLe64(last, Next64());
  std::copy_n(last, bytes.size(), bytes.data());
}

absl::Status SecureRandomBytes(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return absl::UnavailableError(absl::StrFormat("getrandom: %s", std::strerror(errno)));
    }
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

}  // namespace strata
