// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 of several messages at once: one message alone waits for the latency of each instruction,
// several in turn fill the gaps. Source: FIPS 180-4; Intel SDM, SHA256RNDS2 and its companions.
// Pure; thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

enum class Sha256Engine {
  kShaInstructions,  // Four messages in turn, with the SHA instructions of x86.
  kWide,             // Sixteen side by side in the registers of AVX-512.
  kBoth,             // Sixteen as long as most lanes have work, four for the rest.
};

inline constexpr std::array<Sha256Engine, 3> kSha256Engines = {
    Sha256Engine::kShaInstructions, Sha256Engine::kWide, Sha256Engine::kBoth};

// Whether this CPU has the instructions.
bool HasSha256Engine(Sha256Engine engine);

// Whether it has those of any, and then the fastest. Where one SHA instruction is done in two
// cycles (Intel), sixteen messages in AVX-512 are almost twice as fast as four with the SHA
// instructions; on AMD they are slower.
bool HasSha256Lanes();
Sha256Engine BestSha256Engine();

// REQUIRES: HasSha256Engine(engine); equally many of both.
void Sha256Lanes(Sha256Engine engine, std::span<const std::span<const std::byte>> messages,
                 std::span<Fingerprint> digests);

}  // namespace strata::dedup
