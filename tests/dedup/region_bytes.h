// SPDX-License-Identifier: Apache-2.0
//
// What an encoded region becomes on the device, in one piece.
#pragma once

#include <cstddef>
#include <vector>

#include "format/region_format.h"

namespace strata::dedup {

// A region that has its place, as it lies on the device.
inline std::vector<std::byte> BytesOf(const EncodedRegion& region) {
  std::vector<std::byte> bytes(region.front.begin(), region.front.end());
  bytes.insert(bytes.end(), region.uncompressed.begin(), region.uncompressed.end());
  bytes.resize(bytes.size() + region.padding_bytes);
  return bytes;
}

}  // namespace strata::dedup
