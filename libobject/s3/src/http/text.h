// SPDX-License-Identifier: Apache-2.0
//
// ASCII text as HTTP uses it. Pure functions; the views handed out point into the arguments.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::s3 {

std::string Concat(std::initializer_list<std::string_view> pieces);

std::string ToLower(std::string_view text);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);

// Without spaces and tabs at both ends.
std::string_view Trim(std::string_view text);

// Always at least one piece: Split("", ',') is {""}.
std::vector<std::string_view> Split(std::string_view text, char separator);

// At the first separator; the second piece is empty when there is none.
std::pair<std::string_view, std::string_view> SplitOnce(std::string_view text, char separator);

// Digits alone, at least one; nullopt too when the value does not fit.
std::optional<uint64_t> ParseDecimal(std::string_view text);

// For signatures: the time taken does not tell where they differ. Unequal lengths differ at once.
bool EqualsConstantTime(std::string_view a, std::string_view b);

// Each byte is a character of ISO 8859-1.
std::string Latin1ToUtf8(std::string_view text);

}  // namespace strata::s3
