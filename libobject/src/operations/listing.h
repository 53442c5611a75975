// SPDX-License-Identifier: Apache-2.0
//
// What the listings share: keys that hold the delimiter behind the prefix are rolled up into a
// group, which is listed once, as a common prefix, and passed over by a jump. Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "records/key_layout.h"
#include "strata/object/types.h"

namespace strata::object {

// What the stored key says. kDamaged.
absl::StatusOr<ParsedObjectKey> RequireObjectKey(std::string_view stored);

// At most 1000 entries to a page; none where no key can have the prefix.
size_t PageLimit(const ListOptions& options);

// The common prefix that `key` is listed under; nullopt: it is listed itself.
// REQUIRES: key starts with options.prefix.
std::optional<std::string> GroupOf(std::string_view key, const ListOptions& options);

// ListOptions::start_after for what follows `key` in the middle of a group that is not listed yet.
std::string InsideGroup(std::string_view key);

// The stored key from which the entries behind options.start_after come. A group counts as one
// entry: a start inside of it is behind it, unless InsideGroup() made it.
std::string BehindStart(Table table, uint64_t bucket_id, const ListOptions& options);

}  // namespace strata::object
