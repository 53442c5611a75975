// SPDX-License-Identifier: Apache-2.0
//
// Rabin: the last 48 bytes, as a polynomial over GF(2) modulo an irreducible one; a chunk ends
// where the lower bits are those of 0x78. Sources: Rabin, "Fingerprinting by Random Polynomials",
// 1981; Muthitacharoen et al., "A Low-bandwidth Network File System", SOSP 2001, whose window,
// polynomial and break value these are.
#pragma once

#include <memory>

#include "strata/dedup/chunker.h"

namespace strata::dedup {

// That of the Low-bandwidth Network File System, of degree 63; with a key, one of degree 61 drawn
// from it. Bit i is the coefficient of x^i.
uint64_t RabinPolynomial(const std::optional<ChunkerKey>& key);

// REQUIRES: options were checked by CreateChunker().
std::unique_ptr<const Chunker> CreateRabinChunker(const ChunkerOptions& options);

}  // namespace strata::dedup
