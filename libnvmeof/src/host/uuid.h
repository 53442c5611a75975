// SPDX-License-Identifier: Apache-2.0
//
// UUIDs as hosts are named by them (RFC 9562).
//
// Thread safety: pure.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace strata::nvmeof {

using Uuid = std::array<std::byte, 16>;

// Version 4.
absl::StatusOr<Uuid> RandomUuid();
// "7f9c24e5-...": 36 characters.
std::string FormatUuid(const Uuid& uuid);
// InvalidArgument: anything else.
absl::StatusOr<Uuid> ParseUuid(std::string_view text);

}  // namespace strata::nvmeof
