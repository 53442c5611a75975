// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 of several messages at once with the SHA instructions of x86: one message alone waits for
// the latency of each instruction, four in turn fill the gaps. Source: FIPS 180-4; Intel SDM,
// SHA256RNDS2 and its companions. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <span>

#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

// Whether this CPU has the instructions.
bool HasSha256Lanes();

// REQUIRES: HasSha256Lanes(); equally many of both.
void Sha256Lanes(std::span<const std::span<const std::byte>> messages,
                 std::span<Fingerprint> digests);

}  // namespace strata::dedup
