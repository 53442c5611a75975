// SPDX-License-Identifier: Apache-2.0
//
// A store that a forked child of its process cannot use: the child's calls get FailedPrecondition
// before they touch a lock, a thread or a device, and what it destroys is left as it is.
#pragma once

#include <memory>

#include "strata/dedup/store.h"

namespace strata::dedup {

std::unique_ptr<Store> RefuseForkedChildren(std::unique_ptr<Store> store);

}  // namespace strata::dedup
