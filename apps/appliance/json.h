// SPDX-License-Identifier: Apache-2.0
//
// JSON values and their text. The library's parser and writer are compiled once, in json.cc: call
// these functions instead of Json::parse() and Json::dump(). Pure; thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "appliance/json_fwd.h"

namespace strata::appliance {

// nullopt: `text` is not JSON.
std::optional<Json> ParseJson(std::string_view text);

// One line. InvalidArgument: a string in `json` is not UTF-8.
absl::StatusOr<std::string> EncodeJson(const Json& json);

// For people and logs: what is not UTF-8 (an object's key may be) becomes replacement characters.
// `indent`: spaces per level; -1: one line.
std::string ShowJson(const Json& json, int indent = -1);

}  // namespace strata::appliance
