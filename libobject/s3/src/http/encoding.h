// SPDX-License-Identifier: Apache-2.0
//
// Bytes as text: Base64 (RFC 4648, section 4) and its form for URLs (section 5).
// Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace strata::s3 {

// Decoding is strict: padding is there, nothing else is. One text for one value.
std::string Base64Encode(std::string_view bytes);
std::optional<std::string> Base64Decode(std::string_view text);

// Without padding.
std::string WebSafeBase64Encode(std::string_view bytes);
std::optional<std::string> WebSafeBase64Decode(std::string_view text);

}  // namespace strata::s3
