// SPDX-License-Identifier: Apache-2.0
//
// What block device a namespace makes, by what the controller says of it.
//
// Thread safety: pure.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "strata/block/device.h"
#include "strata/nvme/transport.h"
#include "strata/nvme/wire/identify.h"

namespace strata::nvme {

// `what` names the namespace in errors. NotFound: it is not active. Unimplemented: metadata, blocks
// of an odd size. DataLoss: a size that cannot be.
absl::StatusOr<block::Geometry> GeometryOf(const std::string& what, const IdentifyNamespace& space,
                                           const IdentifyController& controller,
                                           const TransportLimits& limits);

// Most blocks of one Write Zeroes command. `limit`: WZSL, 0 for none.
uint32_t MostZeroedBlocks(uint8_t limit, uint32_t block_size_bytes);

}  // namespace strata::nvme
