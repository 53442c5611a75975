// SPDX-License-Identifier: Apache-2.0
//
// What text in UTF-8 (RFC 3629) is. Overlong forms, surrogates and what lies past U+10FFFF are not.
//
// Pure; thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "strata/base/export.h"

namespace strata {

// The number of characters; nullopt: the text is not UTF-8.
STRATA_EXPORT std::optional<size_t> CountUtf8(std::string_view text);

inline bool IsUtf8(std::string_view text) { return CountUtf8(text).has_value(); }

}  // namespace strata
