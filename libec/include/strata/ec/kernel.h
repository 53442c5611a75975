// SPDX-License-Identifier: Apache-2.0
//
// Which instructions do the arithmetic. All kernels compute the same bytes; a program takes
// kFastest and never thinks of it again. The others are there for tests, comparisons and machines
// to come. Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "strata/base/export.h"

namespace strata::ec {

enum class Kernel : uint8_t {
  kFastest,     // The fastest one that this CPU has; never kIsaL.
  kPortable,    // 64-bit integers only.
  kAvx2,        // Byte shuffles, 32 bytes at a time.
  kAvx512,      // Byte shuffles, 64 bytes at a time (AVX-512F and BW).
  kGfniAvx2,    // Affine transforms over GF(2), 32 bytes at a time.
  kGfniAvx512,  // Affine transforms over GF(2), 64 bytes at a time.
  kIsaL,        // Intel's ISA-L, which chooses among its own.
};

// Whether this CPU, and this build, can run it. True of kFastest, kPortable and kIsaL.
STRATA_EXPORT bool IsSupported(Kernel kernel);

// Every kernel that IsSupported(), except kFastest.
STRATA_EXPORT std::vector<Kernel> SupportedKernels();

// What kFastest stands for here; any other kernel stands for itself.
STRATA_EXPORT Kernel Resolve(Kernel kernel);

// "fastest", "portable", "avx2", "avx512", "gfni-avx2", "gfni-avx512", "isa-l".
STRATA_EXPORT std::string_view KernelName(Kernel kernel);

// The kernel of that name. InvalidArgument: no such name; the message lists them.
STRATA_EXPORT absl::StatusOr<Kernel> ParseKernel(std::string_view name);

}  // namespace strata::ec
