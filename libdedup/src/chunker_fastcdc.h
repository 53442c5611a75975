// SPDX-License-Identifier: Apache-2.0
//
// FastCDC 2020: a Gear hash over the bytes past min_bytes, judged by a strict mask up to avg_bytes
// and by a lax one after it ("normalized chunking"), two bytes to a step. Source: Xia et al., IEEE
// TPDS 31(9), 2020; cut points are those of the `fastcdc` crate's v2020.
#pragma once

#include <memory>

#include "strata/dedup/chunker.h"

namespace strata::dedup {

// REQUIRES: options were checked by CreateChunker().
std::unique_ptr<const Chunker> CreateFastCdcChunker(const ChunkerOptions& options);

}  // namespace strata::dedup
