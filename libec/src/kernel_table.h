// SPDX-License-Identifier: Apache-2.0
//
// From the public name of a kernel to its code. Pure functions, safe from any thread.
#pragma once

#include "kernels.h"
#include "strata/ec/kernel.h"

namespace strata::ec {

// The code of `kernel`; null when this CPU or this build cannot run it.
const KernelOps* FindKernelOps(Kernel kernel);

}  // namespace strata::ec
