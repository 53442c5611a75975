// SPDX-License-Identifier: Apache-2.0
//
// Names that the user did not choose, shown so that they neither command a terminal nor look like
// something else. Pure.
#pragma once

#include <string>
#include <string_view>

namespace strata::appliance {

// The name as it is where it is plain; otherwise as a shell takes it: $'a\nb\x1b'. Control
// characters, invalid UTF-8 and characters that change the direction of writing are escaped.
std::string QuotedName(std::string_view name);

// A message with such characters escaped likewise, without the quotes.
std::string PrintableText(std::string_view text);

// A name for JSON, exact: valid UTF-8 stays as it is; each other byte is U+0000 and two hexadecimal
// digits, which no name has otherwise.
std::string JsonName(std::string_view name);
std::string NameOfJson(std::string_view json);

}  // namespace strata::appliance
