// SPDX-License-Identifier: Apache-2.0
//
// The engine that keeps everything in memory.
#pragma once

#include <memory>

#include "engine.h"

namespace strata::kv {

std::unique_ptr<Engine> NewMemoryEngine();

}  // namespace strata::kv
