// SPDX-License-Identifier: Apache-2.0
//
// The order of the names in a directory: a keyed hash of each name, which is the readdir cookie
// too. The key is random and belongs to the filesystem, so nobody can make names that collide.
// Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace strata::ofs {

using NameKey = std::array<std::byte, 16>;

// SipHash-2-4 (Aumasson and Bernstein, 2012) with 64 bits of output.
uint64_t SipHash24(const NameKey& key, std::string_view bytes);

// The hash of a name in a directory: the lower 63 bits of SipHash-2-4. Cookies are signed 64-bit
// numbers, and 0 to 2 are those of the beginning, "." and "..": such a hash becomes 3.
uint64_t NameHash(const NameKey& key, std::string_view name);

}  // namespace strata::ofs
