// SPDX-License-Identifier: Apache-2.0
//
// Percent-encoding (RFC 3986) as S3 and its signatures use it: everything but A-Z a-z 0-9 - . _ ~
// is encoded, with upper-case digits. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::s3 {

enum class Slash { kKeep, kEncode };
enum class Plus { kPlus, kSpace };  // What '+' stands for: itself in a path, a space in a query.

void AppendUriEncoded(std::string& out, std::string_view text, Slash slash);
std::string UriEncode(std::string_view text, Slash slash);

// nullopt: a '%' without two hexadecimal digits.
std::optional<std::string> UriDecode(std::string_view text, Plus plus);

using QueryParameters = std::vector<std::pair<std::string, std::string>>;

// Decodes "a=1&b&c=%20" in order; "b" has an empty value. nullopt as above.
std::optional<QueryParameters> ParseQuery(std::string_view query);

}  // namespace strata::s3
