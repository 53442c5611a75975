// SPDX-License-Identifier: Apache-2.0
//
// Ways to work with checksum values beyond a single Digest.
// Pure; thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strata/object/checksum.h"

namespace strata::object {

inline std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// The raw value's size: 4, 8, 16, 20 or 32.
size_t ChecksumBytes(ChecksumAlgorithm algorithm);

std::string DigestOf(ChecksumAlgorithm algorithm, std::string_view data);

// A CRC's raw value, in network order. REQUIRES: IsCrc(algorithm).
std::string CrcToRaw(ChecksumAlgorithm algorithm, uint64_t crc);
uint64_t CrcFromRaw(std::string_view raw);

struct PartDigest {
  std::string value;  // Raw.
  uint64_t size_bytes = 0;
};

// The digest of the parts' digests, one after the other.
Checksum CompositeChecksum(ChecksumAlgorithm algorithm, const std::vector<PartDigest>& parts);

// The checksum of the parts' bytes, one after the other. REQUIRES: IsCrc(algorithm).
Checksum FullObjectChecksum(ChecksumAlgorithm algorithm, const std::vector<PartDigest>& parts);

}  // namespace strata::object
