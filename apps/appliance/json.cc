// SPDX-License-Identifier: Apache-2.0
#include "appliance/json.h"

#include <utility>

namespace strata::appliance {

std::optional<Json> ParseJson(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return std::nullopt;
  return json;
}

absl::StatusOr<std::string> EncodeJson(const Json& json) {
  try {
    return json.dump();
  } catch (const Json::type_error&) {
    return absl::InvalidArgumentError("an argument is not UTF-8");
  }
}

std::string ShowJson(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace strata::appliance
