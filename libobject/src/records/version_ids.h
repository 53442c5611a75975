// SPDX-License-Identifier: Apache-2.0
//
// What callers see of a version: its id, its ETag, its ObjectInfo. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "records/records.h"
#include "strata/object/types.h"

namespace strata::object {

// "null", or 32 hexadecimal digits: sequence and nonce.
std::string VersionIdOf(const ObjectRecord& record);
std::string VersionText(uint64_t sequence, uint64_t nonce);

struct VersionRef {
  bool is_null = false;
  uint64_t sequence = 0, nonce = 0;  // Unless is_null.
};
std::optional<VersionRef> ParseVersionId(std::string_view text);

std::string EtagOf(const ObjectRecord& record);
ObjectInfo InfoOf(std::string_view key, const ObjectRecord& record, bool is_latest);

}  // namespace strata::object
