// SPDX-License-Identifier: Apache-2.0
//
// The name of a JSON value, for headers that only pass values on: the library's own header costs
// more than a second in every source that sees it. json.h is the whole.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace strata::appliance {

using Json = nlohmann::ordered_json;

}  // namespace strata::appliance
