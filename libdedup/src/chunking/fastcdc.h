// SPDX-License-Identifier: Apache-2.0
//
// FastCDC: a Gear hash over the bytes past min_bytes, judged by a strict mask up to avg_bytes and
// by a lax one after it ("normalized chunking"). Sources: Xia et al., USENIX ATC 2016; Xia et al.,
// IEEE TPDS 31(9), 2020, which takes two bytes to a step. Cut points are those of the `fastcdc`
// crate's v2016 and v2020; the two differ only where min_bytes or the end of the data is odd.
#pragma once

#include <memory>

#include "strata/dedup/chunker.h"

namespace strata::dedup {

// REQUIRES: options were checked by CreateChunker().
std::unique_ptr<const Chunker> CreateFastCdcChunker(const ChunkerOptions& options);

}  // namespace strata::dedup
