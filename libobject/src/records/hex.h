// SPDX-License-Identifier: Apache-2.0
//
// Bytes as lower-case hexadecimal text and back.
// Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace strata::object {

std::string ToHex(std::string_view bytes);

// nullopt: an odd length, or something else than [0-9a-f]. Upper case is refused so that an
// identifier has one spelling.
std::optional<std::string> FromHex(std::string_view text);

}  // namespace strata::object
