// SPDX-License-Identifier: Apache-2.0
//
// The adapter to ISA-L, whose crc32_iscsi() neither inverts its initial value nor its result.
#include "strata/base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace strata {
namespace {

constexpr size_t kMaxCallBytes = size_t{1} << 30;  // The length of crc32_iscsi() is an int.

}  // namespace

uint32_t Crc32c(std::span<const std::byte> data) { return ExtendCrc32c(0, data); }

uint32_t ExtendCrc32c(uint32_t crc, std::span<const std::byte> data) {
  uint32_t raw = ~crc;
  while (!data.empty()) {
    const auto part = data.first(std::min(data.size(), kMaxCallBytes));
    // ISA-L takes a pointer to non-const and does not write through it.
    auto* bytes = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(part.data()));
    raw = crc32_iscsi(bytes, static_cast<int>(part.size()), raw);
    data = data.subspan(part.size());
  }
  return ~raw;
}

}  // namespace strata
