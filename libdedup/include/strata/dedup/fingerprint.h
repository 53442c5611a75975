// SPDX-License-Identifier: Apache-2.0
//
// The identity of a chunk: the SHA-256 of its bytes (FIPS 180-4). Two chunks are the same exactly
// when their fingerprints are. Pure; thread-safe.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "strata/base/export.h"

namespace strata::dedup {

struct STRATA_EXPORT Fingerprint {
  std::array<std::byte, 32> bytes{};
  friend auto operator<=>(const Fingerprint&, const Fingerprint&) = default;

  std::string ToHex() const;
};

// The bytes of a SHA-256 are uniformly distributed: the first eight are hash enough.
struct FingerprintHash {
  size_t operator()(const Fingerprint& fingerprint) const {
    size_t hash;
    std::memcpy(&hash, fingerprint.bytes.data(), sizeof(hash));
    return hash;
  }
};

STRATA_EXPORT Fingerprint FingerprintOf(std::span<const std::byte> chunk);

// fingerprints[i] becomes the fingerprint of chunks[i]. REQUIRES: equally many of both.
STRATA_EXPORT void FingerprintMany(std::span<const std::span<const std::byte>> chunks,
                                   std::span<Fingerprint> fingerprints);

}  // namespace strata::dedup
