// SPDX-License-Identifier: Apache-2.0
//
// Programs of interleaved transactions on the memory engine, against the model of tests/kv.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "kv/differential.h"
#include "strata/kv/engines.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  const auto store = strata::kv::CreateMemoryStore();
  if (const auto difference = strata::kv::FindDifference(*store, {data, size})) {
    std::fprintf(stderr, "%s\n", difference->c_str());
    std::abort();
  }
  return 0;
}
