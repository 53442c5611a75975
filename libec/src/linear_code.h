// SPDX-License-Identifier: Apache-2.0
//
// Every code of this library: a parity matrix and a name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "strata/ec/code.h"

namespace strata::ec {

// The code with the given parity_shards x data_shards matrix, row by row.
// REQUIRES: CheckShape(). Unimplemented: this CPU cannot run the kernel.
absl::StatusOr<std::unique_ptr<Code>> CreateLinearCode(std::string name, int data_shards,
                                                       int parity_shards,
                                                       std::vector<uint8_t> matrix, Kernel kernel);

// InvalidArgument unless 1 <= data_shards, parity_shards and both together <= kMaxShards.
absl::Status CheckShape(int data_shards, int parity_shards);

}  // namespace strata::ec
