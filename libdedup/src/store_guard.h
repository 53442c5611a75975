// SPDX-License-Identifier: Apache-2.0
//
// Refuses calls that a store cannot serve, before they touch a lock, a thread or a device: all
// those of a forked child, where what is destroyed is left as it is, and those that would change a
// store that is only read. They get FailedPrecondition.
#pragma once

#include <memory>

#include "strata/dedup/store.h"

namespace strata::dedup {

std::unique_ptr<Store> GuardStore(std::unique_ptr<Store> store, bool read_only);

}  // namespace strata::dedup
