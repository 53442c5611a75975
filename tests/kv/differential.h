// SPDX-License-Identifier: Apache-2.0
//
// Runs a program of store calls, encoded in bytes, on a Store and on a model made of std::map, and
// compares every answer: what reads see, which commits conflict and which do not, what a watch
// reports. One thread; up to four transactions and two snapshots are open at once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "strata/kv/store.h"

namespace strata::kv {

// Nothing: all answers agreed. Else the step at which they did not, and both answers.
// REQUIRES: the store is empty.
std::optional<std::string> FindDifference(Store& store, std::span<const uint8_t> program);

}  // namespace strata::kv
