// SPDX-License-Identifier: Apache-2.0
//
// Chunkers that compare bytes instead of hashing them. docs/chunkers.md has their parameters.
//   AE      A chunk ends a fixed distance behind its extremum: the position whose next eight bytes,
//           big-endian, are a number greater than all before it in the chunk and not less than all
//           up to the end. Zhang et al., INFOCOM 2015.
//   RAM     A chunk ends with the first byte behind a fixed distance that is no less than all bytes
//           within that distance. Widodo, Lim, Atiquzzaman, FGCS 71, 2017.
//   SeqCDC  A chunk ends with a run of rising bytes; where bytes fall often, a stretch is skipped.
//           Udayashankar, Baba, Al-Kiswany, Middleware 2024.
#pragma once

#include <memory>

#include "strata/dedup/chunker.h"

namespace strata::dedup {

// REQUIRES, for each: options were checked by CreateChunker().
std::unique_ptr<const Chunker> CreateAeChunker(const ChunkerOptions& options);
std::unique_ptr<const Chunker> CreateRamChunker(const ChunkerOptions& options);
std::unique_ptr<const Chunker> CreateSeqCdcChunker(const ChunkerOptions& options);

}  // namespace strata::dedup
