// SPDX-License-Identifier: Apache-2.0
//
// Makes a kv::Store of an embedded engine. The steps of a commit: libkv/README.md.
#pragma once

#include <memory>

#include "engine.h"
#include "strata/kv/store.h"

namespace strata::kv {

std::unique_ptr<Store> NewEmbeddedStore(std::unique_ptr<Engine> engine);

}  // namespace strata::kv
