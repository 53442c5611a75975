// SPDX-License-Identifier: Apache-2.0
//
// What a device carries that is not ours to overwrite. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace strata::ofs {

// The first and the last MiB of a device, or all of a smaller one twice.
struct DeviceEnds {
  std::span<const std::byte> head;
  std::span<const std::byte> tail;
};

// Empty: all zeroes. Otherwise a description: "an ext2, ext3 or ext4 filesystem", "disk 3 of the
// Strata filesystem 0011...", "data of an unknown kind (byte 4711 is not zero)".
std::string DescribeForeignData(const DeviceEnds& ends);

}  // namespace strata::ofs
